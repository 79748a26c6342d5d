package app

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/provider"
	"sallyport/internal/testlog"
)

// output is what a process or a log has written.
type output struct{ testlog.Buffer }

// await waits until pattern matches the output, and returns the match of its last group.
func (o *output) await(t *testing.T, pattern string) string {
	t.Helper()
	expression := regexp.MustCompile(pattern)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if m := expression.FindStringSubmatch(o.String()); m != nil {
			return m[len(m)-1]
		}
	}
	t.Fatalf("%s didn't appear in\n%s", pattern, o)
	return ""
}

// running runs f until the test ends, and checks that it returns no error.
func running(t *testing.T, f func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
}

// TestDemo checks that the commands in the help work, and that a user can log in.
func TestDemo(t *testing.T) {
	var out, log output
	running(t, func(ctx context.Context) error { return Demo(ctx, "127.0.0.1:0", &out, &log) })
	address := out.await(t, `Open\s+(http://localhost:\d+/)`)
	out.await(t, `Ctrl-C`)
	want := []string{`"status":401`, `"path":"/public"`, `"user":"alice"`}
	lines := regexp.MustCompile(`(?m)^ +((?:token=(?:.*\n)+?)? *curl .*)$`).FindAllStringSubmatch(out.String(), -1)
	if len(lines) != len(want) {
		t.Fatalf("%d commands, expected %d:\n%s", len(lines), len(want), &out)
	}
	for i, line := range lines {
		got, err := exec.Command("sh", "-c", line[1]).Output()
		if err != nil || !strings.Contains(string(got), want[i]) {
			t.Errorf("%s\nprinted %s, %v, expected %s in it", line[1], got, err, want[i])
		}
	}
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	issuer := provider.New(provider.Config{Issuer: out.await(t, `(http://127\.0\.0\.1:\d+)/token`)})
	res, err := issuer.LogIn(browser, address, "bob", "bob")
	if err != nil {
		t.Fatal(err)
	}
	page, _ := io.ReadAll(res.Body)
	res.Body.Close()
	for _, words := range []string{"Bob Brown", "bob@example.com", "Log out"} {
		if !strings.Contains(string(page), words) {
			t.Errorf("the page doesn't say %q", words)
		}
	}
	if res, err = browser.Get(address + "admin"); err != nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("bob at /admin: %v, %v", res, err)
	}
	if strings.Contains(log.String(), "demo-secret") {
		t.Errorf("the log holds a secret: %s", &log)
	}
}

// TestTLS checks that a listener terminates TLS and speaks HTTP/2, and that a reload replaces its certificate.
func TestTLS(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("X-Forwarded-Proto"))
	}))
	defer upstream.Close()
	dir := t.TempDir()
	first := writeCertificate(t, dir)
	name := filepath.Join(dir, "gate.yaml")
	text := fmt.Sprintf("listen: [{address: 127.0.0.1:0, tls: {cert_file: %s/cert.pem, key_file: %[1]s/key.pem}}]\n"+
		"admin: {listen: off}\nroutes: [{route: {upstream: %[2]q}, rules: [{auth: off}]}]\n", dir, upstream.URL)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log output
	reload := make(chan struct{})
	running(t, func(ctx context.Context) error {
		return Run(ctx, Options{Config: config.FromFile(name), Reload: reload, Log: &log})
	})
	address := log.await(t, `"for":"clients","address":"([^"]+)"`)
	ask := func(trust *x509.Certificate) {
		t.Helper()
		pool := x509.NewCertPool()
		pool.AddCert(trust)
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
		defer tr.CloseIdleConnections()
		res, err := (&http.Client{Transport: tr}).Get("https://" + address)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		if body, _ := io.ReadAll(res.Body); res.ProtoMajor != 2 || string(body) != "https" {
			t.Errorf("%s %s", res.Proto, body)
		}
	}
	ask(first)
	second := writeCertificate(t, dir)
	reload <- struct{}{}
	log.await(t, `"msg":"reloaded"`)
	ask(second)
}

