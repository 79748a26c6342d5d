package oidc

import (
	"errors"
	"path/filepath"
	"testing"

	"sallyport/internal/provider"
)

// TestUserinfoWithCertificate checks that userinfo for a token that is bound to the client's certificate is requested with the
// certificate, at the endpoint of mtls_endpoint_aliases or of mtls_userinfo_endpoint (RFC 8705 §5).
func TestUserinfoWithCertificate(t *testing.T) {
	now := newClock()
	p := provider.StartTLS(t, provider.Config{
		Now:     now.Now,
		Clients: []provider.Client{{ID: "app", AuthMethod: "tls_client_auth", TLSSubjectDN: "CN=app", BoundTokens: true}},
		Users:   []provider.User{{Username: "john", Password: "doe"}},
	})
	dir := t.TempDir()
	cert, key := provider.CertificatePEM(p.ClientCert("app"))
	s := Settings{ClientSettings: ClientSettings{
		ClientID: []string{"app"}, TLSClientAuthCertFile: write(t, filepath.Join(dir, "c.pem"), cert),
		TLSClientAuthKeyFile: write(t, filepath.Join(dir, "c.key"), key),
	}}
	s.Scopes, s.CallsPerClient = []string{"openid"}, 32
	for name, configured := range map[string]string{"announced": "", "configured": p.MTLSURL + "/userinfo?configured"} {
		s.MTLSUserinfoEndpoint = configured
		c := begun{p, now}.client(t, s)
		tokens := mustPassword(t, c)
		if _, err := c.RefreshedUserinfo(t.Context(), tokens); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	p.AdjustAnswer(provider.Discovery, func(m map[string]any) {
		m["mtls_endpoint_aliases"].(map[string]string)["userinfo_endpoint"] = "not a URL"
	})
	s.MTLSUserinfoEndpoint = ""
	c := begun{p, now}.client(t, s)
	if _, err := c.RefreshedUserinfo(t.Context(), mustPassword(t, c)); !errors.Is(err, ErrNotSetUp) {
		t.Errorf("an alias that can't be used: %v", err)
	}
}
