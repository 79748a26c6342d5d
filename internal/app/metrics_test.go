package app

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestExpiryOfCertificates checks that a scrape has the expiry of the certificates of a listener, of a client of an issuer, and of a client
// of an upstream.
func TestExpiryOfCertificates(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	text := fmt.Sprintf(`
listen: [{address: "127.0.0.1:0", tls: {cert_file: %s/cert.pem, key_file: %[1]s/key.pem}}]
admin: {listen: off}
route:
  upstream: {url: "https://app.example.com", client_cert_file: %[1]s/cert.pem, client_key_file: %[1]s/key.pem}
oidc:
  issuer: https://idp.example.com
  client_id: app
  client_auth: tls_client_auth
  tls_client_auth_cert_file: %[1]s/cert.pem
  tls_client_auth_key_file: %[1]s/key.pem
  session_secret: 0123456789abcdef0123456789abcdef
`, dir)
	s, file := mustServer(t, text)
	if err := s.open(file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stop() })
	pair, err := tls.LoadX509KeyPair(dir+"/cert.pem", dir+"/key.pem")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.admin().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for use, name := range map[string]string{
		"listener": "127.0.0.1:0", "issuer": "https://idp.example.com", "upstream": "app.example.com",
	} {
		want := fmt.Sprintf("sallyport_certificate_expiry_timestamp_seconds{name=%q,use=%q} %v\n", name, use,
			float64(pair.Leaf.NotAfter.Unix()))
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("expected %sin %s", want, w.Body)
		}
	}
}
