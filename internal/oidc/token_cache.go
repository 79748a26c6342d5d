package oidc

import (
	"crypto/sha256"
	"time"
	"unsafe"

	"github.com/maypok86/otter/v2"

	"sallyport/internal/auth"
)

const (
	tokenCacheBytes    = 64 << 20         // of tokens and their claims, roughly, for each issuer
	tokenCacheLifetime = 10 * time.Minute // of an entry; a token's exp ends it sooner
)

// A tokenSum is the SHA-256 of a whole token.
type tokenSum [sha256.Size]byte

// sumOf returns the sum of a token. It doesn't copy the token's bytes, because it only reads them.
func sumOf(token string) tokenSum {
	return sha256.Sum256(unsafe.Slice(unsafe.StringData(token), len(token)))
}

// A verifiedToken is an access token whose signature and issuer are verified. It is immutable.
type verifiedToken struct {
	identity  *auth.Identity
	notBefore time.Time // zero if the token has no nbf
}

// A tokenCache holds verified access tokens. What changes with time or route isn't cached: expiry, audience and policies are checked on
// every request. The cache is bounded in bytes and time.
type tokenCache = otter.Cache[tokenSum, *verifiedToken]

func newTokenCache() *tokenCache {
	return otter.Must(&otter.Options[tokenSum, *verifiedToken]{
		MaximumWeight: tokenCacheBytes,
		Weigher: func(_ tokenSum, t *verifiedToken) uint32 {
			return uint32(4*len(t.identity.Tokens.AccessToken)) + 512
		},
		ExpiryCalculator: otter.ExpiryWriting[tokenSum, *verifiedToken](tokenCacheLifetime),
	})
}
