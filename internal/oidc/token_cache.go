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

// A keptToken is a verifiedToken in the cache. It doesn't have the token itself: the text of a header is a part of the whole header of a
// request, which would be kept as well.
type keptToken struct {
	verifiedToken
	size int // of the token, in bytes
}

// kept returns the token as the cache has it.
func (t *verifiedToken) kept() *keptToken {
	identity := *t.identity
	identity.Tokens.AccessToken = ""
	return &keptToken{verifiedToken{&identity, t.notBefore}, len(t.identity.Tokens.AccessToken)}
}

// identityOf returns a copy of the identity with the token that the caller has.
func (t *keptToken) identityOf(token string) *auth.Identity {
	identity := *t.identity
	identity.Tokens.AccessToken = token
	return &identity
}

// A tokenCache holds verified access tokens. What changes with time or route isn't cached: expiry, audience and policies are checked on
// every request. The cache is bounded in bytes and time.
type tokenCache = otter.Cache[tokenSum, *keptToken]

func newTokenCache() *tokenCache {
	return otter.Must(&otter.Options[tokenSum, *keptToken]{
		MaximumWeight:    tokenCacheBytes,
		Weigher:          func(_ tokenSum, t *keptToken) uint32 { return uint32(3*t.size) + 512 },
		ExpiryCalculator: otter.ExpiryWriting[tokenSum, *keptToken](tokenCacheLifetime),
	})
}
