package flow_test

import (
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// jwt returns an access token of john for the client app, with claims replaced or, if they are nil, removed.
func jwt(overrides map[string]any) func(*gate) string {
	return func(g *gate) string { return g.issuer.AccessToken("john", "app", overrides) }
}

// forged returns a JWT with the claims of a good access token, signed in another way.
func forged(opts ...provider.SignOption) func(*gate) string {
	return func(g *gate) string { return g.issuer.SignJWT(claimsOf(g), opts...) }
}

// claimsOf are those of a good access token.
func claimsOf(g *gate) map[string]any {
	return map[string]any{
		"iss": g.issuer.URL, "sub": "john", "aud": "app", "exp": g.clock.now().Add(time.Minute).Unix(), "iat": g.clock.now().Unix(),
	}
}

// TestBearer: a JWT passes if the issuer's keys have signed it, and its claims say that it is an access token of the issuer and
// of this time. Its audience is the policy's to judge.
func TestBearer(t *testing.T) {
	w := newWorld(t)
	w.try(t, "bearer", []row{
		{name: "good", ask: with(jwt(nil)), want: passes},
	})
}

var _ = auth.ErrNoCredential
