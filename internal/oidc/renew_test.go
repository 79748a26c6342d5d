package oidc

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"sallyport/internal/provider"
)

// TestOneFetchInTheBackground checks that old keys and metadata serve while the issuer hangs, and that all requests together start one
// fetch of each.
func TestOneFetchInTheBackground(t *testing.T) {
	p, c, now := begin(t, nil)
	token := p.SignJWT(map[string]any{
		"iss": p.Issuer(), "sub": "john", "aud": "app", "exp": now.Now().Add(10 * time.Hour).Unix(), "iat": now.Now().Unix(),
	})
	if _, err := c.issuer.AccessToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	_, release := p.Hold(provider.JWKS)
	defer release()
	_, releaseMetadata := p.Hold(provider.Discovery)
	defer releaseMetadata()
	now.advance(documentLifetime)
	before := runtime.NumGoroutine()
	for range 1000 {
		c.issuer.keys.tokens.InvalidateAll() // or the kept verdict would need no keys
		if _, err := c.issuer.AccessToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
	}
	if grown := runtime.NumGoroutine() - before; grown > 30 {
		t.Errorf("%d goroutines were started", grown)
	}
}

// TestAWithdrawnKey checks that a withdrawn key verifies no token after keysMustRenew, and that the tokens that it verified before are
// dropped from the cache.
func TestAWithdrawnKey(t *testing.T) {
	p, c, now := begin(t, nil)
	sign := func(jti string) string {
		claims := good(p, now.Now())
		claims["exp"], claims["jti"] = now.Now().Add(10*time.Hour).Unix(), jti
		return p.SignJWT(claims)
	}
	kept, fresh := sign("1"), sign("2")
	if _, err := c.issuer.AccessToken(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	p.RotateKeys(false)
	now.advance(keysMustRenew)
	if _, err := c.issuer.AccessToken(t.Context(), fresh); !errors.Is(err, errBadSignature) {
		t.Errorf("a token that was not seen before, after %v: %v", keysMustRenew, err)
	}
	if _, err := c.issuer.AccessToken(t.Context(), kept); !errors.Is(err, errBadSignature) {
		t.Errorf("what the key verified is kept after a fetch of the keys without it: %v", err)
	}
}
