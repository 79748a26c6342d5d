package flow_test

import (
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// TestBearerIssuerAway: without keys a JWT is neither accepted nor refused. What is refused without keys still is.
func TestBearerIssuerAway(t *testing.T) {
	w := newWorld(t)
	good := row{cold: true, ask: with(jwt(nil))}
	w.tryOutages(t, "bearer", provider.Discovery, good)
	w.tryOutages(t, "bearer", provider.JWKS, good)
	w.try(t, "bearer", []row{
		{name: "nobody listens", cold: true, change: func(g *gate) { g.settings.Client.Issuer = "http://127.0.0.1:1" },
			ask: with(jwt(nil)), want: away},
		{name: "metadata of another issuer", cold: true, ask: with(jwt(nil)),
			want: misset, calls: calls{provider.Discovery: 1}, before: func(g *gate) {
				g.issuer.AdjustAnswer(provider.Discovery, func(m map[string]any) { m["issuer"] = "https://other.example" })
			}},
		{name: "metadata without keys", cold: true, ask: with(jwt(nil)),
			want: misset, calls: calls{provider.Discovery: 1}, before: func(g *gate) {
				g.issuer.AdjustAnswer(provider.Discovery, func(m map[string]any) { delete(m, "jwks_uri") })
			}},
		{name: "an empty key set", cold: true, ask: with(jwt(nil)), want: away, calls: calls{provider.Discovery: 1, provider.JWKS: 1},
			before: func(g *gate) { g.answers(provider.JWKS, 200, "application/json", `{"keys":[]}`) }},
		{name: "keys for encryption", cold: true, ask: with(jwt(nil)),
			want: invalid("token_invalid"), calls: calls{provider.Discovery: 1, provider.JWKS: 2},
			before: func(g *gate) { everyKey(g, "use", "enc") }},
		{name: "keys of another alg", cold: true, ask: with(jwt(nil)),
			want: invalid("token_invalid"), calls: calls{provider.Discovery: 1, provider.JWKS: 2},
			before: func(g *gate) { everyKey(g, "alg", "RS384") }},
		{name: "known keys while it is away", before: func(g *gate) { g.cut() }, ask: with(jwt(nil)), want: passes},
		{name: "another alg, unlike any key, while it is away", before: func(g *gate) { g.cut() },
			ask: with(forged(provider.WithAlg("none"))), want: invalid("token_invalid")},
		{name: "another kind, while it is away", cold: true, before: func(g *gate) { g.cut() },
			ask: with(forged(provider.WithHeader("typ", "logout+jwt"))), want: invalid("not_an_access_token")},
	})
}

// everyKey changes a member of every published key.
func everyKey(g *gate, member, value string) {
	g.issuer.AdjustAnswer(provider.JWKS, func(set map[string]any) {
		for _, k := range set["keys"].([]any) {
			k.(map[string]any)[member] = value
		}
	})
}

// TestBearerKeys: a token with an unknown key ID causes one fetch, and such tokens cause at most one in a while. Tokens of a
// withdrawn key are refused after the next fetch.
func TestBearerKeys(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, "bearer")
	g.warm()
	old := g.bearer(jwt(nil)(g))
	g.expect(row{ask: always(old), want: passes})
	g.expect(row{ask: always(old), want: passes})
	w.issuer.RotateKeys(false)
	next := g.bearer(jwt(nil)(g))
	g.expect(row{ask: always(old), want: passes}) // its key is still cached
	g.expect(row{ask: always(next), want: passes, calls: fetched})
	g.expect(row{ask: always(old), want: invalid("token_invalid")})
	unknown := func(more map[string]any) func(*gate) *auth.Request {
		return with(func(g *gate) string { return signed(g, more, provider.WithHeader("kid", "unknown")) })
	}
	for range 20 {
		g.expect(row{ask: unknown(nil), want: invalid("token_invalid")})
	}
	w.clock.advance(31 * time.Second)
	for reason, claims := range map[string]map[string]any{ // tokens that would be refused cause no fetch
		"token_expired": {"exp": w.clock.now().Unix()}, "token_not_yet_valid": {"nbf": w.clock.now().Add(2 * time.Minute).Unix()},
		"token_invalid": {"iss": "https://other.example"}, "not_an_access_token": {"nonce": "x"},
	} {
		g.expect(row{ask: unknown(claims), want: invalid(reason)})
	}
	g.expect(row{ask: unknown(nil), want: invalid("token_invalid"), calls: fetched})
	g.cut()
	w.clock.advance(31 * time.Second)
	g.expect(row{ask: unknown(nil), want: away})
	g.expect(row{ask: always(next), want: passes})
	w.clock.advance(5 * time.Minute)
	g.expect(row{ask: always(next), want: invalid("token_expired")}) // the expiry of a cached token is checked at each request
}

