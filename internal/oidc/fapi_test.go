package oidc

import (
	"errors"
	"testing"

	"sallyport/internal/provider"
)

// TestTokenSigningAlgs checks that token_signing_algs replaces the algorithms of access tokens, and that several algorithms of ID tokens
// may be configured.
func TestTokenSigningAlgs(t *testing.T) {
	p, _, now := begin(t, nil)
	c := clientOf(t, p, now, func(s *Settings) {
		s.TokenSigningAlgs, s.IDTokenSignedResponseAlg = []string{"PS256", "ES256"}, []string{"PS256", "ES256"}
	})
	for alg, want := range map[string]bool{"RS256": false, "PS256": true, "ES256": true, "EdDSA": false} {
		token := p.SignJWT(good(p, now.Now()), provider.WithAlg(alg))
		if _, err := c.issuer.AccessToken(t.Context(), token); (err == nil) != want {
			t.Errorf("an access token signed with %s: %v", alg, err)
		}
		if _, _, err := c.IDToken(t.Context(), token, IDTokenWant{}); (err == nil) != want {
			t.Errorf("an ID token signed with %s: %v", alg, err)
		}
	}
}

// TestVerifyResponseIssuer checks that an authorization response needs iss, even if the metadata doesn't announce it.
func TestVerifyResponseIssuer(t *testing.T) {
	p, _, now := begin(t, nil)
	p.AdjustAnswer(provider.Discovery, func(m map[string]any) { delete(m, "authorization_response_iss_parameter_supported") })
	for _, required := range []bool{false, true} {
		c := clientOf(t, p, now, func(s *Settings) { s.VerifyResponseIssuer = required })
		if err := c.CheckResponseIssuer(t.Context(), nil); (err != nil) != required {
			t.Errorf("verify_response_issuer: %v, without iss: %v", required, err)
		}
		if err := c.CheckResponseIssuer(t.Context(), []string{p.Issuer()}); err != nil {
			t.Errorf("verify_response_issuer: %v, with iss: %v", required, err)
		}
	}
}

// TestVerifyGrantedScopes checks that a token response may have fewer scopes than were requested, but no other ones.
func TestVerifyGrantedScopes(t *testing.T) {
	_, c, _ := begin(t, func(s *Settings) { s.Scopes, s.VerifyGrantedScopes = []string{"openid", "accounts"}, true })
	for scope, want := range map[string]bool{"": true, "openid": true, "accounts openid": true, "openid payments": false} {
		if err := c.checkGranted(scope); (err == nil) != want || err != nil && !errors.Is(err, ErrNotSetUp) {
			t.Errorf("%q: %v", scope, err)
		}
	}
	c.settings.VerifyGrantedScopes = false
	if err := c.checkGranted("payments"); err != nil {
		t.Errorf("without verify_granted_scopes: %v", err)
	}
}
