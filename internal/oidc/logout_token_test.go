package oidc

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sallyport/internal/provider"
)

func verifyLogout(t *testing.T, c *Client, token string) error {
	_, err := VerifyLogoutToken(t.Context(), token, []*Client{c}, netip.MustParseAddr("192.0.2.7"))
	return err
}

// TestLogoutTokenFetchesKeys checks that a logout token with a new key causes a fetch at once, in spite of strangers' tokens; that forged
// logout tokens cause one fetch in 5 s, and none if a cheap check refuses them; and that they delay no token that the issuer has sent.
func TestLogoutTokenFetchesKeys(t *testing.T) {
	p, c, now := begin(t, nil)
	c.issuer.Warm(t.Context())
	fetches := func() int { return p.Requests(provider.JWKS) - 1 }
	forged := func(n int, claims map[string]any) string {
		return p.LogoutToken("john", "app", claims, provider.WithHeader("kid", fmt.Sprint("forged", n)))
	}
	for name, claims := range map[string]map[string]any{
		"another issuer's": {"iss": "https://evil.example.com"}, "another audience": {"aud": "other"}, "expired": {"exp": now.Now().Unix()},
		"no events": {"events": nil}, "nonce": {"nonce": "n"}, "no jti": {"jti": nil}, "no sub": {"sub": nil},
	} {
		if err := verifyLogout(t, c, forged(0, claims)); err == nil || fetches() != 0 {
			t.Errorf("%s: %v, %d fetches", name, err, fetches())
		}
	}
	for round := range 2 {
		for n := range 50 {
			if err := verifyLogout(t, c, forged(n, nil)); !errors.Is(err, errBadSignature) {
				t.Fatalf("a forged token: %v", err)
			}
		}
		if got := fetches(); got != round+1 {
			t.Errorf("after round %d: %d fetches", round+1, got)
		}
		now.advance(issuerFetchInterval)
	}
	verifyLogout(t, c, forged(0, nil))
	p.RotateKeys(false)
	issued := p.SignJWT(map[string]any{
		"iss": p.Issuer(), "sub": "john", "aud": "app", "exp": now.Now().Unix() + 60, "iat": now.Now().Unix(),
	})
	if _, _, err := c.IDToken(t.Context(), issued, IDTokenWant{Grant: "authorization_code"}); err != nil {
		t.Errorf("an ID token with a new key, just after a forged logout token: %v", err)
	}
	now.advance(issuerFetchInterval)
	p.RotateKeys(false)
	c.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()), provider.WithHeader("kid", "forged")))
	p.RotateKeys(false)
	if err := verifyLogout(t, c, p.LogoutToken("john", "app", nil)); err != nil {
		t.Errorf("a logout token with a new key, just after a stranger's access token: %v", err)
	}
}

// TestLogoutTokensInFlight checks that the signatures of logout tokens are bounded by the client's address, and that a logout token that a
// cheap check refuses needs no place.
func TestLogoutTokensInFlight(t *testing.T) {
	p, c, _ := begin(t, func(s *Settings) { s.CallsPerClient, s.Timeout = 1, 100*time.Millisecond })
	c.issuer.Warm(t.Context())
	leave, err := c.issuer.Admit(t.Context(), netip.MustParseAddr("192.0.2.7"))
	if err != nil {
		t.Fatal(err)
	}
	token := p.LogoutToken("john", "app", nil)
	if err := verifyLogout(t, c, token); !errors.Is(err, ErrUnavailable) {
		t.Errorf("while the address has its calls in flight: %v", err)
	}
	if err := verifyLogout(t, c, p.LogoutToken("john", "app", map[string]any{"jti": nil})); err == nil || errors.Is(err, ErrUnavailable) {
		t.Errorf("one without jti: %v", err)
	}
	if _, err := VerifyLogoutToken(t.Context(), token, []*Client{c}, netip.MustParseAddr("192.0.2.8")); err != nil {
		t.Errorf("from another address: %v", err)
	}
	leave(false)
	if err := verifyLogout(t, c, token); err != nil {
		t.Errorf("after that: %v", err)
	}
}
