package app

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/provider"
)

// discard is a ResponseWriter that discards the response.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

// benchServer returns a gate in front of a real upstream, without a listener.
func benchServer(b *testing.B) (*server, *provider.Provider) {
	page := strings.Repeat("a", 1024)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, page) }))
	b.Cleanup(upstream.Close)
	p := provider.Start(b, provider.Config{
		Clients: []provider.Client{{
			ID: "app", Secret: "secret",
			RedirectURIs: []string{"http://127.0.0.1/oauth2/callback", "http://127.0.0.1/cookie/oauth2/callback"},
		}},
		Users: []provider.User{{Username: "john", Password: "doe"}},
	})
	text := fmt.Sprintf("log: {access: false, level: warn}\nroutes:\n"+
		"  - route: {upstream: %q}\n    oidc: {issuer: %q, client_id: app, client_secret: secret, session_secret: %s}\n"+
		"    rules: [{paths: [/off], auth: off}]\n"+
		"  - route: {paths: [/asked], upstream: %[1]q}\n"+
		"    oidc: {issuer: %[2]q, client_id: app, client_secret: secret, auth_methods: [introspection]}\n"+
		"  - route: {paths: [/cookie], upstream: %[1]q}\n"+
		"    oidc: {issuer: %[2]q, client_id: app, client_secret: secret, session_secret: %[3]s, session_storage: cookie,\n"+
		"      session_cookie_name: c}\n",
		upstream.URL, p.URL, strings.Repeat("s", 32))
	s, _ := mustServer(b, text)
	b.Cleanup(s.state.close)
	return s, p
}

// mustServer returns a server of a configuration, without listeners and without a log.
func mustServer(t testing.TB, text string) (*server, *config.File) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "gate.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := config.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(file, Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return s, file
}

func benchmark(b *testing.B, s http.Handler, path string, header http.Header) {
	r := httptest.NewRequest("GET", "http://gate.example.com"+path, nil)
	r.RequestURI = path
	r.Header = header
	b.ReportAllocs()
	for b.Loop() {
		s.ServeHTTP(&discard{http.Header{}}, r)
	}
}

func BenchmarkOff(b *testing.B) {
	s, _ := benchServer(b)
	benchmark(b, s, "/off", http.Header{"Accept": {"*/*"}})
}

func BenchmarkBearer(b *testing.B) {
	s, p := benchServer(b)
	benchmark(b, s, "/", http.Header{"Authorization": {"Bearer " + p.AccessToken("john", "app", nil)}})
}

func BenchmarkIntrospection(b *testing.B) {
	s, p := benchServer(b)
	benchmark(b, s, "/asked", http.Header{"Authorization": {"Bearer " + p.AccessToken("john", "app", nil)}})
}

func BenchmarkRefused(b *testing.B) {
	s, _ := benchServer(b)
	benchmark(b, s, "/", http.Header{"Accept": {"application/json"}})
}

func BenchmarkSessionInMemory(b *testing.B) { benchmarkSession(b, "/", 0) }

// BenchmarkSessionInCookie has about 5 KB of tokens.
func BenchmarkSessionInCookie(b *testing.B) { benchmarkSession(b, "/cookie", 2000) }

// benchmarkSession measures requests with the session of a login at a path, whose access token has a claim of n bytes.
func benchmarkSession(b *testing.B, path string, n int) {
	s, p := benchServer(b)
	text := make([]byte, n/2)
	rand.Read(text)
	p.AdjustAccessToken(func(c map[string]any) { c["padding"] = hex.EncodeToString(text) })
	front := httptest.NewServer(s)
	defer front.Close()
	jar, _ := cookiejar.New(nil)
	res, err := p.LogIn(&http.Client{Jar: jar}, front.URL+path, "john", "doe")
	if err != nil || res.StatusCode != http.StatusOK {
		b.Fatal(res, err)
	}
	var cookies []string
	for _, c := range jar.Cookies(res.Request.URL) {
		cookies = append(cookies, c.Name+"="+c.Value)
	}
	benchmark(b, s, path, http.Header{"Cookie": {strings.Join(cookies, "; ")}})
}

// BenchmarkBare is the reference: a bare httputil.ReverseProxy to the same upstream.
func BenchmarkBare(b *testing.B) {
	page := strings.Repeat("a", 1024)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, page) }))
	b.Cleanup(upstream.Close)
	target, _ := url.Parse(upstream.URL)
	bare := &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:  &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
		BufferPool: &buffers{},
	}
	benchmark(b, bare, "/off", http.Header{"Accept": {"*/*"}})
}

// buffers is an httputil.BufferPool, as the gate has one.
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
