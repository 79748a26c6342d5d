package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"sallyport/internal/authorities"
	"sallyport/internal/clientcert"
)

// certifiedConns are the connections to an upstream, by the thumbprint of the client certificate to which a token is bound.
type certifiedConns interface {
	For(certificate string) *upstreamConns // "": of the current certificate
	CloseIdleConnections()
}

// upstreamConns are the connections to an upstream with one client certificate, or without one.
type upstreamConns struct {
	transport *http.Transport
	upgrades  *http.Transport // for requests with Upgrade, which HTTP/2 doesn't have (RFC 9113 §8.6)
	checks    *http.Transport // for health checks, each of which has a connection of its own
}

// For returns c: without a client certificate all tokens have the same connections.
func (c *upstreamConns) For(string) *upstreamConns { return c }

// CloseIdleConnections closes the idle connections. The others are closed when their requests end.
func (c *upstreamConns) CloseIdleConnections() {
	c.transport.CloseIdleConnections()
	c.upgrades.CloseIdleConnections()
}

const (
	maxIdle           = 512     // pooled connections; with net/http's default of 2, most requests would dial
	maxUpstreamHeader = 1 << 20 // bytes

	// pingAfter is how long an HTTP/2 connection may be silent before the gate looks whether the target is there.
	pingAfter = 15 * time.Second
)

// maxIdle returns how many connections are pooled.
func (s *UpstreamSettings) maxIdle() int {
	if !s.Reuse {
		return 0
	}
	return maxIdle
}

// A dialFunc connects to a target.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// conns returns connections with a client certificate, unless it is nil.
func (s *UpstreamSettings) conns(dial dialFunc, certificate *tls.Certificate) (*upstreamConns, error) {
	transport, err := s.transport(s.Protocol, dial, certificate)
	if err != nil {
		return nil, err
	}
	upgrades, err := s.transport("http1", dial, certificate)
	if err != nil {
		return nil, err
	}
	checks, err := s.transport(s.Protocol, dial, certificate)
	if err != nil {
		return nil, err
	}
	checks.DisableKeepAlives = true
	return &upstreamConns{transport, upgrades, checks}, nil
}

// transport returns a transport for a protocol: auto, http1 or http2.
func (s *UpstreamSettings) transport(protocol string, dial dialFunc, certificate *tls.Certificate) (*http.Transport, error) {
	t := &http.Transport{
		DialContext:           dial,
		TLSHandshakeTimeout:   s.ConnectTimeout,
		ResponseHeaderTimeout: s.ResponseHeaderTimeout,
		IdleConnTimeout:       s.IdleTimeout,
		ExpectContinueTimeout: time.Second,
		MaxIdleConnsPerHost:   maxIdle,
		DisableKeepAlives:     !s.Reuse,
		DisableCompression:    true,
		Protocols:             new(http.Protocols),
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: s.ConnectTimeout},
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

func (s *UpstreamSettings) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: s.ServerName, InsecureSkipVerify: !s.SSLVerify} // #nosec G402: ssl_verify
	if s.CAFile == "" {
		return c, nil
	}
	var err error
	if c.RootCAs, err = authorities.Of(s.CAFile); err != nil {
		return nil, fmt.Errorf("upstream: ca_file: %w", err)
	}
	return c, nil
}
