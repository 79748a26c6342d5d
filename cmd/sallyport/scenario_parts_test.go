package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"sallyport/internal/provider"
)

// environment is what ${env:...} in the gate's file may name, as far as the scene has it.
func (s *scene) environment() (all []string) {
	for _, name := range []string{
		"ISSUER", "OTHER_ISSUER", "UPSTREAM", "GATE", "ADMIN", "SECRET", "CA", "CERT", "KEY", "MTLS", "PROXY", "REDIS_PORT", "REDIS_SOCKET",
	} {
		if value := s.ts.Getenv(name); value != "" {
			all = append(all, name+"="+value)
		}
	}
	return all
}

// claimValue reads JSON, now and a duration from now, or plain text.
func claimValue(text string) any {
	if d, relative := strings.CutPrefix(text, "now"); relative {
		if d, err := time.ParseDuration(d); err == nil {
			return time.Now().Add(d).Unix()
		}
	}
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	return v
}

// later lets provider.Start end with a scenario that has begun already.
type later struct {
	testing.TB
	ts *testscript.TestScript
}

func (l later) Cleanup(f func())                  { l.ts.Defer(f) }
func (l later) Helper()                           {}
func (l later) Fatalf(format string, args ...any) { l.ts.Fatalf(format, args...) }
func (l later) Errorf(format string, args ...any) { l.ts.Fatalf(format, args...) }

// secure starts another provider, over https, in the place of the first.
func (s *scene) secure(bool, []string) {
	config := providerConfig(s.ts.Getenv("GATE"))
	config.Clients = append(config.Clients, provider.Client{ID: "certified", AuthMethod: "tls_client_auth", TLSSubjectDN: "CN=certified",
		AccessTokenAudience: []string{"certified"}, AnyAudience: true, RedirectURIs: []string{"http://127.0.0.1/oauth2/callback"}})
	s.provider.Close()
	s.provider = provider.StartTLS(later{ts: s.ts}, config)
	cert, key := provider.CertificatePEM(s.provider.ClientCert("certified"))
	s.ts.Setenv("ISSUER", s.provider.URL)
	s.ts.Setenv("MTLS", s.provider.MTLSURL)
	s.ts.Setenv("CA", s.write("ca.pem", s.provider.CAPEM()))
	s.ts.Setenv("CERT", s.write("client.pem", cert))
	s.ts.Setenv("KEY", s.write("client.key", key))
	s.roots = x509.NewCertPool()
	s.roots.AppendCertsFromPEM(s.provider.CAPEM())
	s.trust()
}

// trust lets the scene's client reach a secure provider.
func (s *scene) trust() {
	if s.roots != nil {
		s.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.roots}}
	}
}

// write writes a file of the scene and returns its path.
func (s *scene) write(name string, data []byte) string {
	path := s.ts.MkAbs(name)
	s.ts.Check(os.WriteFile(path, data, 0o600))
	return path
}

// A forwardProxy is an HTTP proxy that remembers what it was asked.
type forwardProxy struct {
	mu    sync.Mutex
	asked int
	all   bytes.Buffer
}

func (p *forwardProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked++
	fmt.Fprintf(&p.all, "%s %s\r\n", r.Method, r.RequestURI)
	r.Header.Write(&p.all)
	p.mu.Unlock()
	if r.Method != http.MethodConnect {
		(&httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}}).ServeHTTP(w, r)
		return
	}
	there, err := net.Dial("tcp", r.Host)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		there.Close()
		return
	}
	io.WriteString(here, "HTTP/1.1 200 Connected\r\n\r\n")
	go func() { io.Copy(there, here); there.Close() }()
	io.Copy(here, there)
	here.Close()
}

func (s *scene) proxy(_ bool, args []string) {
	if args[0] == "start" {
		s.via = &forwardProxy{}
		server := httptest.NewServer(s.via)
		s.ts.Defer(server.Close)
		s.ts.Setenv("PROXY", server.URL)
		return
	}
	s.via.mu.Lock()
	asked, all := s.via.asked, strings.ReplaceAll(s.via.all.String(), "\r\n", "\n")
	s.via.mu.Unlock()
	switch args[0] {
	case "asked":
		if got := fmt.Sprint(asked); got != args[1] {
			s.ts.Fatalf("the proxy was asked %s times, expected %s:\n%s", got, args[1], all)
		}
	case "sent":
		s.match(all, args[1], "what the proxy was sent")
	default:
		s.ts.Fatalf("proxy %s isn't known", args[0])
	}
}
