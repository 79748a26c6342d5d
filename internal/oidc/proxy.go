package oidc

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// proxies are the HTTP proxies between the gate and an authorization server. The variables of the environment don't count, only the
// configuration.
type proxies struct {
	http, https         *url.URL
	httpAuth, httpsAuth string // values of Proxy-Authorization
	direct              []directHost
}

func newProxies(s HTTPSettings) (*proxies, error) {
	p := &proxies{httpAuth: string(s.HTTPProxyAuthorization), httpsAuth: string(s.HTTPSProxyAuthorization)}
	for _, set := range []struct {
		key, value string
		into       **url.URL
	}{{"http_proxy", s.HTTPProxy, &p.http}, {"https_proxy", s.HTTPSProxy, &p.https}} {
		if set.value == "" {
			continue
		}
		u, err := url.Parse(set.value)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("%s: expected a URL such as http://proxy:3128", set.key)
		}
		*set.into = u
	}
	var err error
	if p.direct, err = parseNoProxy(s.NoProxy); err != nil {
		return nil, fmt.Errorf("no_proxy: %w", err)
	}
	return p, nil
}

// choose returns the proxy for a request; nil: none.
func (p *proxies) choose(r *http.Request) (*url.URL, error) {
	if slices.ContainsFunc(p.direct, func(d directHost) bool { return d.has(r.URL) }) {
		return nil, nil
	}
	if r.URL.Scheme == "https" {
		return p.https, nil
	}
	return p.http, nil
}

// connectHeader returns the header of CONNECT requests to the proxy for https.
func (p *proxies) connectHeader(context.Context, *url.URL, string) (http.Header, error) {
	if p.httpsAuth == "" {
		return nil, nil
	}
	return http.Header{"Proxy-Authorization": {p.httpsAuth}}, nil
}

// A proxyTransport adds Proxy-Authorization to requests without TLS that go through a proxy (RFC 9110 §11.7.2).
type proxyTransport struct {
	*http.Transport
	proxies *proxies
}

func (t *proxyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if via, _ := t.proxies.choose(r); via != nil && r.URL.Scheme == "http" && t.proxies.httpAuth != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Proxy-Authorization", t.proxies.httpAuth)
	}
	return t.Transport.RoundTrip(r)
}
