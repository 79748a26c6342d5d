package flow_test

import (
	"errors"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/flow"
	"sallyport/internal/provider"
)

// multiIssuer makes the first gate that of a route with the issuers of all gates.
func multiIssuer(gates ...*gate) *gate {
	g := gates[0]
	var parts []flow.Part
	for _, one := range gates {
		one.deps.MultiIssuer = true
		parts = append(parts, flow.Part{Name: one.issuer.URL, Settings: &one.settings, Deps: one.deps})
	}
	route, err := flow.NewRoute(parts)
	if err != nil {
		g.Fatal(err)
	}
	g.chain = append(route.Chain, auth.Entry{Flow: g.end})
	return g
}

// TestSeveralIssuers: the issuer that a JWT names verifies it, even if others are unavailable. The refusal names that
// issuer, and no other is asked. Opaque tokens belong to the first issuer that verifies those.
func TestSeveralIssuers(t *testing.T) {
	one, two := newWorld(t), newWorld(t)
	two.clock = one.clock
	gates := func(t *testing.T) (first, second *gate) {
		first, second = one.newGate(t, "bearer"), two.newGate(t, "bearer introspection")
		return multiIssuer(first, second), second
	}
	refused := func(issuer *world, want verdict) func(*gate, error) {
		return func(g *gate, err error) {
			e := auth.AsError(err)
			if got := (verdict{e.Status, e.Code, e.Reason, e.RetryAfter > 0}); got != want ||
				issuer != nil && e.Issuer != issuer.issuer.URL {
				g.Errorf("got %+v of %s, expected %+v", got, e.Issuer, want)
			}
		}
	}
	for name, c := range map[string]struct {
		before func(first, second *gate)
		token  func(first, second *gate) string
		proves *world // nil: it is refused
		refuse func(*gate, error)
		asked  int // the second's introspection endpoint
	}{
		"the first's":  {token: func(first, _ *gate) string { return jwt(nil)(first) }, proves: one},
		"the second's": {token: func(_, second *gate) string { return jwt(nil)(second) }, proves: two},
		"the second's, and the first is away": {before: func(first, _ *gate) { first.cut() }, proves: two,
			token: func(_, second *gate) string { return jwt(nil)(second) }},
		"the second's, which is away": {before: func(_, second *gate) { second.cut() }, refuse: refused(nil, away),
			token: func(_, second *gate) string { return jwt(nil)(second) }},
		"nobody's, and the first is away": {before: func(first, _ *gate) { first.cut() }, refuse: refused(nil, away),
			token: func(_, second *gate) string { return jwt(map[string]any{"iss": "https://other.example"})(second) }},
		"nobody's": {refuse: refused(nil, invalid("token_issuer")),
			token: func(_, second *gate) string { return jwt(map[string]any{"iss": "https://other.example"})(second) }},
		"of no iss": {refuse: refused(nil, invalid("token_issuer")),
			token: func(first, _ *gate) string { return jwt(map[string]any{"iss": nil})(first) }},
		"the second's, expired": {refuse: refused(two, invalid("token_expired")),
			token: func(_, second *gate) string { return jwt(map[string]any{"exp": 1000})(second) }},
		"the second's, signed by the first": {refuse: refused(two, invalid("token_invalid")),
			token: func(first, second *gate) string { return jwt(map[string]any{"iss": second.issuer.URL})(first) }},
		"the first's, signed by the second": {refuse: refused(one, invalid("token_invalid")),
			token: func(first, second *gate) string { return jwt(map[string]any{"iss": first.issuer.URL})(second) }},
		"the second's, opaque": {token: func(_, second *gate) string { return opaque(second) }, proves: two, asked: 1},
		"the first's, which judges no opaque": {token: func(first, _ *gate) string { return opaque(first) },
			refuse: refused(nil, invalid("token_inactive")), asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			first, second := gates(t)
			if c.before != nil {
				c.before(first, second)
			}
			atOne, atTwo := one.counted(), two.counted()
			for range 2 { // the second time from the cache
				res, err := first.chain.Authenticate(first.bearer(c.token(first, second)))
				switch {
				case errors.Is(err, auth.ErrNoCredential) || (err == nil) != (c.proves != nil):
					t.Errorf("got %v", err)
				case err != nil:
					c.refuse(first, err)
				case res.Identity.Issuer != c.proves.issuer.URL:
					t.Errorf("proved by %s, expected %s", res.Identity.Issuer, c.proves.issuer.URL)
				}
			}
			if n := one.asked(atOne)[provider.Introspection]; n != 0 {
				t.Errorf("the first was asked %d times", n)
			}
			if n := two.asked(atTwo)[provider.Introspection]; n != 2*c.asked {
				t.Errorf("the second was asked %d times", n)
			}
		})
	}
}

// TestSeveralSessions: each issuer's login has its own cookie, and one's login never counts as the other's.
func TestSeveralSessions(t *testing.T) {
	one, two := newWorld(t), newWorld(t)
	two.clock = one.clock
	first, second := one.newGate(t, browserFlows), two.newGate(t, browserFlows)
	john, jane := second.login("john"), first.login("jane")
	g := multiIssuer(first, second)
	for name, c := range map[string]struct {
		request *auth.Request
		issuer  *world
	}{
		"the second's":                     {g.carries(john), two},
		"both":                             {g.carries(john, jane), one},
		"the second's in the first's name": {g.carries(as(jane, john.Value)), nil},
	} {
		got, res := g.judge(c.request)
		if c.issuer == nil && got != goesOn || c.issuer != nil && (got != passes || res.Identity.Issuer != c.issuer.issuer.URL) {
			t.Errorf("%s: %+v of %+v", name, got, res)
		}
	}
}
