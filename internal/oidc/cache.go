package oidc

import (
	"crypto/sha256"
	"time"
	"unsafe"

	"github.com/maypok86/otter/v2"

	"sallyport/internal/auth"
)

const (
	cacheBytes    = 64 << 20         // of tokens and their claims, roughly, for each issuer
	cacheLifetime = 10 * time.Minute // the longest that a verdict is kept; a token's exp ends it sooner
)

// A tokenCache holds verified access tokens by the SHA-256 of the whole token: facts, never decisions. Time, audience and
// policies are judged on every request. It is bounded in bytes and time.
type tokenCache struct {
	entries *otter.Cache[[sha256.Size]byte, *VerifiedToken]
}

func newTokenCache() *tokenCache {
	return &tokenCache{otter.Must(&otter.Options[[sha256.Size]byte, *VerifiedToken]{
		MaximumWeight: cacheBytes,
		Weigher: func(_ [sha256.Size]byte, t *VerifiedToken) uint32 {
			return uint32(4*len(t.Identity.Tokens.AccessToken)) + 512
		},
		ExpiryCalculator: otter.ExpiryWriting[[sha256.Size]byte, *VerifiedToken](cacheLifetime),
	})}
}

// sum is a token's key. The bytes are only read, so they aren't copied.
func sum(token string) [sha256.Size]byte {
	return sha256.Sum256(unsafe.Slice(unsafe.StringData(token), len(token)))
}

func (c *tokenCache) get(sum [sha256.Size]byte) (*VerifiedToken, bool) {
	return c.entries.GetIfPresent(sum)
}

// remember keeps what the current keys have proved. What other keys proved isn't kept: those may be withdrawn.
func (i *Issuer) remember(sum [sha256.Size]byte, t *VerifiedToken, by *verdict) {
	i.mu.RLock()
	defer i.mu.RUnlock()
	if by.keys == nil || by.keys == i.keys {
		i.tokens.put(sum, t)
	}
}

func (c *tokenCache) put(sum [sha256.Size]byte, t *VerifiedToken) { c.entries.Set(sum, t) }

func (c *tokenCache) clear() { c.entries.InvalidateAll() }

// A VerifiedToken is an access token whose signature and issuer are proved.
type VerifiedToken struct {
	Identity  *auth.Identity
	NotBefore time.Time // zero if the token says none
}
