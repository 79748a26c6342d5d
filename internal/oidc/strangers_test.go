package oidc

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// strangers is the number of forged tokens. Each costs a verification.
const strangers = 5_000

// TestForgedTokensAreNotKept checks that forged tokens aren't cached, evict no good token, and cause at most one call.
func TestForgedTokensAreNotKept(t *testing.T) {
	p, c, now := begin(t, nil)
	token := p.SignJWT(good(p, now.Now()))
	first, err := c.issuer.AccessToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	body, asked := token[:len(token)-20], p.Requests(provider.JWKS)
	for n := range strangers {
		if _, err := c.issuer.AccessToken(t.Context(), fmt.Sprintf("%s%019dA", body, n)); !errors.Is(err, errBadSignature) {
			t.Fatalf("a forged token: %v", err)
		}
	}
	c.issuer.keys.tokens.CleanUp()
	if kept, calls := c.issuer.keys.tokens.EstimatedSize(), p.Requests(provider.JWKS)-asked; kept != 1 || calls > 1 {
		t.Errorf("after %d forged tokens %d tokens are kept and %d calls were made, expected 1 and at most 1", strangers, kept, calls)
	}
	if again, err := c.issuer.AccessToken(t.Context(), token); err != nil || !sharesClaims(again, first) {
		t.Errorf("the good token: %p, %v, expected the claims that were kept", again, err)
	}
}

// sharesClaims reports whether two identities have one map of claims.
func sharesClaims(a, b *auth.Identity) bool {
	return reflect.ValueOf(a.AccessToken).Pointer() == reflect.ValueOf(b.AccessToken).Pointer()
}
