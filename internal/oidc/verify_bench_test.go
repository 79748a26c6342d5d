package oidc

import (
	"testing"

	"sallyport/internal/auth"
)

// BenchmarkAccessToken measures the verification of an access token that is a JWT: one that is cached, and one that is not.
func BenchmarkAccessToken(b *testing.B) {
	p, c, now := begin(b, nil)
	token := p.SignJWT(good(p, now.Now()))
	takes := func(auth.Claims) bool { return true }
	verify := func(b *testing.B) {
		if _, err := ProveAccessToken(b.Context(), token, []*Issuer{c.issuer}, takes); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			verify(b)
		}
	})
	b.Run("uncached", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.issuer.keys.tokens.InvalidateAll()
			verify(b)
		}
	})
}
