package clientcert

import (
	"bytes"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/provider"
)

// renew replaces the files by those of a new certificate, as a program that renews certificates does.
func renew(t *testing.T, f Files, name string) {
	t.Helper()
	cert, key := provider.CertificatePEM(provider.SelfSignedCert(name))
	for file, content := range map[string][]byte{f.Cert: cert, f.Key: key} {
		if err := os.WriteFile(file+".new", content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			t.Fatal(err)
		}
	}
}

// TestRenewal checks which certificate a server receives over HTTP/2 while a request with the first one is still under way.
func TestRenewal(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	back := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			close(arrived)
			<-release
		}
		io.WriteString(w, r.Proto+" "+r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	back.EnableHTTP2, back.TLS = true, &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	back.StartTLS()
	defer back.Close()
	roots := back.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs

	dir := t.TempDir()
	files := Files{filepath.Join(dir, "c.pem"), filepath.Join(dir, "c.key")}
	var log bytes.Buffer
	transport := func(pair *tls.Certificate) (*http.Transport, error) {
		c := &tls.Config{RootCAs: roots}
		Use(c, pair)
		return &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}, nil
	}
	if _, err := New(files, transport, nil); err == nil {
		t.Fatal("expected an error without files")
	}
	renew(t, files, "first")
	p, err := New(files, transport, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	p.now = func() time.Time { return now }
	get := p.Get
	ask := func(path string) string {
		res, err := (&http.Client{Transport: get()}).Get(back.URL + path)
		if err != nil {
			t.Error(err)
			return ""
		}
		defer res.Body.Close()
		b, _ := io.ReadAll(res.Body)
		return string(b)
	}
	expect := func(when, want string) {
		t.Helper()
		if got := ask("/"); got != "HTTP/2.0 "+want {
			t.Errorf("%s: the server received %q, expected the certificate %s", when, got, want)
		}
	}
	long := make(chan string)
	go func() { long <- ask("/long") }()
	<-arrived
	expect("at first", "first")
	renew(t, files, "second")
	expect("within a second", "first")
	now = now.Add(lookEvery)
	expect("after it", "second")
	os.WriteFile(files.Cert, []byte("half a file"), 0o600)
	now = now.Add(lookEvery)
	expect("with a file that can't be read", "second")
	if !strings.Contains(log.String(), "can't be read again") || strings.Contains(log.String(), "PRIVATE") {
		t.Errorf("the log: %s", log.String())
	}
	os.Remove(files.Key)
	now = now.Add(lookEvery)
	expect("without a file", "second")
	renew(t, files, "third")
	now = now.Add(lookEvery)
	expect("with good ones again", "third")
	third := p.current.thumbprint
	renew(t, files, "fourth")
	get = func() *http.Transport { return p.For(third) }
	expect("within a second, for a token of the third", "third")
	get = func() *http.Transport { return p.For("of a certificate that another pool has read") }
	expect("for a newer token", "fourth")
	renew(t, files, "fifth")
	expect("for the newer token, within a second", "fourth") // it was looked for once
	get = func() *http.Transport { return p.For(third) }
	expect("for a token of the one before", "third")
	get = p.Get
	close(release)
	if got := <-long; got != "HTTP/2.0 first" {
		t.Errorf("the request under way ended with %q", got)
	}
}
