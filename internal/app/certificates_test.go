package app

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/config"
)

// noServer is the directory of an ACME server that isn't there: the certificates in the folder must do.
const noServer = "https://127.0.0.1:1/directory"

// storeCertificate writes the certificate of a host into a folder of certificates by ACME.
func storeCertificate(t *testing.T, folder, host string) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(60 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(noServer))
	dir := filepath.Join(folder, hex.EncodeToString(sum[:8]))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	if err := os.WriteFile(filepath.Join(dir, host), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return template
}

// acmeListen returns the settings of a listener with certificates by ACME from a folder.
func acmeListen(address, folder, more, hosts string) string {
	return fmt.Sprintf("admin: {listen: off}\ntrusted_proxies: [127.0.0.1]\nlisten: {address: %s, proxy_protocol: true, tls: {%s"+
		"acme: {directory: %q, agree_tos: true, folder: %s, hosts: [%s]}}}", address, more, noServer, folder, hosts)
}

// dialAs returns the names in the certificate that a listener behind a TCP proxy shows for a name, or the error.
func dialAs(address, name string, client *tls.Config) string {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, "PROXY TCP4 203.0.113.7 127.0.0.1 4711 443\r\n")
	client.ServerName, client.InsecureSkipVerify = name, true // the certificate of a test
	conn := tls.Client(c, client)
	if err := conn.Handshake(); err != nil {
		return err.Error()
	}
	return strings.Join(conn.ConnectionState().PeerCertificates[0].DNSNames, ", ")
}

// TestStoredCertificatesByACME checks that the certificates in the folder are served without the ACME server, also behind the PROXY
// protocol, that reloads add and remove hosts, go to another listener's settings and back to files, and that versions, cipher suites and
// client certificates hold.
func TestStoredCertificatesByACME(t *testing.T) {
	dir, address := t.TempDir(), freeAddress()
	folder := filepath.Join(dir, "acme")
	writeCertificate(t, dir)
	for _, host := range []string{"a.example", "b.example"} {
		storeCertificate(t, folder, host)
	}
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	r := newReloading(t, acmeListen(address, folder, "", "a.example"))
	serves := func(name, want string) {
		t.Helper()
		var got string
		if !awaited(func() bool { got = dialAs(address, name, &tls.Config{}); return strings.Contains(got, want) }) {
			t.Errorf("%q: %s, expected %s", name, got, want)
		}
	}
	const refused = "unrecognized name"
	serves("a.example", "a.example")
	serves("b.example", refused)
	r.reload(acmeListen(address, folder, "", "a.example, b.example"))
	if got := dialAs(address, "a.example", &tls.Config{}); got != "a.example" {
		t.Errorf("right after a reload: %s", got)
	}
	serves("b.example", "b.example")
	r.reload(acmeListen(address, folder, `min_version: "1.3", client_auth: require, `, "b.example"))
	serves("a.example", refused)
	serves("b.example", "b.example")
	if got := dialAs(address, "b.example", &tls.Config{MaxVersion: tls.VersionTLS12}); !strings.Contains(got, "protocol version") {
		t.Errorf("TLS 1.2 with min_version 1.3: %s", got)
	}
	r.reload(acmeListen(address, folder, "cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256], ", "b.example"))
	for suite, want := range map[uint16]string{
		tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "b.example", tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "handshake failure",
	} {
		client := &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}}
		if got := dialAs(address, "b.example", client); !strings.Contains(got, want) {
			t.Errorf("%s: %s, expected %s", tls.CipherSuiteName(suite), got, want)
		}
	}
	r.reload(fmt.Sprintf("trusted_proxies: [127.0.0.1]\nadmin: {listen: off}\nlisten: {address: %s, proxy_protocol: true, "+
		"tls: {cert_file: %s/cert.pem, key_file: %[2]s/key.pem}}", address, dir))
	if got := dialAs(address, "z.example", &tls.Config{}); got != "" {
		t.Errorf("with the certificate of files: %s", got)
	}
	if strings.Contains(r.log.String(), "is ordered") {
		t.Errorf("a certificate is ordered:\n%s", &r.log)
	}
}

// TestCheckNamesWhatACMEOrders checks what sallyport check says of an acme block.
func TestCheckNamesWhatACMEOrders(t *testing.T) {
	name := filepath.Join(t.TempDir(), "gate.yaml")
	text := "listen:\n  - {address: ':8443', tls: {acme: {agree_tos: true, folder: acme}}}\n  - ':8080'\n" +
		"routes: [{route: {upstream: 'http://a', hosts: [b.example, a.example]}, rules: [{auth: off}]}]\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Check(config.FromFile(name), &out); err != nil {
		t.Fatal(err)
	}
	want := "note: acme: the gate orders a certificate for each of a.example, b.example from " +
		"https://acme-v02.api.letsencrypt.org/directory by tls-alpn-01, unless the folder " + filepath.Join(filepath.Dir(name), "acme") +
		" has a valid one; this check orders none\n"
	if !strings.Contains(out.String(), want) {
		t.Errorf("%s, expected %s", &out, want)
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(name), "acme")); !os.IsNotExist(err) {
		t.Errorf("the check made the folder: %v", err)
	}
}

// TestNoHTTPOverAChallenge checks that a connection with the protocol of tls-alpn-01 is never served HTTP.
func TestNoHTTPOverAChallenge(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	pair, err := tls.LoadX509KeyPair(dir+"/cert.pem", dir+"/key.pem")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	challenge := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"acme-tls/1"}}
	d := &door{doorSettings: doorSettings{name: "clients"}, socket: l.(*net.TCPListener), tls: new(atomic.Pointer[tls.Config])}
	d.tls.Store(&tls.Config{
		MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return challenge, nil },
	})
	served := false
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true })
	d.accept, d.http = &acceptor{TCPListener: d.socket}, d.newHTTP(h, slog.New(slog.DiscardHandler))
	d.start(d.accept, func(err error) { t.Error(err) })
	c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{NextProtos: []string{"acme-tls/1"}, InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	if body, _ := io.ReadAll(c); c.ConnectionState().NegotiatedProtocol != "acme-tls/1" || len(body) > 0 {
		t.Errorf("the answer is %q over %q", body, c.ConnectionState().NegotiatedProtocol)
	}
	if err := d.shutdown(t.Context()); err != nil || served {
		t.Errorf("HTTP was served: %t; %v", served, err)
	}
}

// TestOtherPathsOfChallenges checks that a path below that of challenges goes to the route if no order is under way.
func TestOtherPathsOfChallenges(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the upstream "+r.URL.Path) }))
	defer up.Close()
	plain, folder := freeAddress(), filepath.Join(t.TempDir(), "acme")
	storeCertificate(t, folder, "a.example")
	r := newReloading(t, fmt.Sprintf("admin: {listen: off}\nlisten:\n  - %s\n  - {address: '127.0.0.1:0', tls: {acme: {directory: %q, "+
		"agree_tos: true, challenge: http-01, folder: %s, hosts: [a.example]}}}", plain, noServer, folder))
	r.upstream = up.URL
	r.reload(mustRead(t, r.name, "watch: false"))
	if got := get("http://" + plain + "/.well-known/acme-challenge/token"); got != "200 the upstream /.well-known/acme-challenge/token<nil>" {
		t.Errorf("%s", got)
	}
}

// mustRead returns the text of a file up to a word.
func mustRead(t *testing.T, name, word string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	text, _, _ := strings.Cut(string(data), word)
	return text
}
