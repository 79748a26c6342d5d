package proxy

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestUpstreamTimeouts checks connect_timeout with an upstream that doesn't answer the TLS handshake, and idle_timeout.
func TestUpstreamTimeouts(t *testing.T) {
	closed := make(chan struct{}, 1)
	back := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	back.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			closed <- struct{}{}
		}
	}
	back.Start()
	defer back.Close()
	front, _ := start(t, nil, func(r *Route, _ *Config) {
		r.Upstream, _ = NewUpstream(UpstreamSettings{
			URL: back.URL, ConnectTimeout: time.Second, IdleTimeout: 10 * time.Millisecond, SSLVerify: true, Reuse: true,
		})
	})
	get(t, front, "/off")
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the connection stays open")
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // never answers the TLS handshake
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	front, _ = start(t, nil, func(r *Route, _ *Config) {
		r.Upstream, _ = NewUpstream(UpstreamSettings{
			URL: "https://" + silent.Addr().String(), ConnectTimeout: 10 * time.Millisecond, SSLVerify: true,
		})
	})
	if res, _ := get(t, front, "/off"); res.StatusCode != http.StatusGatewayTimeout && res.StatusCode != http.StatusBadGateway {
		t.Errorf("a silent upstream: %s", res.Status)
	}
}
