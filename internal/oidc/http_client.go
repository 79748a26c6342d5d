package oidc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/authorities"
	"sallyport/internal/clientcert"
)

// newHTTPClient returns the HTTP client for one authorization server. It has a time-out.
func newHTTPClient(s HTTPSettings, t http.RoundTripper) *http.Client {
	return &http.Client{Transport: t, Timeout: s.Timeout, CheckRedirect: checkRedirect}
}

// newTransport returns a transport that uses only the configured proxies. With a certificate the gate's client authenticates by TLS (RFC
// 8705 §2).
func newTransport(s HTTPSettings, certificate *tls.Certificate) (*proxyTransport, error) {
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
		clientcert.Use(t.TLSClientConfig, certificate)
	}
	if s.CAFile != "" {
		pool, err := authorities.WithSystem(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
		t.TLSClientConfig.RootCAs = pool
	}
	p, err := newProxies(s)
	if err != nil {
		return nil, err
	}
	t.Proxy, t.GetProxyConnectHeader = p.choose, p.connectHeader
	return &proxyTransport{Transport: t, proxies: p}, nil
}

// checkRedirect follows redirects of GET only, because a POST carries secrets, and never from https to http.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	if first.Method != http.MethodGet || len(via) > 3 || first.URL.Scheme == "https" && req.URL.Scheme != "https" {
		return http.ErrUseLastResponse
	}
	return nil
}

// do sends a request to an endpoint, which was admitted before, and reads the whole body of at most maxDocument bytes. The endpoint's name
// is for metrics and traces. The error wraps ErrUnavailable.
func (i *Issuer) do(client *http.Client, endpoint string, r *http.Request) (*response, error) {
	r, call := i.metrics.Call(endpoint, r)
	res, status, err := i.send(client, r)
	call.End(status, err)
	return res, err
}

// send is do without metrics and traces. It returns the status of a response whose body can't be read, too.
func (i *Issuer) send(client *http.Client, r *http.Request) (answer *response, status int, err error) {
	res, err := client.Do(r)
	i.outage.record(res, err)
	if err != nil {
		err = unavailable(withoutQuery(err))
		if errors.As(err, new(*tls.CertificateVerificationError)) {
			err = fmt.Errorf("%w: if the certificate is right, write the file of its authority as ca_file", err)
		}
		return nil, 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxDocument+1))
	if err != nil {
		return nil, res.StatusCode, unavailable(withoutQuery(err))
	}
	if len(body) > maxDocument {
		return nil, res.StatusCode, fmt.Errorf("%w: %s answered with more than %d bytes", ErrUnavailable, r.URL.Path, maxDocument)
	}
	return &response{res.StatusCode, res.Header, body}, res.StatusCode, nil
}

// newRequest returns a request to the authorization server. Its error wraps ErrUnavailable.
func newRequest(ctx context.Context, method, address string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, unavailable(err)
	}
	return r, nil
}

// unavailable returns an error that wraps ErrUnavailable and its cause.
func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// withoutQuery removes the query from the URL in an error of net/http, because it may have a token.
func withoutQuery(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		bare, _, _ := strings.Cut(e.URL, "?")
		return &url.Error{Op: e.Op, URL: bare, Err: e.Err}
	}
	return err
}

// get fetches metadata or a key set, which document names, and returns its JSON. The error wraps ErrUnavailable.
func (i *Issuer) get(ctx context.Context, document, address string) ([]byte, error) {
	r, err := newRequest(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	leave, err := i.calls.admitKeys(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	r.Header = i.header.Clone()
	r.Header.Set("Accept", "application/json")
	res, err := i.do(i.http, document, r)
	if err != nil {
		return nil, err
	}
	if res.status != http.StatusOK {
		return nil, fmt.Errorf("%w: GET %s: expected 200, got %d", ErrUnavailable, address, res.status)
	}
	return res.json(), nil
}
