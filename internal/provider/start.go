package provider

import (
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// TB is the part of testing.TB that Start needs. The demo's binary must not link the testing package.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// A server holds the listeners of Start and StartTLS.
type server struct {
	tb TB
	ca *testCA // nil without StartTLS

	mu        sync.Mutex
	listeners []*listener
}

// A listener is a TCP address with the handler that serves it.
type listener struct {
	addr  string
	serve http.Handler
	tls   *tls.Config  // nil for plain HTTP
	http  *http.Server // nil while closed
}

// Start serves a provider on a free port of 127.0.0.1 until the test ends, and then reports the failures of Want. By default
// the issuer is the provider's URL.
func Start(tb TB, c Config) *Provider {
	tb.Helper()
	p := New(c)
	p.server.tb = tb
	front := &listener{addr: "127.0.0.1:0", serve: p}
	p.server.listeners = []*listener{front}
	p.Reopen()
	p.finishStart(c, "http://"+front.addr)
	return p
}

// finishStart sets URL, and by default the issuer, and registers the cleanup of the test.
func (p *Provider) finishStart(c Config, url string) {
	p.URL = url
	if c.Issuer == "" {
		p.SetIssuer(url + p.as().issuerPath)
	}
	tb := p.server.tb
	tb.Cleanup(func() {
		p.Close()
		for _, err := range p.Failures() {
			tb.Errorf("unexpected request to the provider: %v", err)
		}
	})
}

// Close closes the listeners and all connections, so that the provider can't be reached until Reopen.
func (p *Provider) Close() {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	for _, l := range p.server.listeners {
		if l.http != nil {
			l.http.Close()
			l.http = nil
		}
	}
}

// Reopen listens on the same addresses again.
func (p *Provider) Reopen() {
	s := &p.server
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.listeners {
		if l.http != nil {
			continue
		}
		if err := l.open(); err != nil {
			s.tb.Fatalf("the provider can't listen: %v", err)
			return
		}
	}
}

// open listens and serves in the background. It sets addr to the address that the kernel chose.
func (l *listener) open() error {
	tcp, err := net.Listen("tcp", l.addr)
	if err != nil {
		return err
	}
	l.addr = tcp.Addr().String()
	l.http = &http.Server{Handler: l.serve, ReadHeaderTimeout: 10 * time.Second}
	if l.tls == nil {
		go l.http.Serve(tcp)
		return nil
	}
	l.http.TLSConfig = l.tls.Clone()
	l.http.ErrorLog = log.New(io.Discard, "", 0) // tests cause failed handshakes
	go l.http.ServeTLS(tcp, "", "")
	return nil
}
