package flow_test

import (
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// everywhere lets access tokens stand in each of the four places.
func everywhere(g *gate) {
	g.settings.BearerTokenParamType = []string{"header", "query", "body", "cookie"}
	g.settings.BearerTokenCookieName = "token"
}

const form = "application/x-www-form-urlencoded"

// tokenPlaceRows are rows for any flow that verifies access tokens: where tokens are read from, and what is malformed. The
// issuer receives no request about a token that is refused here.
func tokenPlaceRows(token func(*gate) string, asks calls) []row {
	in := func(line string, header ...string) func(*gate) *auth.Request { return sends(token, line, header...) }
	return []row{
		{name: "nothing", ask: in("GET /"), want: goesOn},
		{name: "another scheme", ask: in("GET /", "Authorization", "Basic am9objpkb2U="), want: goesOn},
		{name: "a scheme that begins likewise", ask: in("GET /", "Authorization", "BearerToken TOKEN"), want: goesOn},
		{name: "in the query, where that is off", ask: in("GET /?access_token=TOKEN"), want: goesOn},
		{name: "in the body, where that is off", ask: in("POST /", "Content-Type", form, "access_token=TOKEN"), want: goesOn},
		{name: "in the cookie, where that is off", ask: in("GET /", "Cookie", "token=TOKEN"), want: goesOn},

		{name: "the scheme alone", ask: in("GET /", "Authorization", "Bearer"), want: invalid("authorization_malformed")},
		{name: "the scheme and a space", ask: in("GET /", "Authorization", "Bearer "), want: invalid("authorization_malformed")},
		{name: "two tokens in one header", ask: in("GET /", "Authorization", "Bearer TOKEN TOKEN"),
			want: invalid("authorization_malformed")},
		{name: "a list in one header", ask: in("GET /", "Authorization", "Bearer TOKEN, Bearer TOKEN"),
			want: invalid("authorization_malformed")},
		{name: "quoted", ask: in("GET /", "Authorization", `Bearer "TOKEN"`), want: invalid("authorization_malformed")},
		{name: "no b64token", ask: in("GET /", "Authorization", "Bearer a\xe4b"), want: invalid("authorization_malformed")},
		{name: "padding alone", ask: in("GET /", "Authorization", "Bearer =="), want: invalid("authorization_malformed")},
		{name: "too long", ask: in("GET /", "Authorization", "Bearer "+strings.Repeat("x", 16<<10+1)), want: invalid("token_too_long")},
		{name: "an empty header", ask: in("GET /", "X-Access-Token", ""), want: invalid("authorization_malformed")},
		{name: "the scheme DPoP", ask: in("GET /", "Authorization", "DPoP TOKEN"), want: wrongProof},

		{name: "two headers", ask: in("GET /", "Authorization", "Bearer TOKEN", "Authorization", "Bearer TOKEN"),
			want: malformed("authorization_twice")},
		{name: "two headers of two schemes", ask: in("GET /", "Authorization", "Basic am9objpkb2U=", "Authorization", "Bearer TOKEN"),
			want: malformed("authorization_twice")},
		{name: "two headers of two names", ask: in("GET /", "Authorization", "Bearer TOKEN", "Access-Token", "TOKEN"),
			want: malformed("credential_twice")},
		{name: "header and query", change: everywhere, ask: in("GET /?access_token=TOKEN", "Authorization", "Bearer TOKEN"),
			want: malformed("credential_twice")},
		{name: "query twice", change: everywhere, ask: in("GET /?access_token=TOKEN&access_token=", ""),
			want: malformed("credential_twice")},
		{name: "query and body", change: everywhere, ask: in("POST /?access_token=TOKEN", "Content-Type", form, "access_token=TOKEN"),
			want: malformed("credential_twice")},
		{name: "body and cookie", change: everywhere,
			ask:  in("POST /", "Content-Type", form, "Cookie", "token=TOKEN", "access_token=TOKEN"),
			want: malformed("credential_twice")},
		{name: "two members of a JSON body", change: everywhere,
			ask:  in("POST /", "Content-Type", "application/json", `{"access_token":"TOKEN","access_token":"x"}`),
			want: malformed("credential_twice")},
		{name: "two cookies", change: everywhere, ask: in("GET /", "Cookie", "token=TOKEN; token=x"), want: malformed("credential_twice")},
		{name: "empty in the query", change: everywhere, ask: in("GET /?access_token="), want: invalid("authorization_malformed")},
		{name: "in the body of a GET", change: everywhere, ask: in("GET /", "Content-Type", form, "access_token=TOKEN"), want: goesOn},
		{name: "a body that is too long", change: func(g *gate) { everywhere(g); g.settings.CredentialBodyLimit = 10 },
			ask: in("POST /", "Content-Type", form, "access_token=TOKEN"), want: verdict{413, "invalid_request", "body_too_large", false}},
		{name: "a WebSocket of another site with the cookie", change: everywhere,
			ask:  in("GET /", "Cookie", "token=TOKEN", "Upgrade", "websocket", "Origin", "https://evil.example"),
			want: verdict{status: 403, reason: "upgrade_origin"}},
		{name: "not in the one header", change: func(g *gate) { g.settings.BearerTokenHeaderName = "x_token" },
			ask: in("GET /", "Authorization", "Bearer TOKEN"), want: goesOn},
		{name: "twice in the one header", change: func(g *gate) { g.settings.BearerTokenHeaderName = "x_token" },
			ask: in("GET /", "X-Token", "TOKEN", "X-Token", "TOKEN"), want: malformed("credential_twice")},

		{name: "in Authorization", ask: in("GET /", "Authorization", "bearer  TOKEN"),
			want: passes, calls: asks, more: carriedIn(auth.InHeader, "Authorization")},
		{name: "in X-Access-Token", ask: in("GET /", "X-Access-Token", "TOKEN"),
			want: passes, calls: asks, more: carriedIn(auth.InHeader, "X-Access-Token")},
		{name: "in the one header", change: func(g *gate) { g.settings.BearerTokenHeaderName = "x_token" },
			ask: in("GET /", "X-Token", "TOKEN"), want: passes, calls: asks, more: carriedIn(auth.InHeader, "X-Token")},
		{name: "in the query", change: everywhere, ask: in("GET /?access_token=TOKEN"),
			want: passes, calls: asks, more: carriedIn(auth.InQuery, "access_token")},
		{name: "in the body", change: everywhere, ask: in("POST /", "Content-Type", form, "access_token=TOKEN"), want: passes, calls: asks,
			more: carriedIn(auth.InBody, "access_token")},
		{name: "in the cookie", change: everywhere, ask: in("GET /", "Cookie", "token=TOKEN"),
			want: passes, calls: asks, more: carriedIn(auth.InCookie, "token")},
		{name: "a WebSocket of the page's own with the cookie", change: everywhere,
			ask: in("GET /", "Cookie", "token=TOKEN", "Upgrade", "websocket", "Origin", origin), want: passes, calls: asks},
	}
}

// carriedIn asserts where the request carries the token, so that it can be removed from the request to the upstream, and
// that the identity is marked as presented.
func carriedIn(in auth.In, name string) func(*gate, *auth.Result) {
	return func(g *gate, res *auth.Result) {
		if len(res.Used) != 1 || res.Used[0] != (auth.Param{In: in, Name: name}) {
			g.Errorf("the token is in %v, expected %s %s", res.Used, in, name)
		}
		if !res.Identity.Presented || res.Identity.Tokens.AccessToken == "" || res.Header != nil || res.Answer != nil {
			g.Errorf("got %+v of %+v", res.Identity, res)
		}
	}
}

// TestUnjudged: a token that no flow of the route verifies is refused, without a request to the issuer.
func TestUnjudged(t *testing.T) {
	w := newWorld(t)
	for methods, rows := range map[string][]row{
		"session": {
			{name: "a JWT", ask: with(jwt(nil)), want: invalid("token_not_accepted")},
			{name: "an opaque token", ask: with(opaque), want: invalid("token_not_accepted")},
			{name: "a malformed one", ask: with(func(*gate) string { return "" }), want: invalid("authorization_malformed")},
		},
		"bearer": {
			{name: "an opaque token", ask: with(opaque), want: invalid("token_opaque")},
			{name: "two parts of a JWT", ask: with(func(g *gate) string { t := jwt(nil)(g); return t[:strings.LastIndex(t, ".")] }),
				want: invalid("token_opaque")},
			{name: "four parts", ask: with(func(g *gate) string { return jwt(nil)(g) + ".x" }), want: invalid("token_opaque")},
			{name: "an encrypted JWT", ask: with(func(g *gate) string { return jwt(nil)(g) + ".x.y" }), want: invalid("token_opaque")},
			{name: "of the built-in authorization server, which is off", change: withIssuer(nil), ask: with(issued),
				want: invalid("token_opaque")},
		},
		"kong_oauth2": {
			{name: "a JWT", change: withIssuer(nil), ask: with(jwt(nil)), want: invalid("token_not_accepted")},
			{name: "an opaque token of somebody else", change: withIssuer(nil), ask: with(opaque), want: invalid("token_opaque")},
		},
	} {
		t.Run(methods, func(t *testing.T) { w.try(t, methods, rows) })
	}
}