// TestClientAuthorityIsReloaded checks that a reload replaces the CA of client certificates, and that a refused reload changes nothing.
func TestClientAuthorityIsReloaded(t *testing.T) {
	upstream := httptest.NewServer(http.NotFoundHandler())
	defer upstream.Close()
	dir, before, after := t.TempDir(), t.TempDir(), t.TempDir()
	server := writeCertificate(t, dir)
	writeCertificate(t, before)
	writeCertificate(t, after)
	name := filepath.Join(dir, "gate.yaml")
	write := func(authority, more string) {
		text := fmt.Sprintf("listen: [{address: 127.0.0.1:0, tls: {cert_file: %s/cert.pem, key_file: %[1]s/key.pem,\n"+
			"  client_ca_file: %s/cert.pem, client_auth: require_and_verify}}]\n"+
			"admin: {listen: off}\nroutes: [{route: {upstream: %q%s}, rules: [{auth: off}]}]\n", dir, authority, upstream.URL, more)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(before, "")
	var log output
	reload := make(chan struct{})
	running(t, func(ctx context.Context) error {
		return Run(ctx, Options{Config: config.FromFile(name), Reload: reload, Log: &log})
	})
	address := log.await(t, `"for":"clients","address":"([^"]+)"`)
	opens := func(dir string, want bool) {
		t.Helper()
		pair, err := tls.LoadX509KeyPair(dir+"/cert.pem", dir+"/key.pem")
		if err != nil {
			t.Fatal(err)
		}
		pool := x509.NewCertPool()
		pool.AddCert(server)
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}}
		defer tr.CloseIdleConnections()
		res, err := (&http.Client{Transport: tr}).Get("https://" + address)
		if err == nil {
			res.Body.Close()
		}
		if (err == nil) != want {
			t.Errorf("the listener accepts the certificate: expected %v, got the error %v", want, err)
		}
	}
	opens(before, true)
	opens(after, false)
	write(after, ", pages: nowhere")
	reload <- struct{}{}
	log.await(t, `reload refused`)
	opens(before, true)
	write(after, "")
	reload <- struct{}{}
	log.await(t, `"msg":"reloaded"`)
	opens(before, false)
	opens(after, true)
}

// writeCertificate writes cert.pem and key.pem for 127.0.0.1.
func writeCertificate(t *testing.T, dir string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "gate"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		if err := os.WriteFile(filepath.Join(dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestBadFilesDontRun checks that a mistake which is found when the objects are made is refused with file and line, too.
func TestBadFilesDontRun(t *testing.T) {
	name := filepath.Join(t.TempDir(), "gate.yaml")
	text := "route:\n  upstream: {url: \"https://x\", ca_file: /nonexistent.pem}\noidc: {issuer: \"https://idp\", client_id: a}\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Check(config.FromFile(name), &out); err == nil || !strings.HasPrefix(err.Error(), name+":2: upstream.ca_file: ") {
		t.Errorf("check: %v", err)
	}
	if err := Run(t.Context(), Options{Config: config.FromFile(name), Log: &out}); err == nil {
		t.Error("it runs")
	}
}

// TestTLSVersions connects to listeners by versions and cipher suites that they allow or don't.
func TestTLSVersions(t *testing.T) {
	const suite = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
	dir := t.TempDir()
	pool := x509.NewCertPool()
	pool.AddCert(writeCertificate(t, dir))
	for _, c := range []struct {
		settings string
		version  uint16
		suite    uint16
		allowed  bool
	}{
		{"", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, true},
		{"", tls.VersionTLS11, 0, false},
		{`, min_version: "1.3"`, tls.VersionTLS12, 0, false},
		{`, min_version: "1.3"`, tls.VersionTLS13, 0, true},
		{", cipher_suites: [" + suite + "]", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, false},
		{", cipher_suites: [" + suite + "]", tls.VersionTLS12, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true},
	} {
		name := filepath.Join(dir, "gate.yaml")
		text := fmt.Sprintf("listen: [{address: 127.0.0.1:0, tls: {cert_file: %s/cert.pem, key_file: %[1]s/key.pem%s}}]\n"+
			"admin: {listen: off}\nroutes: [{route: {upstream: \"http://127.0.0.1:1\"}, rules: [{auth: off}]}]\n", dir, c.settings)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var log output
		running(t, func(ctx context.Context) error { return Run(ctx, Options{Config: config.FromFile(name), Log: &log}) })
		client := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: c.version}
		if c.suite != 0 {
			client.CipherSuites = []uint16{c.suite}
		}
		conn, err := tls.Dial("tcp", log.await(t, `"for":"clients","address":"([^"]+)"`), client)
		if (err == nil) != c.allowed {
			t.Errorf("%q, version %x, suite %x: %v", c.settings, c.version, c.suite, err)
		}
		if err == nil {
			conn.Close()
		}
	}
}
