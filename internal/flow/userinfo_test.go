package flow_test

import (
	"net/http"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

var asked = calls{provider.Userinfo: 1}

// userinfoSays changes members of userinfo responses; nil removes a member.
func userinfoSays(more map[string]any) func(*gate) {
	return func(g *gate) {
		g.issuer.AdjustAnswer(provider.Userinfo, func(answer map[string]any) { override(answer, more) })
	}
}

// TestUserinfo: a token passes if the userinfo response has its subject.
func TestUserinfo(t *testing.T) {
	w := newWorld(t)
	inactive := invalid("token_inactive")
	refuses := func(status int) func(*gate) {
		return func(g *gate) { g.answers(provider.Userinfo, status, "application/json", `{}`) }
	}
	w.try(t, "userinfo", tokenPlaceRows(opaque, asked))
	w.try(t, "userinfo", []row{
		{name: "opaque", ask: with(opaque), want: passes, calls: asked, more: isUserinfoOfJohn},
		{name: "a JWT", ask: with(jwt(nil)), want: passes, calls: asked},
		{name: "nothing is known yet", cold: true, ask: with(opaque),
			want: passes, calls: calls{provider.Discovery: 1, provider.Userinfo: 1}},
		{name: "unknown", ask: with(func(*gate) string { return "unknown" }), want: inactive, calls: asked},
		{name: "revoked", ask: with(revoked), want: inactive, calls: asked},
		{name: "of another issuer", ask: with(jwt(map[string]any{"iss": "https://other.example"})), want: passes, calls: asked},
		{name: "a client's own", ask: with(func(g *gate) string { return g.issuer.AccessToken("", "opaque", nil) }),
			want: inactive, calls: asked},
		{name: "400", before: refuses(400), ask: with(opaque), want: inactive, calls: asked},
		{name: "401", before: refuses(401), ask: with(opaque), want: inactive, calls: asked},
		{name: "403", before: refuses(403), ask: with(opaque), want: inactive, calls: asked},
		{name: "no sub", before: userinfoSays(map[string]any{"sub": nil}), ask: with(opaque),
			want: invalid("userinfo_subject"), calls: asked},
		{name: "an empty sub", before: userinfoSays(map[string]any{"sub": ""}), ask: with(opaque),
			want: invalid("userinfo_subject"), calls: asked},
		{name: "a sub that is no string", before: userinfoSays(map[string]any{"sub": 7}), ask: with(opaque),
			want: invalid("userinfo_subject"), calls: asked},
		{name: "no userinfo endpoint", cold: true, ask: with(opaque),
			want: misset, calls: calls{provider.Discovery: 1}, before: func(g *gate) {
				g.issuer.AdjustAnswer(provider.Discovery, func(m map[string]any) { delete(m, "userinfo_endpoint") })
			}},
	})
}

func isUserinfoOfJohn(g *gate, res *auth.Result) {
	i := res.Identity
	if i.Subject != "john" || i.Issuer != g.issuer.URL || i.Flow != "userinfo" || i.Userinfo.String("sub") != "john" ||
		i.AccessToken != nil || i.Introspection != nil {
		g.Errorf("got %+v", i)
	}
}

// TestUserinfoAway: an outage is 503. A cached response serves for a minute.
func TestUserinfoAway(t *testing.T) {
	w := newWorld(t)
	w.tryOutages(t, "userinfo", provider.Userinfo, row{ask: with(opaque)})
	w.tryOutages(t, "userinfo", provider.Discovery, row{cold: true, ask: with(opaque)})

	g := w.newGate(t, "userinfo")
	good, unknown := g.bearer(opaque(g)), g.bearer("unknown")
	g.warm()
	g.expect(row{ask: always(good), want: passes, calls: asked})
	g.expect(row{ask: always(unknown), want: invalid("token_inactive"), calls: asked})
	g.cut()
	g.expect(row{ask: always(good), want: passes})
	g.expect(row{ask: always(unknown), want: invalid("token_inactive")})
	w.clock.advance(5 * time.Second)
	g.expect(row{ask: always(unknown), want: away})
	w.clock.advance(56 * time.Second)
	g.expect(row{ask: always(good), want: away})
}

// TestUserinfoSigned: a signed response must be from the issuer and for this client, if it has these claims (OIDC Core
// §5.3.2).
func TestUserinfoSigned(t *testing.T) {
	w := newWorld(t)
	token := func(g *gate) string { return g.issuer.AccessToken("john", "signed", nil) }
	for_ := func(more map[string]any) func(*gate) {
		return func(g *gate) {
			g.issuer.AdjustSignedAnswer(provider.Userinfo, func(c map[string]any) { override(c, more) })
		}
	}
	unsigned := func(opts ...provider.SignOption) func(*gate) {
		return func(g *gate) { g.answers(provider.Userinfo, http.StatusOK, "application/jwt", forged(opts...)(g)) }
	}
	w.try(t, "userinfo", []row{
		{name: "good", before: for_(map[string]any{"aud": "app"}), ask: with(token),
			want: passes, calls: asked, more: func(g *gate, res *auth.Result) {
				isUserinfoOfJohn(g, res)
				if res.Identity.UserinfoJWT == "" {
					g.Errorf("the signed answer is lost")
				}
			}},
		{name: "no iss and no aud", before: for_(map[string]any{"aud": nil, "iss": nil}), ask: with(token), want: passes, calls: asked},
		{name: "for another client", ask: with(token), want: away, calls: asked},
		{name: "for something else", before: for_(map[string]any{"aud": []any{7}}), ask: with(token), want: away, calls: asked},
		{name: "of another issuer", before: for_(map[string]any{"aud": "app", "iss": "https://other.example"}), ask: with(token),
			want: away, calls: asked},
		{name: "about nobody", before: for_(map[string]any{"aud": "app", "sub": nil}), ask: with(token),
			want: invalid("userinfo_subject"), calls: asked},
		{name: "unsigned", before: unsigned(provider.WithAlg("none")), ask: with(token), want: away, calls: asked},
		{name: "signed with the client's secret", before: unsigned(provider.WithAlg("HS256"), provider.WithKey([]byte("app-secret"))),
			ask: with(token), want: away, calls: asked},
		{name: "crit", before: unsigned(provider.WithHeader("crit", []string{"x"})), ask: with(token), want: away, calls: asked},
	})
}

// TestSearch: with search_user_info a flow's token is sent to the userinfo endpoint, and the response must be about the same
// subject.
func TestSearch(t *testing.T) {
	w := newWorld(t)
	search := func(g *gate) { g.settings.SearchUserInfo = true }
	both := func(g *gate, res *auth.Result) {
		if i := res.Identity; i.Userinfo.String("sub") != "john" || i.AccessToken.String("sub") != "john" || i.Flow != "bearer" ||
			len(res.Used) != 1 {
			g.Errorf("got %+v of %+v", i, res)
		}
	}
	bare := func(g *gate, res *auth.Result) {
		if res.Identity.Userinfo != nil {
			g.Errorf("got %v", res.Identity.Userinfo)
		}
	}
	w.try(t, "bearer", []row{
		{name: "good", change: search, ask: with(jwt(nil)), want: passes, calls: asked, more: both},
		{name: "about somebody else", change: search, before: userinfoSays(map[string]any{"sub": "jane"}), ask: with(jwt(nil)),
			want: invalid("userinfo_subject"), calls: asked},
		{name: "about nobody", change: search, before: userinfoSays(map[string]any{"sub": nil}), ask: with(jwt(nil)),
			want: invalid("userinfo_subject"), calls: asked},
		{name: "of a program", change: search, ask: with(func(g *gate) string { return g.issuer.AccessToken("", "app", nil) }),
			want: passes, calls: asked, more: bare},
		{name: "without a subject", change: search, ask: with(jwt(map[string]any{"sub": nil})),
			want: invalid("userinfo_subject"), calls: asked},
		{name: "of a forged token", change: search, ask: with(forged(provider.WithAlg("none"))), want: invalid("token_invalid")},
	})
	w.tryOutages(t, "bearer", provider.Userinfo, row{change: search, ask: with(jwt(nil))})
}
