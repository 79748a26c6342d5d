package provider

import (
	"fmt"
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

// server is the listener that Start makes.
type server struct {
	tb   TB
	addr string

	mu   sync.Mutex
	http *http.Server // nil while closed
}

// Start serves a provider on a free port of 127.0.0.1 until the test ends, and then reports what Want has found. Its Issuer
// is its URL, unless the configuration names another.
func Start(tb TB, c Config) *Provider {
	tb.Helper()
	p := New(c)
	p.server.tb, p.server.addr = tb, "127.0.0.1:0"
	p.Reopen()
	p.URL = "http://" + p.server.addr
	if c.Issuer == "" {
		p.SetIssuer(p.URL)
	}
	tb.Cleanup(func() {
		p.Close()
		for _, err := range p.Failures() {
			tb.Errorf("the provider was asked wrongly: %v", err)
		}
	})
	return p
}

// Close ends the listener and all connections: the issuer can't be reached until Reopen.
func (p *Provider) Close() {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	if p.server.http != nil {
		p.server.http.Close()
		p.server.http = nil
	}
}

// Reopen listens again, at the address of before.
func (p *Provider) Reopen() {
	s := &p.server
	s.tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http != nil {
		return
	}
	l, err := net.Listen("tcp", s.addr)
	if err != nil {
		s.tb.Fatalf("the provider can't listen: %v", err)
		return
	}
	s.addr = l.Addr().String()
	s.http = &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	go s.http.Serve(l)
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
