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

// Verify returns what an access token of this issuer proves, or an error that wraps ErrUnknown: it never was one, has
// expired or was revoked, or its client is no more; or that wraps ErrUnavailable.
//
// What was found out is known for FactsFor without asking the store again: a token that another process has revoked is good
// here for that long. One that was revoked here ends at once.
func (a *Server) Verify(ctx context.Context, token string) (*auth.Identity, error) {
	h := handle{text: token}
	f, err := a.kept.facts.get(h.digest(), func() (*fact, error) { return a.look(ctx, token) })
	if err != nil {
		return nil, err
	}
	switch {
	case !a.now().Before(f.identity.Tokens.Expiry):
		return nil, fmt.Errorf("%w: it has expired", ErrUnknown)
	case a.clients[f.identity.ClientID] == nil:
		return nil, fmt.Errorf("%w: its client %q isn't configured any more", ErrUnknown, f.identity.ClientID)
	}
	return f.identity, nil
}

// look asks the store about a token of ours, once for all who want to know at the same time.
func (a *Server) look(ctx context.Context, token string) (*fact, error) {
	h, ok := a.mint.parse(accessHandle, token)
	if !ok {
		return nil, fmt.Errorf("%w: it has another form", ErrUnknown)
	}
	f, err := a.kept.facts.known.Get(ctx, cache.Key(h.digest()), func(ctx context.Context) (*fact, time.Time, error) {
		r, err := a.store.load(ctx, h)
		if err != nil {
			return nil, time.Time{}, err
		}
		return newFact(r, h), time.Time{}, nil
	})
	if err != nil && !errors.Is(err, ErrUnknown) && !errors.Is(err, ErrUnavailable) {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err) // the caller gave up
	}
	return f, err
}

// identity is what an access token proves. Its claims are those of an introspection response (RFC 7662 §2.2), whose form
// they have because an opaque token has none of its own. authenticated_userid is there only where a user stands behind the
// token: a client that acts for itself is told apart from a user of the same name by it (RFC 9700 §4.15).
func (r *record) identity(token string) *auth.Identity {
	claims := auth.Claims{
		"active": true, "iss": r.Issuer, "sub": r.Subject, "client_id": r.ClientID, "exp": r.Expires, "iat": r.Issued, "token_type": "Bearer",
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
	// FactsFor is how long a process knows a token without asking the store.
	FactsFor = 5 * time.Second

	factLimit = 10 * time.Second // of one look
	endedFor  = FactsFor + factLimit + 5*time.Second
)

// facts are what is known of access tokens, and which of them have ended here meanwhile.
type facts struct {
	known *cache.Cache[*fact]
	// ended holds families and access tokens that were revoked here. A look that was under way at that time may find out
	// later what isn't true any more; so they are remembered until no such fact can be left.
	ended *otter.Cache[digest, struct{}]
}

// A fact is what one access token proves. It is immutable.
type fact struct {
	identity *auth.Identity
	family   digest
	size     int // in bytes, roughly
}

func newFact(r *record, h handle) *fact {
	f := &fact{identity: r.identity(h.text), family: familyDigest(r.Family), size: 1024 + 4*len(r.Scope)}
	if u := f.identity.OnBehalfOf; u != nil { // claims of a record that was read are this fact's alone
		f.size += 1024 + 64*len(u.Identity.Introspection) + 4*len(r.raw)
	}
	return f
}

func newFacts(now func() time.Time) *facts {
	return &facts{
		known: cache.New(cache.Config[*fact]{
			Times: cache.Times{TTL: FactsFor, Negative: FactsFor}, Bytes: 32 << 20, Limit: factLimit, Now: now,
			Size:    func(f *fact) int { return f.size },
			Verdict: func(err error) bool { return errors.Is(err, ErrUnknown) },
		}),
		ended: otter.Must(&otter.Options[digest, struct{}]{MaximumSize: maxTokens, ExpiryCalculator: otter.ExpiryWriting[digest, struct{}](endedFor)}),
	}
}

// get returns the fact of an access token: a known one costs a hash and no call.
func (f *facts) get(token digest, look func() (*fact, error)) (*fact, error) {
	found, known := f.known.Peek(cache.Key(token))
	if !known {
		var err error
		if found, err = look(); err != nil {
			return nil, err
		}
	}
	if f.hasEnded(token) || f.hasEnded(found.family) {
		return nil, fmt.Errorf("%w: it was revoked", ErrUnknown)
	}
	return found, nil
}

func (f *facts) hasEnded(d digest) bool {
	_, ended := f.ended.GetIfPresent(d)
	return ended
}

// end notes that an access token or a family has ended. It is called after the store has forgotten it.
func (f *facts) end(d digest) { f.ended.Set(d, struct{}{}) }
