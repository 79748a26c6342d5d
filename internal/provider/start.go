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

// TB is what Start needs of testing.TB: a binary that serves a demo must not link the testing package.
type TB interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// server is what Start and StartTLS make.
type server struct {
	tb TB
	ca *authority // nil without TLS

	mu    sync.Mutex
	doors []*door
}

// A door is a listener and what is served there.
type door struct {
	addr  string
	serve http.Handler
	tls   *tls.Config  // nil: plain http
	http  *http.Server // nil while closed
}

// Start serves a provider on a free port of 127.0.0.1 until the test ends, and then reports what Want has found. Its Issuer
// is its URL, unless the configuration names another.
func Start(tb TB, c Config) *Provider {
	tb.Helper()
	p := New(c)
	p.server.tb = tb
	front := &door{addr: "127.0.0.1:0", serve: p}
	p.server.doors = []*door{front}
	p.Reopen()
	p.started(c, "http://"+front.addr)
	return p
}

// started is the end of every start.
func (p *Provider) started(c Config, url string) {
	p.URL = url
	if c.Issuer == "" {
		p.SetIssuer(url)
	}
	tb := p.server.tb
	tb.Cleanup(func() {
		p.Close()
		for _, err := range p.Failures() {
			tb.Errorf("the provider was asked wrongly: %v", err)
		}
	})
}

// Close ends the listeners and all connections: the issuer can't be reached until Reopen.
func (p *Provider) Close() {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	for _, d := range p.server.doors {
		if d.http != nil {
			d.http.Close()
			d.http = nil
		}
	}
}

// Reopen listens again, at the addresses of before.
func (p *Provider) Reopen() {
	s := &p.server
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.doors {
		if d.http != nil {
			continue
		}
		if err := d.open(); err != nil {
			s.tb.Fatalf("the provider can't listen: %v", err)
			return
		}
	}
}

func (d *door) open() error {
	l, err := net.Listen("tcp", d.addr)
	if err != nil {
		return err
	}
	d.addr = l.Addr().String()
	d.http = &http.Server{Handler: d.serve, ReadHeaderTimeout: 10 * time.Second}
	if d.tls == nil {
		go d.http.Serve(l)
		return nil
	}
	d.http.TLSConfig = d.tls.Clone()
	d.http.ErrorLog = log.New(io.Discard, "", 0) // of handshakes that a test lets fail
	go d.http.ServeTLS(l, "", "")
	return nil
}
