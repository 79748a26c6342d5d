package flow_test

import (
	"net/http"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// opaque returns an opaque access token of john for the client app.
func opaque(g *gate) string { return g.issuer.AccessToken("john", "opaque", nil) }

// revoked returns a JWT of the issuer that was revoked there.
func revoked(g *gate) string {
	token := jwt(nil)(g)
	g.issuer.Revoke(token)
	return token
}

// saying changes members of introspection responses; nil removes a member.
func saying(more map[string]any) func(*gate) {
	return func(g *gate) {
		g.issuer.AdjustAnswer(provider.Introspection, func(answer map[string]any) { override(answer, more) })
	}
}

func override(answer, more map[string]any) {
	for name, v := range more {
		if v == nil {
			delete(answer, name)
		} else {
			answer[name] = v
		}
	}
}

// always returns the same request each time.
func always(r *auth.Request) func(*gate) *auth.Request {
	return func(*gate) *auth.Request { return r }
}

func bothSay(g *gate, res *auth.Result) {
	i := res.Identity
	if i.AccessToken.String("sub") != "john" || i.Introspection.String("sub") != "john" || i.Flow != "bearer" ||
		i.Judged()["active"] != nil {
		g.Errorf("got %+v", i)
	}
}

var introspected = calls{provider.Introspection: 1}

// TestIntrospection: a token passes if the introspection response says that it is active, and its other members are those of
// a valid access token of the issuer.
func TestIntrospection(t *testing.T) {
	w := newWorld(t)
	inactive := invalid("token_inactive")
	w.try(t, "introspection", tokenPlaceRows(opaque, introspected))
	w.try(t, "introspection", []row{
		{name: "opaque", ask: with(opaque), want: passes, calls: introspected, more: introspectedJohn},
		{name: "nothing is known yet", cold: true, ask: with(opaque),
			want: passes, calls: calls{provider.Discovery: 1, provider.Introspection: 1}},
		{name: "a JWT", ask: with(jwt(nil)), want: passes, calls: introspected},
		{name: "for another audience", before: saying(map[string]any{"aud": "other"}), ask: with(opaque),
			want: passes, calls: introspected, more: audienceIsLeft},
		{name: "no exp", before: saying(map[string]any{"exp": nil}), ask: with(opaque), want: passes, calls: introspected},
		{name: "no sub", before: saying(map[string]any{"sub": nil}), ask: with(opaque), want: passes, calls: introspected},

		{name: "unknown", ask: with(func(*gate) string { return "unknown" }), want: inactive, calls: introspected},
		{name: "revoked", ask: with(revoked), want: inactive, calls: introspected},
		{name: "of another issuer", ask: with(jwt(map[string]any{"iss": "https://other.example"})), want: inactive, calls: introspected},
		{name: "active is missing", before: saying(map[string]any{"active": nil}), ask: with(opaque), want: inactive, calls: introspected},
		{name: "active is a string", before: saying(map[string]any{"active": "true"}), ask: with(opaque),
			want: inactive, calls: introspected},
		{name: "active is 1", before: saying(map[string]any{"active": 1}), ask: with(opaque), want: inactive, calls: introspected},
		{name: "Active", before: saying(map[string]any{"active": nil, "Active": true}), ask: with(opaque),
			want: inactive, calls: introspected},
		{name: "an empty sub", before: saying(map[string]any{"sub": ""}), ask: with(opaque), want: inactive, calls: introspected},
		{name: "another iss", before: saying(map[string]any{"iss": "https://other.example"}), ask: with(opaque),
			want: inactive, calls: introspected},
		{name: "an iss that is no string", before: saying(map[string]any{"iss": 7}), ask: with(opaque),
			want: inactive, calls: introspected},
		{name: "an ID token, says typ", before: saying(map[string]any{"typ": "ID"}), ask: with(opaque),
			want: invalid("not_an_access_token"), calls: introspected},
		{name: "a refresh token, says token_use", before: saying(map[string]any{"token_use": "refresh_token"}), ask: with(opaque),
			want: invalid("not_an_access_token"), calls: introspected},
		{name: "a logout token, says events", before: saying(map[string]any{"events": map[string]any{}}), ask: with(opaque),
			want: invalid("not_an_access_token"), calls: introspected},
		{name: "bound, says cnf", before: saying(map[string]any{"cnf": map[string]any{"jkt": "x"}}), ask: with(opaque),
			want: invalid("token_bound"), calls: introspected},
		{name: "exp has passed", before: at("exp", -time.Second), ask: with(opaque), want: invalid("token_expired"), calls: introspected},
		{name: "nbf is to come", before: at("nbf", 61*time.Second), ask: with(opaque),
			want: invalid("token_not_yet_valid"), calls: introspected},
		{name: "exp is no time", before: saying(map[string]any{"exp": "soon"}), ask: with(opaque),
			want: invalid("token_invalid"), calls: introspected},
		{name: "nbf is no time", before: saying(map[string]any{"nbf": true}), ask: with(opaque),
			want: invalid("token_invalid"), calls: introspected},

		{name: "a logout token isn't asked about", ask: with(forged(provider.WithHeader("typ", "logout+jwt"))),
			want: invalid("not_an_access_token")},
		{name: "a DPoP proof isn't asked about", ask: with(forged(provider.WithHeader("typ", "dpop+jwt"))),
			want: invalid("not_an_access_token")},
		{name: "crit isn't asked about", ask: with(forged(provider.WithHeader("crit", []string{"x"}))), want: invalid("token_invalid")},
		{name: "a header that is no JSON is asked about", ask: with(func(*gate) string { return "x.y.z" }),
			want: inactive, calls: introspected},

		{name: "400", before: func(g *gate) {
			g.answers(provider.Introspection, 400, "application/json", `{"error":"invalid_request"}`)
		},
			ask: with(opaque), want: inactive, calls: introspected},
		{name: "401 about the token", before: func(g *gate) { g.answers(provider.Introspection, 401, "application/json", `{}`) },
			ask: with(opaque), want: inactive, calls: introspected},
		{name: "401 about our client", before: func(g *gate) {
			g.answers(provider.Introspection, 401, "application/json", `{"error":"invalid_client"}`, "WWW-Authenticate", `basic realm="x"`)
		}, ask: with(opaque), want: misset, calls: introspected},
		{name: "403", before: func(g *gate) { g.answers(provider.Introspection, 403, "application/json", `{}`) }, ask: with(opaque),
			want: misset, calls: introspected},
		{name: "408", before: func(g *gate) { g.answers(provider.Introspection, 408, "application/json", `{}`) }, ask: with(opaque),
			want: away, calls: introspected},
		{name: "our secret is wrong", change: func(g *gate) { g.settings.Client.ClientSecret = []auth.Secret{"wrong"} },
			ask: with(opaque), want: misset, calls: introspected},
	})
}

// at sets a member of introspection responses to a time relative to now.
func at(name string, d time.Duration) func(*gate) {
	return func(g *gate) { saying(map[string]any{name: g.clock.now().Add(d).Unix()})(g) }
}

func introspectedJohn(g *gate, res *auth.Result) {
	i := res.Identity
	if i.Subject != "john" || i.Issuer != g.issuer.URL || i.ClientID != "opaque" || i.Flow != "introspection" ||
		i.Introspection["active"] != true {
		g.Errorf("got %+v", i)
	}
	if i.AccessToken != nil || i.IDToken != nil || i.Userinfo != nil || i.IntrospectionJWT != "" {
		g.Errorf("got more than the answer says: %+v", i)
	}
	if want := g.clock.now().Add(5 * time.Minute); !i.Tokens.Expiry.Equal(want) {
		g.Errorf("it expires at %v, expected %v", i.Tokens.Expiry, want)
	}
}

// TestIntrospectionAway: an outage is 503, and the next request introspects the token again.
func TestIntrospectionAway(t *testing.T) {
	w := newWorld(t)
	w.tryOutages(t, "introspection", provider.Introspection, row{ask: with(opaque)})
	w.tryOutages(t, "introspection", provider.Discovery, row{cold: true, ask: with(opaque)})
}

// TestIntrospectionKept: a response is cached for a minute at most, and its expiry checked at each request; a refusal for
// some seconds. Only cached responses serve during an outage.
func TestIntrospectionKept(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, "introspection")
	g.warm()
	good, unknown := g.bearer(opaque(g)), g.bearer("unknown")
	g.expect(row{ask: always(good), want: passes, calls: introspected})
	g.expect(row{ask: always(good), want: passes})
	g.expect(row{ask: always(unknown), want: invalid("token_inactive"), calls: introspected})
	g.expect(row{ask: always(unknown), want: invalid("token_inactive")})
	w.clock.advance(5 * time.Second)
	g.expect(row{ask: always(unknown), want: invalid("token_inactive"), calls: introspected})
	g.cut()
	g.expect(row{ask: always(good), want: passes})
	g.expect(row{ask: with(opaque), want: away})
	w.clock.advance(56 * time.Second)
	g.expect(row{ask: always(good), want: away})
	g.mend()
	g.expect(row{ask: always(good), want: passes, calls: introspected})
	g.issuer.Expire(good.Header.Get("Authorization")[len("Bearer "):])
	w.clock.advance(61 * time.Second)
	g.expect(row{ask: always(good), want: invalid("token_inactive"), calls: introspected})

	soon := g.bearer(g.issuer.AccessToken("john", "opaque", map[string]any{"exp": w.clock.now().Add(10 * time.Second).Unix()}))
	g.expect(row{ask: always(soon), want: passes, calls: introspected})
	w.clock.advance(10 * time.Second)
	g.expect(row{ask: always(soon), want: invalid("token_inactive"), calls: introspected})
}