// TestBearerCookie: with jwt_session_cookie a token is only accepted with a cookie that holds its claim.
func TestBearerCookie(t *testing.T) {
	w := newWorld(t)
	cookie := func(g *gate) { g.settings.JWTSessionCookie = "sid" }
	number := func(g *gate) string { return signed(g, map[string]any{"sid": 7}) }
	token := func(g *gate) string { return signed(g, map[string]any{"sid": "abc"}) }
	beside := func(cookies string) []string { return []string{"Authorization", "Bearer TOKEN", "Cookie", cookies} }
	without := invalid("token_without_cookie")
	w.try(t, "bearer", []row{
		{name: "its claim", change: cookie, ask: sends(token, "GET /", beside("sid=abc")...), want: passes},
		{name: "its claim, a number", change: cookie, ask: sends(number, "GET /", beside("sid=7")...), want: passes},
		{name: "no cookie", change: cookie, ask: with(token), want: without},
		{name: "an empty cookie", change: cookie, ask: sends(token, "GET /", beside("sid=")...), want: without},
		{name: "another", change: cookie, ask: sends(token, "GET /", beside("sid=abd")...), want: without},
		{name: "the beginning", change: cookie, ask: sends(token, "GET /", beside("sid=ab")...), want: without},
		{name: "two", change: cookie, ask: sends(token, "GET /", beside("sid=abc; sid=abc")...), want: without},
		{name: "no claim, and an empty cookie", change: cookie, ask: sends(jwt(map[string]any{"sid": nil}), "GET /", beside("sid=")...),
			want: without},
		{name: "an empty claim and cookie", change: cookie, ask: sends(jwt(map[string]any{"sid": ""}), "GET /", beside("sid=")...),
			want: without},
	})
}

// TestBearerIntrospected: with introspect_jwt_tokens verified tokens, and only those, are introspected.
func TestBearerIntrospected(t *testing.T) {
	w := newWorld(t)
	ask := func(g *gate) { g.settings.IntrospectJWTTokens = true }
	one := calls{provider.Introspection: 1}
	w.try(t, "bearer", []row{
		{name: "good", change: ask, ask: with(jwt(nil)), want: passes, calls: one, more: bothSay},
		{name: "revoked", change: ask, ask: with(revoked), want: invalid("token_inactive"), calls: one},
		{name: "forged", change: ask, ask: with(forged(provider.WithAlg("none"))), want: invalid("token_invalid")},
		{name: "expired", change: ask, ask: with(after("exp", -time.Second)), want: invalid("token_expired")},
		{name: "bound, says the answer", change: ask, ask: with(jwt(nil)), want: invalid("token_bound"), calls: one, before: func(g *gate) {
			g.issuer.AdjustAnswer(provider.Introspection, func(a map[string]any) { a["cnf"] = map[string]any{"jkt": "x"} })
		}},
		{name: "about somebody else", change: ask, before: saying(map[string]any{"sub": "jane"}), ask: with(jwt(nil)),
			want: invalid("introspection_subject"), calls: one},
		{name: "the answer names nobody", change: ask, before: saying(map[string]any{"sub": nil}), ask: with(jwt(nil)),
			want: passes, calls: one},
		{name: "the token names nobody", change: ask, before: saying(map[string]any{"sub": "john"}),
			ask:  with(jwt(map[string]any{"sub": nil})),
			want: passes, calls: one},
		{name: "away", change: ask, ask: with(jwt(nil)), want: away, before: func(g *gate) { g.cut() }},
		{name: "a refusal of its cookie comes first", want: invalid("token_without_cookie"), ask: with(jwt(nil)),
			change: func(g *gate) { ask(g); g.settings.JWTSessionCookie = "sid" }},
	})
}
