package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/balance"
	"sallyport/internal/clientcert"
	"sallyport/internal/dpop"
	"sallyport/internal/http1"
)

// An upstreamTarget is one server of an upstream, with a pool of connections.
type upstreamTarget struct {
	url    *url.URL
	host   string // the Host of requests; empty: that of the client's request, because a Unix socket has no name
	conns  certifiedConns
	plain  *http1.Client // for requests over plain HTTP/1.1; nil: the upstream has TLS or HTTP/2
	nonces dpop.ServerNonces
	state  *balance.Target
}

// newUpstreamTarget returns the target at an address: a URL or unix:/path.
func newUpstreamTarget(s UpstreamSettings, address string) (*upstreamTarget, error) {
	u, err := parseTarget(address)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	if u.Scheme == "h2c" {
		u.Scheme, s.Protocol = "http", "http2"
	}
	t := &upstreamTarget{url: u, host: u.Host}
	dialer := &net.Dialer{Timeout: s.ConnectTimeout, KeepAlive: 30 * time.Second, Resolver: s.resolver}
	dial := dialer.DialContext // resolves a name anew, and tries all its addresses
	if path, isUnix := strings.CutPrefix(address, "unix:"); isUnix {
		u.Host = "localhost" // which net/http needs
		dial = func(ctx context.Context, _, _ string) (net.Conn, error) { return dialer.DialContext(ctx, "unix", path) }
	}
	make := func(certificate *tls.Certificate) (*upstreamConns, error) { return s.conns(dial, certificate) }
	if s.ClientCertFile != "" {
		pool, err := clientcert.New(clientcert.Files{Cert: s.ClientCertFile, Key: s.ClientKeyFile}, make, nil)
		if err != nil {
			return nil, fmt.Errorf("upstream: client_cert_file: %w", err)
		}
		t.conns = pool
		return t, nil
	}
	if t.conns, err = make(nil); err != nil {
		return nil, err
	}
	if u.Scheme == "http" && s.Protocol != "http2" {
		t.plain = http1.New(http1.Settings{
			Address: t.address(), Dial: dial, HeaderTimeout: s.ResponseHeaderTimeout, IdleTimeout: s.IdleTimeout,
			MaxIdle: s.maxIdle(), MaxHeader: maxUpstreamHeader,
		})
	}
	return t, nil
}

// address returns the host and the port of the target.
func (t *upstreamTarget) address() string {
	if t.url.Port() != "" {
		return t.url.Host
	}
	return net.JoinHostPort(t.url.Hostname(), map[string]string{"http": "80", "https": "443"}[t.url.Scheme])
}

// attempt sends a request once, and records in s how far it came. If fresh is true, it doesn't use a pooled connection of plain HTTP/1.1.
func (t *upstreamTarget) attempt(s *sending, fresh bool) (*http.Response, error) {
	r := s.request
	r.Body = s.body
	p := proverOf(r)
	if t.plain != nil && p == nil && len(r.Header["Upgrade"]) == 0 && len(r.Header["Expect"]) == 0 {
		if s.hasBody() { // it belongs to the client's request
			r.Body = io.NopCloser(s.body)
		}
		r.Close = t.plain.MaxIdle == 0
		res, o, err := t.plain.Attempt(r, fresh)
		s.outcome = o
		return res, err
	}
	conns := t.conns.For(certificateOf(r))
	transport := conns.transport
	if r.Header.Get("Upgrade") != "" {
		transport = conns.upgrades
	}
	return s.send(t, transport, p)
}

// certificateOf returns the thumbprint of the gate's certificate to which the access token in a request may be bound, or "".
func certificateOf(r *http.Request) string {
	if d, _ := r.Context().Value(decisionKey{}).(*Decision); d != nil && d.Identity != nil {
		return d.Identity.Tokens.Certificate
	}
	return ""
}

// mayBeHTTP2 reports whether a transport may use HTTP/2 for the target.
func (t *upstreamTarget) mayBeHTTP2(transport *http.Transport) bool {
	return transport.Protocols.UnencryptedHTTP2() || transport.Protocols.HTTP2() && t.url.Scheme == "https"
}

// reach connects to the target, with a TLS handshake if its URL is https. It sends no request.
func (t *upstreamTarget) reach(ctx context.Context) error {
	transport := t.conns.For("").transport
	conn, err := transport.DialContext(ctx, "tcp", t.address())
	if err != nil {
		return err
	}
	defer conn.Close()
	if t.url.Scheme != "https" {
		return nil
	}
	c := transport.TLSClientConfig.Clone()
	c.ServerName = cmp.Or(c.ServerName, t.url.Hostname())
	return tls.Client(conn, c).HandshakeContext(ctx)
}

// certificateExpires returns when the gate's certificate for the target expires: the zero time without one.
func (t *upstreamTarget) certificateExpires() time.Time {
	if p, ok := t.conns.(*clientcert.Pool[*upstreamConns]); ok {
		return p.Expires()
	}
	return time.Time{}
}

func (t *upstreamTarget) close() error {
	t.conns.CloseIdleConnections()
	if t.plain != nil {
		return t.plain.Close()
	}
	return nil
}