// TestIntrospectionNotKept: with cache_introspection off the token is introspected at each request, so that a revoked token
// is refused at once.
func TestIntrospectionNotKept(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, "introspection", func(g *gate) { g.settings.Client.CacheIntrospection = false })
	g.warm()
	token := opaque(g)
	g.expect(row{ask: always(g.bearer(token)), want: passes, calls: introspected})
	g.issuer.Revoke(token)
	g.expect(row{ask: always(g.bearer(token)), want: invalid("token_inactive"), calls: introspected})
}

// TestIntrospectionSigned: a signed response (RFC 9701) counts if it is valid, from the issuer and for this client.
func TestIntrospectionSigned(t *testing.T) {
	w := newWorld(t)
	accept := func(g *gate) { g.settings.Client.IntrospectionAccept = "application/token-introspection+jwt" }
	claims := func(more map[string]any) func(*gate) {
		return func(g *gate) {
			g.issuer.AdjustSignedAnswer(provider.Introspection, func(c map[string]any) { override(c, more) })
		}
	}
	answer := func(kind string, token func(*gate) string) func(*gate) {
		return func(g *gate) { g.answers(provider.Introspection, http.StatusOK, kind, token(g)) }
	}
	const kind = "application/token-introspection+jwt"
	active := map[string]any{"active": true, "sub": "john"}
	good := func(g *gate) map[string]any {
		return map[string]any{"iss": g.issuer.URL, "aud": "app", "iat": g.clock.now().Unix(), "token_introspection": active}
	}
	typ := provider.WithHeader("typ", "token-introspection+jwt")
	w.try(t, "introspection", []row{
		{name: "good", change: accept, ask: with(opaque), want: passes, calls: introspected, more: func(g *gate, res *auth.Result) {
			if i := res.Identity; i.Subject != "john" || i.IntrospectionJWT == "" || i.Introspection["token_introspection"] != nil {
				g.Errorf("got %+v", i)
			}
		}},
		{name: "for another client", change: accept, before: claims(map[string]any{"aud": "second"}), ask: with(opaque),
			want: away, calls: introspected},
		{name: "for nobody", change: accept, before: claims(map[string]any{"aud": nil}), ask: with(opaque),
			want: away, calls: introspected},
		{name: "of another issuer", change: accept, before: claims(map[string]any{"iss": "https://other.example"}), ask: with(opaque),
			want: away, calls: introspected},
		{name: "of nobody", change: accept, before: claims(map[string]any{"iss": nil}), ask: with(opaque), want: away, calls: introspected},
		{name: "without the answer", change: accept, before: claims(map[string]any{"token_introspection": nil, "active": true}),
			ask: with(opaque), want: away, calls: introspected},
		{name: "inactive", change: accept, before: claims(map[string]any{"token_introspection": map[string]any{"active": false}}),
			ask: with(opaque), want: invalid("token_inactive"), calls: introspected},
		{name: "unsigned", change: accept, ask: with(opaque), want: away, calls: introspected,
			before: answer(kind, func(g *gate) string { return g.issuer.SignJWT(good(g), typ, provider.WithAlg("none")) })},
		{name: "signed with the client's secret", change: accept, ask: with(opaque), want: away, calls: introspected,
			before: answer(kind, func(g *gate) string {
				return g.issuer.SignJWT(good(g), typ, provider.WithAlg("HS256"), provider.WithKey([]byte("app-secret")))
			})},
		{name: "of another typ", change: accept, ask: with(opaque), want: away, calls: introspected,
			before: answer(kind, func(g *gate) string { return g.issuer.SignJWT(good(g)) })},
		{name: "plain, where signed was asked for", change: accept, ask: with(opaque), want: misset, calls: introspected,
			before: answer("application/json", func(*gate) string { return `{"active":true,"sub":"john"}` })},
		{name: "no JWT", change: accept, ask: with(opaque),
			want: away, calls: introspected, before: answer(kind, func(*gate) string { return `{"active":true}` })},
	})
}
