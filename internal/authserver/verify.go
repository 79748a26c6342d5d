package authserver

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/maypok86/otter/v2"

	"sallyport/internal/auth"
	"sallyport/internal/cache"
)

// Verify returns the identity of an access token. The error wraps ErrUnknown if the token is not valid, and ErrUnavailable if the store
// can't be reached. A token is not valid if it was never issued, has expired or was revoked, or if its client is not configured any
// more.
//
// The result is cached for CachedFor. A token that another process has revoked is accepted here for that long. One that was revoked
// here is refused at once.
func (s *Site) Verify(ctx context.Context, token string) (*auth.Identity, error) {
	v, err := s.verified(ctx, token)
	if err != nil {
		return nil, err
	}
	switch {
	case !s.now().Before(v.identity.Tokens.Expiry):
		return nil, fmt.Errorf("%w: it has expired", ErrUnknown)
	case s.find(v.identity.ClientID) == nil:
		return nil, fmt.Errorf("%w: its client %q isn't known here any more", ErrUnknown, v.identity.ClientID)
	}
	return v.identity, nil
}

// verified returns an access token from the cache or the store.
func (a *Server) verified(ctx context.Context, token string) (*verifiedToken, error) {
	h := handle{text: token}
	return a.process.tokens.get(h.digest(), func() (*verifiedToken, error) { return a.lookUp(ctx, token) })
}

// lookUp loads an access token from the store, once for all concurrent callers.
func (a *Server) lookUp(ctx context.Context, token string) (*verifiedToken, error) {
	h, ok := a.mint.parse(accessHandle, token)
	if !ok {
		return nil, fmt.Errorf("%w: it has another form", ErrUnknown)
	}
	v, err := a.process.tokens.verified.Get(ctx, cache.Key(h.digest()), func(ctx context.Context) (*verifiedToken, time.Time, error) {
		r, err := a.store.load(ctx, h)
		if err != nil {
			return nil, time.Time{}, err
		}
		return newVerifiedToken(r, h), time.Time{}, nil
	})
	if err != nil && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrUnavailable) {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err) // the caller's context ended
	}
	return v, err
}

// identity returns the identity of an access token. An opaque token has no claims of its own, so its claims are those of an
// introspection response (RFC 7662 §2.2). Only a token that acts for a user has authenticated_userid. It distinguishes the user from
// a client of the same name that acts for itself (RFC 9700 §4.15).
func (r *record) identity(token string) *auth.Identity {
	claims := auth.Claims{
		"active": true, "iss": r.Issuer, "sub": r.Subject, "client_id": r.ClientID, "token_type": "Bearer",
		"exp": r.Expires, "iat": r.Issued,
	}
	if len(r.Audience) == 1 {
		claims["aud"] = r.Audience[0]
	} else {
		list := make([]any, len(r.Audience))
		for n, audience := range r.Audience {
			list[n] = audience
		}
		claims["aud"] = list
	}
	if r.Scope != "" {
		claims["scope"] = r.Scope
	}
	if r.UserID != "" {
		claims["authenticated_userid"] = r.UserID
	}
	i := &auth.Identity{
		Issuer: r.Issuer, ClientID: r.ClientID, Subject: r.Subject, Introspection: claims, Presented: true, BuiltIn: true,
		Tokens: auth.Tokens{AccessToken: token, TokenType: "Bearer", Scope: r.Scope, Expiry: r.expiry()},
	}
	i.OnBehalfOf = r.onBehalfOf(i)
	return i
}

const (
	// CachedFor is how long a process uses a verified access token without asking the store.
	CachedFor = 5 * time.Second

	loadLimit  = 10 * time.Second // of one load
	revokedFor = CachedFor + loadLimit + 5*time.Second
)

// A tokenCache caches verified access tokens, and remembers which tokens this process has revoked.
type tokenCache struct {
	verified *cache.Cache[*verifiedToken]
	// revoked holds the families and access tokens that were revoked here. A load that was running at that time may return the token
	// afterwards, so they are remembered until no such result can be cached any more.
	revoked *otter.Cache[digest, struct{}]
}

// A verifiedToken is a valid access token. It is immutable.
type verifiedToken struct {
	identity *auth.Identity
	family   digest
	familyID string // empty: the token belongs to no authorization of a user
	lifetime time.Duration
	size     int // in bytes, approximately
}

func newVerifiedToken(r *record, h handle) *verifiedToken {
	v := &verifiedToken{
		identity: r.identity(h.text), family: familyDigest(r.Family), familyID: r.Family, lifetime: r.lifetime(), size: 1024 + 4*len(r.Scope),
	}
	if u := v.identity.OnBehalfOf; u != nil { // it has copies of the user's claims
		v.size += 1024 + 64*len(u.Identity.Introspection) + 4*len(r.raw)
	}
	return v
}

func newTokenCache(now func() time.Time) *tokenCache {
	return &tokenCache{
		verified: cache.New(cache.Config[*verifiedToken]{
			Times: cache.Times{TTL: CachedFor, Negative: CachedFor}, Bytes: 32 << 20, Limit: loadLimit, Now: now,
			Size:    func(v *verifiedToken) int { return v.size },
			Verdict: func(err error) bool { return errors.Is(err, ErrUnknown) },
		}),
		revoked: otter.Must(&otter.Options[digest, struct{}]{
			MaximumSize: maxTokens, ExpiryCalculator: otter.ExpiryWriting[digest, struct{}](revokedFor),
		}),
	}
}

// get returns a cached access token, or the result of load. A cached one costs a hash and no call.
func (t *tokenCache) get(token digest, load func() (*verifiedToken, error)) (*verifiedToken, error) {
	v, cached := t.verified.Peek(cache.Key(token))
	if !cached {
		var err error
		if v, err = load(); err != nil {
			return nil, err
		}
	}
	if t.isRevoked(token) || t.isRevoked(v.family) {
		return nil, fmt.Errorf("%w: it was revoked", ErrUnknown)
	}
	return v, nil
}

func (t *tokenCache) isRevoked(d digest) bool {
	_, revoked := t.revoked.GetIfPresent(d)
	return revoked
}

// revoke remembers that an access token or a family was revoked. The caller deletes it from the store first.
func (t *tokenCache) revoke(d digest) { t.revoked.Set(d, struct{}{}) }
