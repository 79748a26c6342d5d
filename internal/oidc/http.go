package oidc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// newHTTPClient returns the client for one authorization server: bounded in time, through the configured proxies only. With
// a certificate it proves who we are by TLS (RFC 8705 §2); it is read anew for each connection.
func newHTTPClient(s HTTPSettings, certificate func() (*tls.Certificate, error)) (*http.Client, error) {
	t := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: s.Timeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: !s.SSLVerify}, // #nosec G402: ssl_verify
		TLSHandshakeTimeout:    s.Timeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        90 * time.Second,
		DisableKeepAlives:      !s.Keepalive,
		MaxResponseHeaderBytes: 64 << 10,
	}
	if certificate != nil {
		t.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate() }
	}
	if s.CAFile != "" {
		pool, err := caPool(s.CAFile)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig.RootCAs = pool
	}
	p, err := newProxies(s)
	if err != nil {
		return nil, err
	}
	t.Proxy, t.GetProxyConnectHeader = p.choose, p.connectHeader
	return &http.Client{Transport: &proxied{Transport: t, proxies: p}, Timeout: s.Timeout, CheckRedirect: checkRedirect}, nil
}

// checkRedirect never lets a POST be redirected (it carries secrets), nor https become http.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet || len(via) > 3 || first.URL.Scheme == "https" && req.URL.Scheme != "https" {
		return http.ErrUseLastResponse
	}
	return nil
}

// caPool returns the system's certificates and those of a PEM file.
func caPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file: %s holds no PEM certificate", file)
	}
	return pool, nil
}

// proxies are the HTTP proxies on the way to the authorization server. The environment's are not used: what the gate
// trusts is written in its configuration.
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

func (p *proxies) choose(r *http.Request) (*url.URL, error) {
	if slices.ContainsFunc(p.direct, func(d directHost) bool { return d.has(r.URL) }) {
		return nil, nil
	}
	if r.URL.Scheme == "https" {
		return p.https, nil
	}
	return p.http, nil
}

func (p *proxies) connectHeader(context.Context, *url.URL, string) (http.Header, error) {
	if p.httpsAuth == "" {
		return nil, nil
	}
	return http.Header{"Proxy-Authorization": {p.httpsAuth}}, nil
}

// proxied adds Proxy-Authorization to plain requests that go through a proxy (RFC 9110 §11.7.2).
type proxied struct {
	*http.Transport
	proxies *proxies
}

func (t *proxied) RoundTrip(r *http.Request) (*http.Response, error) {
	if via, _ := t.proxies.choose(r); via != nil && r.URL.Scheme == "http" && t.proxies.httpAuth != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Proxy-Authorization", t.proxies.httpAuth)
	}
	return t.Transport.RoundTrip(r)
}

// do sends one request, for which the caller has a place, and reads the whole bounded body. Its error wraps ErrUnavailable.
func (i *Issuer) do(client *http.Client, r *http.Request) (*answer, error) {
	res, err := client.Do(r)
	i.note(res, err)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, withoutQuery(err))
		if errors.As(err, new(*tls.CertificateVerificationError)) {
			err = fmt.Errorf("%w: if the certificate is right, write the file of its authority as ca_file", err)
		}
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, withoutQuery(err))
	}
	if len(body) > maxDocument {
		return nil, fmt.Errorf("%w: %s answered with more than %d bytes", ErrUnavailable, r.URL.Path, maxDocument)
	}
	return &answer{res.StatusCode, res.Header, body}, nil
}

// withoutQuery takes the query out of the URL that net/http puts into its errors: it could hold a token.
func withoutQuery(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		bare, _, _ := strings.Cut(e.URL, "?")
		return &url.Error{Op: e.Op, URL: bare, Err: e.Err}
	}
	return err
}

// get fetches metadata or a key set, and returns its JSON.
func (i *Issuer) get(ctx context.Context, address string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	leave, err := i.calls.forKeys(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	r.Header = i.header.Clone()
	r.Header.Set("Accept", "application/json")
	a, err := i.do(i.http, r)
	if err != nil {
		return nil, err
	}
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("%w: GET %s: expected 200, got %d", ErrUnavailable, address, a.status)
	}
	return a.json(), nil
}
