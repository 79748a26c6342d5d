package oidc

import (
	"errors"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// TestLongTokens checks that a token which the issuer sent to the gate may be longer than maxJWT, also when it is verified again, and that
// a token in a request may not.
func TestLongTokens(t *testing.T) {
	p, c, now := begin(t, nil)
	claims := good(p, now.Now())
	claims["pad"] = strings.Repeat("x", 24<<10)
	token := p.SignJWT(claims)
	identity, err := c.issuer.IssuedAccessToken(t.Context(), token, false)
	if err != nil || identity == nil {
		t.Fatalf("an access token of 24 kB that was issued: %v, %v", identity, err)
	}
	for range 2 { // verified, then kept
		if err := c.Reverify(t.Context(), &auth.Identity{AccessToken: identity.AccessToken,
			Tokens: auth.Tokens{AccessToken: token}}); err != nil {
			t.Errorf("verified again: %v", err)
		}
	}
	id := p.IDToken("john", "app", map[string]any{"pad": strings.Repeat("x", 24<<10)})
	if _, _, err := c.IDToken(t.Context(), id, IDTokenWant{Grant: "session"}); err != nil {
		t.Errorf("an ID token of 24 kB that was issued: %v", err)
	}
	if err := c.Reverify(t.Context(), &auth.Identity{Tokens: auth.Tokens{IDToken: id}}); err != nil {
		t.Errorf("an ID token that is verified again: %v", err)
	}
	if _, _, err := c.IDToken(t.Context(), id, IDTokenWant{}); !errors.Is(err, errTooLong) {
		t.Errorf("a stranger's ID token: %v", err)
	}
	if err := CheckUnread(p.SignJWT(claims)); err != nil {
		t.Errorf("a token that is asked about: %v", err) // tokenReader has its own limit
	}
}
