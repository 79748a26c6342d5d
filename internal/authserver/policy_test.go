package authserver

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// allowed returns the code that the client gets after the user's consent.
func (g *gate) allowed(asked url.Values) string {
	g.r.Helper()
	a, err := g.browse(with(asked, "prompt", "consent"))
	a, err = g.reply(g.asked(a, err))
	return g.redirected(a, err, appURI).Get("code")
}

// A verdict is an error of the route's policy for a user, and the response of each endpoint.
type verdict struct {
	name   string
	err    error
	status int    // of the page for a browser
	silent string // the error that the client gets with prompt=none; empty: the page
	grant  string // the error of the token endpoint; empty: the page
}

var verdicts = []verdict{
	{"forbidden", auth.Forbidden("claims_forbidden", errors.New("groups")), 403, "access_denied", "invalid_grant"},
	{"a login that is too weak", &auth.Error{Status: 401, StepUp: &auth.StepUp{ACRValues: []string{"gold"}}},
		401, "login_required", "invalid_grant"},
	{"a user of another issuer", auth.InvalidToken("token_user_issuer", errors.New("another")), 401, "", "invalid_grant"},
	{"the issuer is away", auth.Unavailable("issuer_unavailable", errors.New("no route to host")), 503, "", ""},
	{"a fault", errors.New("a bug"), 500, "", ""},
}

// judging sets the policy's verdict, and returns the identities that the policy judges.
func (g *gate) judging(v verdict) (asked *[]*auth.Identity) {
	asked = &[]*auth.Identity{}
	g.judge = func(i *auth.Identity) error {
		*asked = append(*asked, i)
		return v.err
	}
	return asked
}

// page expects the policy's own error, with its Retry-After.
func (g *gate) page(v verdict, a any, err error) {
	g.r.Helper()
	e := auth.AsError(err)
	if err == nil || e.Status != v.status || (e.RetryAfter > 0) != (v.status == http.StatusServiceUnavailable) {
		g.r.Errorf("%s: got %+v, %v, expected the status %d", v.name, a, err, v.status)
	}
}

// The authorization endpoint always asks the policy before it acts for a user.
func TestAuthorizeAsksThePolicy(t *testing.T) {
	for _, v := range verdicts {
		g := memoryRig(t).gate()
		sealed := g.question(g.user)
		asked := g.judging(v)
		a, err := g.browse(asking())
		g.page(v, a, err)
		a, err = g.reply(sealed)
		g.page(v, a, err)
		a, err = g.reply(sealed, "refuse", "1")
		g.page(v, a, err)
		a, err = g.browse(with(asking(), "prompt", "none"))
		if v.silent == "" {
			g.page(v, a, err)
		} else if q := g.redirected(a, err, appURI); q.Get("error") != v.silent || q.Has("code") || q.Get("state") != "the state" {
			t.Errorf("%s, prompt=none: got %v, expected %s", v.name, q, v.silent)
		}
		if len(*asked) != 4 {
			t.Errorf("%s: the policy was asked %d times, expected 4", v.name, len(*asked))
		}
		g.judge = nil
		a, err = g.browse(asking())
		g.asked(a, err) // a user who is refused has agreed to nothing
		a, err = g.reply(sealed)
		g.redirected(a, err, appURI+"?code=")
	}
}

// The policy judges the user again when a code or a refresh token is exchanged. A refusal is invalid_grant (RFC 6749 §5.2). An outage is
// reported as one, because a client would discard its tokens otherwise. Neither spends the code or the token.
func TestExchangesAskThePolicy(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate()
		g.user.AccessToken, g.user.Tokens = auth.Claims{"groups": []any{"staff"},
			"level": int64(3)}, auth.Tokens{AccessToken: "the provider's"}
		for _, v := range verdicts {
			code := g.allowed(asking())
			g.exchanged(v, redeeming(code))
			_, refresh := g.granted(redeeming(code))
			g.exchanged(v, refreshing(refresh))
			g.granted(refreshing(refresh))
		}
	})
}

// exchanged expects the verdict as the response to a token request, and that the policy judged the user.
func (g *gate) exchanged(v verdict, form url.Values) {
	g.r.Helper()
	asked := g.judging(v)
	defer func() { g.judge = nil }()
	if v.grant != "" {
		g.refused(form, 400, v.grant)
	} else {
		res, err := g.serve("token", http.MethodPost, "", form.Encode())
		g.page(v, res, err)
	}
	if len(*asked) != 1 {
		g.r.Fatalf("%s: the policy was asked %d times, expected once", v.name, len(*asked))
	}
	i := (*asked)[0]
	if i.Subject != "john" || i.Issuer != g.user.Issuer || i.AccessToken.String("groups") != "" ||
		len(i.AccessToken.Values([]string{"groups"})) != 1 ||
		i.AccessToken["level"] != int64(3) || i.Tokens.AccessToken != "" {
		g.r.Errorf("%s: the policy was asked about %+v", v.name, i)
	}
}

