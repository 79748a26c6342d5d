package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"sallyport/internal/clientcert"
	"sallyport/internal/dpop"
	"sallyport/internal/http1"
)

// An Upstream is the service behind a route, with a pool of connections.
type Upstream struct {
	url    *url.URL
	conns  certifiedConns
	plain  *http1.Client // for requests over plain HTTP/1.1; nil: the upstream has TLS or HTTP/2
	nonces dpop.ServerNonces
}

// certifiedConns are the connections to an upstream, by the thumbprint of the client certificate to which a token is bound.
type certifiedConns interface {
	For(certificate string) *upstreamConns // "": of the current certificate
	CloseIdleConnections()
}

// upstreamConns are the connections to an upstream with one client certificate, or without one.
type upstreamConns struct {
	transport *http.Transport
	upgrades  *http.Transport // for requests with Upgrade, which HTTP/2 doesn't have (RFC 9113 §8.6)
}

// For returns c: without a client certificate all tokens have the same connections.
func (c *upstreamConns) For(string) *upstreamConns { return c }

// CloseIdleConnections closes the idle connections. The others are closed when their requests end.
func (c *upstreamConns) CloseIdleConnections() {
	c.transport.CloseIdleConnections()
	c.upgrades.CloseIdleConnections()
}

// NewUpstream returns the upstream of the settings. It doesn't connect yet.
func NewUpstream(s UpstreamSettings) (*Upstream, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	if u.Scheme == "h2c" {
		u.Scheme, s.Protocol = "http", "http2"
	}
	if s.ClientCertFile != "" {
		files := clientcert.Files{Cert: s.ClientCertFile, Key: s.ClientKeyFile}
		pool, err := clientcert.New(files, s.conns, nil)
		if err != nil {
			return nil, fmt.Errorf("upstream: client_cert_file: %w", err)
		}
		return &Upstream{url: u, conns: pool}, nil
	}
	conns, err := s.conns(nil)
	if err != nil {
		return nil, err
	}
	up := &Upstream{url: u, conns: conns}
	if u.Scheme == "http" && s.Protocol != "http2" {
		up.plain = http1.New(http1.Settings{
			Address: up.address(), Dial: conns.transport.DialContext, HeaderTimeout: s.ResponseHeaderTimeout, IdleTimeout: s.IdleTimeout,
			MaxIdle: maxIdle, MaxHeader: maxUpstreamHeader,
		})
	}
	return up, nil
}

// conns returns connections with a client certificate, unless it is nil.
func (s *UpstreamSettings) conns(certificate *tls.Certificate) (*upstreamConns, error) {
	transport, err := s.transport(s.Protocol, certificate)
	if err != nil {
		return nil, err
	}
	upgrades, err := s.transport("http1", certificate)
	return &upstreamConns{transport, upgrades}, err
}

const (
	maxIdle           = 512     // pooled connections; with net/http's default of 2, most requests would dial
	maxUpstreamHeader = 1 << 20 // bytes
)

// address returns the host and the port of the upstream.
func (u *Upstream) address() string {
	if u.url.Port() != "" {
		return u.url.Host
	}
	return net.JoinHostPort(u.url.Hostname(), map[string]string{"http": "80", "https": "443"}[u.url.Scheme])
}

// transport returns a transport for a protocol: auto, http1 or http2.
func (s *UpstreamSettings) transport(protocol string, certificate *tls.Certificate) (*http.Transport, error) {
	t := &http.Transport{
		DialContext:           (&net.Dialer{Timeout: s.ConnectTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   s.ConnectTimeout,
		ResponseHeaderTimeout: s.ResponseHeaderTimeout,
		IdleConnTimeout:       s.IdleTimeout,
		ExpectContinueTimeout: time.Second,
		MaxIdleConnsPerHost:   maxIdle,
		DisableCompression:    true,
		Protocols:             new(http.Protocols),
	}
	t.Protocols.SetHTTP1(protocol != "http2")
	t.Protocols.SetHTTP2(protocol != "http1")
	t.Protocols.SetUnencryptedHTTP2(protocol == "http2")
	var err error
	if t.TLSClientConfig, err = s.tls(); err == nil && certificate != nil {
		clientcert.Use(t.TLSClientConfig, certificate)
	}
	return t, err
}

// RoundTrip sends a request, over HTTP/1.1 if it has Upgrade. It may change r, which isn't the client's request but the gate's copy.
func (u *Upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	p := proverOf(r)
	if u.plain != nil && p == nil && len(r.Header["Upgrade"]) == 0 && len(r.Header["Expect"]) == 0 {
		if r.Body != nil && r.Body != http.NoBody { // the body belongs to the client's request
			r.Body = io.NopCloser(r.Body)
		}
		return u.plain.RoundTrip(r)
	}
	conns := u.conns.For(certificateOf(r))
	transport := conns.transport
	if r.Header.Get("Upgrade") != "" {
		transport = conns.upgrades
	}
	defer replayable(r, !u.mayBeHTTP2(transport))()
	if p != nil {
		return p.send(u, transport, r)
	}
	return transport.RoundTrip(r)
}

// certificateOf returns the thumbprint of the gate's certificate to which the access token in a request may be bound, or "".
func certificateOf(r *http.Request) string {
	if d, _ := r.Context().Value(decisionKey{}).(*Decision); d != nil && d.Identity != nil {
		return d.Identity.Tokens.Certificate
	}
	return ""
}

// mayBeHTTP2 reports whether a transport may use HTTP/2 for the upstream.
func (u *Upstream) mayBeHTTP2(t *http.Transport) bool {
	return t.Protocols.UnencryptedHTTP2() || t.Protocols.HTTP2() && u.url.Scheme == "https"
}

func (s *UpstreamSettings) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName, InsecureSkipVerify: !s.SSLVerify} // #nosec G402: ssl_verify
	if s.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, fmt.Errorf("upstream: ca_file: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("upstream: ca_file: %s holds no PEM certificate", s.CAFile)
	}
	return c, nil
}

// Reach connects to the upstream, with a TLS handshake if its URL is https. It sends no request.
func (u *Upstream) Reach(ctx context.Context) error {
	transport := u.conns.For("").transport
	conn, err := transport.DialContext(ctx, "tcp", u.address())
	if err != nil {
		return err
	}
	defer conn.Close()
	if u.url.Scheme != "https" {
		return nil
	}
	c := transport.TLSClientConfig.Clone()
	c.ServerName = cmp.Or(c.ServerName, u.url.Hostname())
	return tls.Client(conn, c).HandshakeContext(ctx)
}

// Certificate returns the host of the upstream, and when the gate's certificate for it expires: the zero time without one.
func (u *Upstream) Certificate() (host string, expires time.Time) {
	if p, ok := u.conns.(*clientcert.Pool[*upstreamConns]); ok {
		expires = p.Expires()
	}
	return u.url.Host, expires
}

// Close closes the idle connections. The others are closed when their requests end.
func (u *Upstream) Close() error {
	u.conns.CloseIdleConnections()
	if u.plain != nil {
		return u.plain.Close()
	}
	return nil
}
