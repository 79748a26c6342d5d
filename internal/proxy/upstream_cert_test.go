package proxy

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/provider"
)

// TestUpstreamCertificate checks that the gate authenticates to an upstream with its certificate, by every protocol.
func TestUpstreamCertificate(t *testing.T) {
	back := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	back.EnableHTTP2, back.TLS = true, &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	back.StartTLS()
	defer back.Close()
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := provider.CertificatePEM(provider.SelfSignedCert("gate"))
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: back.Certificate().Raw})
	s := UpstreamSettings{
		URL: back.URL, SSLVerify: true, CAFile: file("ca.pem", authority),
		ClientCertFile: file("gate.pem", cert), ClientKeyFile: file("gate.key", key),
	}
	for _, protocol := range []string{"auto", "http1", "http2"} {
		s.Protocol = protocol
		front := startUpstream(t, s)
		res, err := front.Client().Get(front.URL + "/off/x")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if string(body) != "gate" {
			t.Errorf("%s: %s, and the upstream received the certificate %q", protocol, res.Status, body)
		}
	}
	s.ClientKeyFile = s.ClientCertFile
	if _, err := NewUpstream(s); err == nil {
		t.Error("a certificate without its key is accepted")
	}
}
