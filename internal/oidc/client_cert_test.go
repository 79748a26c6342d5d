package oidc

import (
	"errors"
	"path/filepath"
	"testing"

	"sallyport/internal/provider"
)

// beginBound starts a provider that binds the tokens of the client app to its certificate.
func beginBound(t *testing.T) begun {
	t.Helper()
	now := newClock()
	return begun{provider.StartTLS(t, provider.Config{
		Now:     now.Now,
		Clients: []provider.Client{{ID: "app", AuthMethod: "tls_client_auth", TLSSubjectDN: "CN=app", BoundTokens: true}},
		Users:   []provider.User{{Username: "john", Password: "doe"}},
	}), now}
}

// TestUserinfoWithCertificate checks that userinfo for a token that is bound to the client's certificate is requested with the
// certificate, at the endpoint of mtls_endpoint_aliases or of mtls_userinfo_endpoint (RFC 8705 §5).
func TestUserinfoWithCertificate(t *testing.T) {
	b := beginBound(t)
	dir := t.TempDir()
	cert, key := provider.CertificatePEM(b.provider.ClientCert("app"))
	s := Settings{ClientSettings: ClientSettings{
		ClientID: []string{"app"}, TLSClientAuthCertFile: write(t, filepath.Join(dir, "c.pem"), cert),
		TLSClientAuthKeyFile: write(t, filepath.Join(dir, "c.key"), key),
	}}
	s.Scopes, s.CallsPerClient = []string{"openid"}, 32
	for name, configured := range map[string]string{"announced": "", "configured": b.provider.MTLSURL + "/userinfo?configured"} {
		s.MTLSUserinfoEndpoint = configured
		c := b.client(t, s)
		tokens := mustPassword(t, c)
		if _, err := c.RefreshedUserinfo(t.Context(), tokens); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.provider.AdjustAnswer(provider.Discovery, func(m map[string]any) {
		m["mtls_endpoint_aliases"].(map[string]string)["userinfo_endpoint"] = "not a URL"
	})
	s.MTLSUserinfoEndpoint = ""
	c := b.client(t, s)
	if _, err := c.RefreshedUserinfo(t.Context(), mustPassword(t, c)); !errors.Is(err, ErrNotSetUp) {
		t.Errorf("an alias that can't be used: %v", err)
	}
}

// TestCachedTokensOfAnotherCertificate checks that cached tokens, which are bound to the client's certificate, aren't used any more when
// the certificate was replaced.
func TestCachedTokensOfAnotherCertificate(t *testing.T) {
	b := beginBound(t)
	dir := t.TempDir()
	renew := func() (certFile, keyFile string) {
		cert, key := provider.CertificatePEM(b.provider.ClientCert("app"))
		return write(t, filepath.Join(dir, "c.pem"), cert), write(t, filepath.Join(dir, "c.key"), key)
	}
	s := Settings{}
	s.ClientID, s.CacheTokens, s.CallsPerClient = []string{"app"}, true, 32
	s.TLSClientAuthCertFile, s.TLSClientAuthKeyFile = renew()
	c := b.client(t, s)
	first, again := mustPassword(t, c), mustPassword(t, c)
	if first.Certificate == "" || first.Certificate != c.Certificate() || again.AccessToken != first.AccessToken {
		t.Fatalf("the tokens are of the certificate %q, the current one is %q; cached: %v",
			first.Certificate, c.Certificate(), again.AccessToken == first.AccessToken)
	}
	renew()
	c.pool.For("another") // reads the files now
	if next := mustPassword(t, c); next.AccessToken == first.AccessToken || next.Certificate == first.Certificate {
		t.Errorf("with the new certificate the tokens are of %q, as before", next.Certificate)
	}
}
