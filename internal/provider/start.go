package provider

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
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

// LogIn goes where a browser would: it opens address, which may be this provider's or a page that leads to it, fills in
// the login form if it meets one, and returns what comes of it. The browser needs a cookie jar and has to follow redirects,
// at least as far as the form.
func (p *Provider) LogIn(browser *http.Client, address, username, password string) (*http.Response, error) {
	page, err := open(browser, http.MethodGet, address, "")
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(page.Request.URL.String(), p.Issuer()+string(Authorization)+"?") || page.StatusCode != http.StatusOK {
		return page, nil // logged in before, or refused
	}
	page.Body.Close()
	form := url.Values{"username": {username}, "password": {password}}
	return open(browser, http.MethodPost, p.Issuer()+string(Login)+"?"+page.Request.URL.RawQuery, form.Encode())
}

// open asks as a person's browser does for a page.
func open(browser *http.Client, method, address, form string) (*http.Response, error) {
	r, err := http.NewRequest(method, address, strings.NewReader(form))
	if err != nil {
		return nil, fmt.Errorf("the address %q: %w", address, err)
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	if form != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return browser.Do(r)
}
