package provider_test

import (
	"crypto/tls"
	"net/http"
	"reflect"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"

	"sallyport/internal/provider"
)

func TestStartTLS(t *testing.T) {
	p := provider.StartTLS(t, config())
	trusting := tlsClient(t, p, nil)
	if _, err := http.Get(p.URL + "/jwks"); err == nil {
		t.Error("expected a client without the CA certificate to fail")
	}
	if _, err := oidc.NewProvider(oidc.ClientContext(t.Context(), trusting), p.Issuer()); err != nil {
		t.Errorf("an independent client: %v", err)
	}
	answer := mustLogIn(t, p, withTransport(browser(p), trusting.Transport), oauthConfig(p, "app", "s3cret").AuthCodeURL("st"))
	if answer.Get("code") == "" {
		t.Errorf("login: got %v", answer)
	}
	for _, path := range []string{"/authorize", "/jwks", "/.well-known/openid-configuration", "/logout"} {
		r, err := trusting.Get(p.MTLSURL + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != http.StatusNotFound {
			t.Errorf("%s beside the aliases: expected 404, got %s", path, r.Status)
		}
	}
	p.Close()
	for _, address := range []string{p.URL, p.MTLSURL} {
		if _, err := trusting.Get(address + "/token"); err == nil {
			t.Errorf("expected %s to be closed", address)
		}
	}
	p.Reopen()
	if r, err := trusting.Get(p.MTLSURL + "/token"); err != nil || r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("reopened: got %v, %v", r, err)
	}
}

func withTransport(c *http.Client, transport http.RoundTripper) *http.Client {
	c.Transport = transport
	return c
}

// TestAliases checks that only StartTLS has mtls_endpoint_aliases and the mTLS authentication methods (RFC 8705 §5).
func TestAliases(t *testing.T) {
	plain, _ := start(t)
	_, without := get(t, plain.URL+string(provider.Discovery), "")
	if without["mtls_endpoint_aliases"] != nil || without["tls_client_certificate_bound_access_tokens"] != nil {
		t.Errorf("without TLS: got %v", without)
	}
	p := provider.StartTLS(t, config())
	p.SetIssuer(p.URL + "/realms/main")
	r, _ := http.NewRequest(http.MethodGet, p.Issuer()+string(provider.Discovery), nil)
	_, metadata := sendWith(t, tlsClient(t, p, nil), r)
	at := p.MTLSURL + "/realms/main"
	expected := map[string]any{"token_endpoint": at + "/token", "userinfo_endpoint": at + "/userinfo",
		"introspection_endpoint": at + "/introspect", "revocation_endpoint": at + "/revoke",
		"pushed_authorization_request_endpoint": at + "/par"}
	if !reflect.DeepEqual(metadata["mtls_endpoint_aliases"], expected) || metadata["tls_client_certificate_bound_access_tokens"] != true {
		t.Errorf("got %v", metadata)
	}
	count := func(m map[string]any, name string) int { list, _ := m[name].([]any); return len(list) }
	for name, expected := range map[string][2]int{
		"token_endpoint_auth_methods_supported": {5, 7}, "introspection_endpoint_auth_methods_supported": {4, 6},
		"revocation_endpoint_auth_methods_supported": {5, 7}, "introspection_endpoint_auth_signing_alg_values_supported": {13, 13},
	} {
		if got := [2]int{count(without, name), count(metadata, name)}; got != expected {
			t.Errorf("%s: expected %v, got %v", name, expected, got)
		}
	}
	if status, _ := ask(t, p, nil, at+"/token", nil); status != http.StatusUnauthorized {
		t.Errorf("the alias below the issuer's path: got %d", status)
	}
}

// TestServerMetadata checks that the path of RFC 8414 §3.1 serves the same metadata and is an endpoint of its own.
func TestServerMetadata(t *testing.T) {
	p, _ := start(t)
	p.AdjustAnswer(provider.ServerMetadata, func(a map[string]any) { a["service_documentation"] = "x" })
	for _, path := range []string{"", "/realms/main"} {
		p.SetIssuer(p.URL + path)
		_, one := get(t, p.Issuer()+string(provider.Discovery), "")
		r, other := get(t, p.URL+string(provider.ServerMetadata)+path, "")
		if other["service_documentation"] != "x" {
			t.Fatalf("%q: got %s %v", path, r.Status, other)
		}
		delete(other, "service_documentation")
		if !reflect.DeepEqual(one, other) || one["issuer"] != p.Issuer() {
			t.Errorf("%q: %v and %v", path, one, other)
		}
	}
	if r, _ := get(t, p.Issuer()+string(provider.ServerMetadata), ""); r.StatusCode != http.StatusNotFound {
		t.Errorf("below the path: expected 404, got %s", r.Status)
	}
	if got := p.Requests(provider.ServerMetadata); got != 2 {
		t.Errorf("expected 2 requests, got %d", got)
	}
}

// TestCertificatePEM checks that crypto/tls can read the files.
func TestCertificatePEM(t *testing.T) {
	made := provider.SelfSignedCert("app")
	read, err := tls.X509KeyPair(provider.CertificatePEM(made))
	if err != nil || provider.Thumbprint(read.Certificate[0]) != provider.Thumbprint(made.Certificate[0]) {
		t.Errorf("got %v", err)
	}
}