// Without a login there is no user to judge: the route's policy judges the access token's own claims when it is used.
func TestWhoIsNotJudgedAtTheTokenEndpoint(t *testing.T) {
	g := memoryRig(t).gate()
	asked := g.judging(verdicts[0])
	access, refresh := g.tokens() // through the external consent page
	next, _ := g.granted(refreshing(refresh))
	machine, _ := g.granted(cc, basic("app", appSecret))
	if len(*asked) > 0 {
		t.Errorf("the policy was asked about %+v", (*asked)[0])
	}
	for _, token := range []string{access, next, machine} {
		if i := g.alive(token); i.OnBehalfOf != nil {
			t.Errorf("it acts for %+v", i.OnBehalfOf)
		}
	}
}

// A code or a refresh token is exchanged only by the iss that issued it: with another iss the same subject may be another user.
func TestOnlyTheIssuerOfThatNameExchanges(t *testing.T) {
	onBoth(t, func(r *rig) {
		g, shared := r.gate(), func(s *Settings) { s.Issuer = "https://tokens.example.com" }
		elsewhere := r.gate()
		elsewhere.move("/elsewhere")
		code := g.code(asking())
		elsewhere.refused(redeeming(code), 400, "invalid_grant")
		_, refresh := g.granted(redeeming(code))
		elsewhere.refused(refreshing(refresh), 400, "invalid_grant")
		g.granted(refreshing(refresh))
		if n := strings.Count(r.log.String(), "it was issued as "+origin+base+", and this is "+origin+"/elsewhere"); n != 2 {
			r.Errorf("the log says %d times why: %s", n, r.log)
		}
		one, two := r.gate(shared), r.gate(shared)
		two.move("/elsewhere")
		_, refresh = two.granted(redeeming(one.code(asking())))
		one.granted(refreshing(refresh))
	})
}

// move serves the endpoints on a route with another first path.
func (g *gate) move(base string) { g.use(g.at(base, g.users())) }

// A code that is used with a wrong request, or twice, counts as stolen whatever the policy's verdict on the user is.
func TestAMisusedCodeEndsWhateverThePolicySays(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate()
		for _, v := range append(verdicts, verdict{name: "nothing"}) {
			code := g.allowed(asking())
			g.judging(v)
			g.refused(with(redeeming(code), "code_verifier", verifier+"x"), 400, "invalid_grant")
			g.judge = nil
			g.refused(redeeming(code), 400, "invalid_grant")

			code = g.allowed(asking())
			access, refresh := g.granted(redeeming(code))
			next, refresh := g.granted(refreshing(refresh))
			g.judging(v)
			g.refused(redeeming(code), 400, "invalid_grant")
			g.judge = nil
			g.dead(access)
			g.dead(next)
			g.refused(refreshing(refresh), 400, "invalid_grant")
		}
	})
}

// An access token acts for its user: policies see its own claims, and those of the user that it doesn't have.
func TestATokenActsForItsUser(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate()
		g.user.AccessToken = auth.Claims{"groups": []any{"staff"}, "scope": "openid", "aud": "gate", "exp": int64(1), "level": int64(3)}
		g.user.IDToken, g.user.Userinfo = auth.Claims{"email": "j@example.com"}, auth.Claims{"hd": "example.com"}
		g.user.MappedFrom = auth.Claims{"team": "blue"}
		access, refresh := g.granted(redeeming(g.allowed(asking())))
		next, _ := g.granted(with(refreshing(refresh), "scope", "read"))
		for token, scope := range map[string]string{access: "read write", next: "read"} {
			i := r.gate().alive(token)
			if i.OnBehalfOf == nil || i.OnBehalfOf.Issuer != g.user.Issuer {
				r.Fatalf("it acts for %+v", i.OnBehalfOf)
			}
			u := i.OnBehalfOf.Identity
			claims := u.Judged()
			if claims["scope"] != scope || claims["aud"] != origin+base || claims["exp"] != i.Introspection["exp"] ||
				claims["level"] != int64(3) ||
				len(claims.Values([]string{"groups"})) != 1 {
				r.Errorf("the policy sees %v", claims)
			}
			if !u.BuiltIn || !u.Presented || u.Issuer != i.Issuer || u.ClientID != "app" ||
				u.Subject != "john" || u.IDToken.String("email") == "" ||
				u.Userinfo.String("hd") == "" || u.MappedFrom["team"] != "blue" || u.MappedFrom["client_id"] != "app" {
				r.Errorf("it acts for %+v", u)
			}
			if len(i.Introspection.Values([]string{"groups"})) > 0 || i.IDToken != nil || i.Userinfo != nil || i.MappedFrom != nil {
				r.Errorf("the token itself claims %+v", i)
			}
		}
		status, answer := g.post("introspect", form("token", access), basic("app", appSecret))
		if status != 200 || answer["groups"] != nil || answer["level"] != nil {
			r.Errorf("the introspection endpoint says %v", answer)
		}
	})
}
