package provider_test

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/provider"
)

// tlsClient returns a client that trusts the provider and sends cert, unless it is nil, to servers that request one.
func tlsClient(t *testing.T, p *provider.Provider, cert *tls.Certificate) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(p.CAPEM()) {
		t.Fatal("the provider has no CA certificate")
	}
	c := &tls.Config{RootCAs: roots}
	if cert != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
	}
	transport := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// ask posts a form with a client certificate.
func ask(t *testing.T, p *provider.Provider, cert *tls.Certificate, address string, form url.Values) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, object := sendWith(t, tlsClient(t, p, cert), r)
	return answer.StatusCode, object
}

func TestClientCertificates(t *testing.T) {
	own, registered := provider.SelfSignedCert("app"), provider.SelfSignedCert("own")
	sum := sha256.Sum256(own.Certificate[0])
	c := config()
	c.Clients = []provider.Client{
		{ID: "pki", AuthMethod: "tls_client_auth", TLSSubjectDN: "CN=app"},
		{ID: "nameless", AuthMethod: "tls_client_auth"},
		{ID: "self", AuthMethod: "self_signed_tls_client_auth", TLSThumbprint: provider.Thumbprint(own.Certificate[0])},
		{ID: "hex", AuthMethod: "self_signed_tls_client_auth", TLSThumbprint: strings.ToUpper(hex.EncodeToString(sum[:]))},
		{ID: "keys", AuthMethod: "self_signed_tls_client_auth", JWKS: jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: registered.Leaf.PublicKey, Certificates: []*x509.Certificate{registered.Leaf}}}}},
		{ID: "public"},
		{ID: "secret", Secret: "s3cret", AuthMethod: "client_secret_post"},
	}
	p := provider.StartTLS(t, c)
	app, other := p.ClientCert("app"), p.ClientCert("other")
	for name, tc := range map[string]struct {
		client   string
		cert     *tls.Certificate
		front    bool // use the listener that doesn't request a certificate
		more     url.Values
		expected int
	}{
		"by its name":                 {"pki", &app, false, nil, 200},
		"another name":                {"pki", &other, false, nil, 401},
		"its name, but no authority":  {"pki", &own, false, nil, 401},
		"no certificate":              {"pki", nil, false, nil, 401},
		"ignores the aliases":         {"pki", &app, true, nil, 401},
		"without a registered name":   {"nameless", &app, false, nil, 401},
		"unknown client":              {"nobody", &app, false, nil, 401},
		"no client_id":                {"", &app, false, nil, 401},
		"and a secret":                {"pki", &app, false, url.Values{"client_secret": {""}}, 401},
		"self-signed":                 {"self", &own, false, nil, 200},
		"self-signed, hexadecimal":    {"hex", &own, false, nil, 200},
		"self-signed, another":        {"self", &registered, false, nil, 401},
		"self-signed, none":           {"self", nil, false, nil, 401},
		"self-signed, in the keys":    {"keys", &registered, false, nil, 200},
		"self-signed, not in them":    {"keys", &own, false, nil, 401},
		"self-signed, at the front":   {"self", &own, true, nil, 401},
		"certificate, but registered": {"secret", &app, false, nil, 401},
		"a secret and a certificate":  {"secret", &app, false, url.Values{"client_secret": {"s3cret"}}, 200},
	} {
		t.Run(name, func(t *testing.T) {
			at := p.MTLSURL
			if tc.front {
				at = p.URL
			}
			for _, path := range []string{"/token", "/introspect", "/revoke"} {
				form := url.Values{"grant_type": {"client_credentials"}, "token": {"x"}, "client_id": {tc.client}}
				for k, v := range tc.more {
					form[k] = v
				}
				got, answer := ask(t, p, tc.cert, at+path, form)
				if got != tc.expected || got == 401 && answer["error"] != "invalid_client" {
					t.Errorf("%s: expected %d, got %d %v", path, tc.expected, got, answer)
				}
			}
		})
	}
}

// TestBoundTokens checks that access tokens (RFC 8705 §3) and a public client's refresh tokens (§4) need their certificate.
func TestBoundTokens(t *testing.T) {
	c := config()
	c.Clients = []provider.Client{
		{ID: "bound", Secret: "s3cret", AuthMethod: "client_secret_post", BoundTokens: true, OpaqueAccessTokens: true,
			KeepRefreshToken: true},
		{ID: "public", BoundTokens: true},
	}
	p := provider.StartTLS(t, c)
	app, other := p.ClientCert("app"), p.ClientCert("other")
	password := func(client string) url.Values {
		return url.Values{"grant_type": {"password"}, "client_id": {client}, "client_secret": {"s3cret"}, "username": {"john"},
			"password": {"doe"}, "scope": {"openid"}}
	}
	if got, answer := ask(t, p, nil, p.MTLSURL+"/token", password("bound")); got != 400 || answer["error"] != "invalid_request" {
		t.Errorf("without a certificate: got %d %v", got, answer)
	}
	status, tokens := ask(t, p, &app, p.MTLSURL+"/token", password("bound"))
	if status != 200 {
		t.Fatalf("got %d %v", status, tokens)
	}
	access := url.Values{"access_token": {tokens["access_token"].(string)}}
	for cert, expected := range map[*tls.Certificate]int{&app: 200, &other: 401, nil: 401} {
		if got, answer := ask(t, p, cert, p.MTLSURL+"/userinfo", access); got != expected {
			t.Errorf("userinfo: expected %d, got %d %v", expected, got, answer)
		}
	}
	_, answer := ask(t, p, nil, p.URL+"/introspect", url.Values{"client_id": {"bound"}, "client_secret": {"s3cret"},
		"token": access["access_token"]})
	if cnf, _ := answer["cnf"].(map[string]any); cnf["x5t#S256"] != provider.Thumbprint(app.Certificate[0]) {
		t.Errorf("introspection: got %v", answer)
	}
	refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {"bound"}, "client_secret": {"s3cret"},
		"refresh_token": {tokens["refresh_token"].(string)}}
	if got, answer := ask(t, p, &other, p.MTLSURL+"/token", refresh); got != 200 {
		t.Errorf("a new certificate: got %d %v", got, answer)
	}
	public := password("public")
	public.Del("client_secret")
	_, tokens = ask(t, p, &app, p.MTLSURL+"/token", public)
	refresh = url.Values{"grant_type": {"refresh_token"}, "client_id": {"public"}, "refresh_token": {tokens["refresh_token"].(string)}}
	if got, answer := ask(t, p, &other, p.MTLSURL+"/token", refresh); got != 400 || answer["error"] != "invalid_grant" {
		t.Errorf("a public client's new certificate: got %d %v", got, answer)
	}
	if got, answer := ask(t, p, &app, p.MTLSURL+"/token", refresh); got != 200 {
		t.Errorf("a public client's certificate: got %d %v", got, answer)
	}
}
