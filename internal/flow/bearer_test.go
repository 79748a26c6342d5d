package flow_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// jwt returns an access token of john for the client app, with claims replaced or, if they are nil, removed.
func jwt(overrides map[string]any) func(*gate) string {
	return func(g *gate) string { return g.issuer.AccessToken("john", "app", overrides) }
}

// forged returns a JWT with the claims of a good access token, signed in another way.
func forged(opts ...provider.SignOption) func(*gate) string {
	return func(g *gate) string { return g.issuer.SignJWT(claimsOf(g), opts...) }
}

// claimsOf returns the claims of a good access token.
func claimsOf(g *gate) map[string]any {
	return map[string]any{
		"iss": g.issuer.URL, "sub": "john", "aud": "app", "exp": g.clock.now().Add(time.Minute).Unix(), "iat": g.clock.now().Unix(),
	}
}

// payload returns a JWT of the issuer whose payload is the text that change returns.
func payload(change func(text string) string) func(*gate) string {
	return func(g *gate) string {
		text, err := json.Marshal(claimsOf(g))
		if err != nil {
			g.Fatal(err)
		}
		return g.issuer.SignPayload([]byte(change(string(text))))
	}
}

// after returns a token with a claim of a time relative to now.
func after(name string, d time.Duration) func(*gate) string {
	return func(g *gate) string { return jwt(map[string]any{name: g.clock.now().Add(d).Unix()})(g) }
}

func signature(change func(string) string) func(*gate) string {
	return func(g *gate) string {
		token := jwt(nil)(g)
		at := strings.LastIndex(token, ".") + 1
		return token[:at] + change(token[at:])
	}
}

// fetched is one more fetch of keys, because no cached key verifies the signature of a token that would pass.
var fetched = calls{provider.JWKS: 1}

// TestBearer: a JWT passes if the issuer's keys verify it, and its claims are those of a valid access token of the issuer.
// The policy checks its audience.
func TestBearer(t *testing.T) {
	w := newWorld(t)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	w.try(t, "bearer", tokenPlaceRows(jwt(nil), nil))
	w.try(t, "bearer", []row{
		{name: "good", ask: with(jwt(nil)), want: passes, more: provesJohn},
		{name: "good, and nothing is known yet", cold: true, ask: with(jwt(nil)),
			want: passes, calls: calls{provider.Discovery: 1, provider.JWKS: 1}},
		{name: "PS256", ask: with(forged(provider.WithAlg("PS256"))), want: passes},
		{name: "ES256", ask: with(forged(provider.WithAlg("ES256"))), want: passes},
		{name: "EdDSA", ask: with(forged(provider.WithAlg("EdDSA"))), want: passes},
		{name: "no kid", ask: with(forged(provider.WithHeader("kid", nil))), want: passes},
		{name: "no typ", ask: with(forged(provider.WithHeader("typ", nil))), want: passes},
		{name: "application/at+jwt", ask: with(forged(provider.WithHeader("typ", "application/AT+JWT"))), want: passes},
		{name: "no sub", ask: with(jwt(map[string]any{"sub": nil})), want: passes},
		{name: "for another audience", ask: with(jwt(map[string]any{"aud": "other"})), want: passes, more: audienceIsLeft},

		{name: "its signature changed", ask: with(signature(func(s string) string { return "AAAA" + s[4:] })),
			want: invalid("token_invalid"), calls: fetched},
		{name: "no signature", ask: with(signature(func(string) string { return "" })), want: invalid("token_invalid"), calls: fetched},
		{name: "the begin of its signature", ask: with(signature(func(s string) string { return s[:4] })),
			want: invalid("token_invalid"), calls: fetched},
		{name: "of a stranger's key", ask: with(forged(provider.WithKey(stranger))), want: invalid("token_invalid"), calls: fetched},
		{name: "of a stranger's key without kid", ask: with(forged(provider.WithKey(stranger), provider.WithHeader("kid", nil))),
			want: invalid("token_invalid"), calls: fetched},
		{name: "with a stranger's key in the header", want: invalid("token_invalid"), calls: fetched,
			ask: with(forged(provider.WithKey(stranger), provider.WithHeader("jku", "http://127.0.0.1:1/keys"),
				provider.WithHeader("kid", nil)))},
		{name: "alg none", ask: with(forged(provider.WithAlg("none"))), want: invalid("token_invalid")},
		{name: "alg None", ask: with(forged(provider.WithAlg("none"), provider.WithHeader("alg", "None"))), want: invalid("token_invalid")},
		{name: "HS256 with the public key", ask: with(func(g *gate) string {
			return forged(provider.WithAlg("HS256"), provider.WithKey(g.issuer.PublicKeyPEM()))(g)
		}), want: invalid("token_invalid")},
		{name: "HS256 with the client's secret", ask: with(forged(provider.WithAlg("HS256"), provider.WithKey([]byte("app-secret")))),
			want: invalid("token_invalid")},
		{name: "another alg than the signature's", ask: with(forged(provider.WithHeader("alg", "PS256"))),
			want: invalid("token_invalid"), calls: fetched},
		{name: "crit", ask: with(forged(provider.WithHeader("crit", []string{"b64"}), provider.WithHeader("b64", true))),
			want: invalid("token_invalid")},
		{name: "an empty crit", ask: with(forged(provider.WithHeader("crit", []string{}))), want: invalid("token_invalid")},

		{name: "expired", ask: with(after("exp", -time.Second)), want: invalid("token_expired")},
		{name: "expired at this second", ask: with(after("exp", 0)), want: invalid("token_expired")},
		{name: "expired within the leeway", change: lenient, ask: with(after("exp", -9*time.Second)), want: passes},
		{name: "expired beyond the leeway", change: lenient, ask: with(after("exp", -10*time.Second)), want: invalid("token_expired")},
		{name: "not yet valid", ask: with(after("nbf", 61*time.Second)), want: invalid("token_not_yet_valid")},
		{name: "valid within the leeway", change: lenient, ask: with(after("nbf", 10*time.Second)), want: passes},
		{name: "valid from now on", ask: with(after("nbf", 0)), want: passes},
		{name: "issued in the future", ask: with(after("iat", 61*time.Second)), want: invalid("token_not_yet_valid")},
		{name: "issued by a clock that is ahead", ask: with(after("iat", 59*time.Second)), want: passes},
		{name: "no exp", ask: with(jwt(map[string]any{"exp": nil})), want: invalid("token_invalid")},
		{name: "exp is a quoted number", ask: with(jwt(map[string]any{"exp": "4102444800"})), want: passes},
		{name: "exp is a quoted number that has passed", ask: with(jwt(map[string]any{"exp": "1"})), want: invalid("token_expired")},
		{name: "exp is a word", ask: with(jwt(map[string]any{"exp": "NaN"})), want: invalid("token_invalid")},
		{name: "exp is no time", ask: with(jwt(map[string]any{"exp": 1e300})), want: invalid("token_invalid")},
		{name: "nbf is a word", ask: with(jwt(map[string]any{"nbf": "-Inf"})), want: invalid("token_invalid")},
		{name: "iat is a list", ask: with(jwt(map[string]any{"iat": []int{1}})), want: invalid("token_invalid")},

		{name: "of another issuer", ask: with(jwt(map[string]any{"iss": "https://other.example"})), want: invalid("token_invalid")},
		{name: "of an issuer that is allowed",
			change: func(g *gate) { g.settings.Client.IssuersAllowed = []string{"https://other.example"} },
			ask:    with(jwt(map[string]any{"iss": "https://other.example"})), want: passes},
		{name: "of the issuer, where only others are allowed", want: invalid("token_invalid"), ask: with(jwt(nil)), change: func(g *gate) {
			g.settings.Client.IssuersAllowed = []string{"https://other.example"}
			g.issuer.AdjustAnswer(provider.Discovery, func(m map[string]any) { m["issuer"] = "https://other.example" })
		}},
		{name: "of the issuer with a slash", ask: with(func(g *gate) string { return jwt(map[string]any{"iss": g.issuer.URL + "/"})(g) }),
			want: invalid("token_invalid")},
		{name: "no iss", ask: with(jwt(map[string]any{"iss": nil})), want: invalid("token_invalid")},
		{name: "iss is a list", ask: with(func(g *gate) string { return jwt(map[string]any{"iss": []string{g.issuer.URL}})(g) }),
			want: invalid("token_invalid")},
		{name: "iss in capitals besides", ask: with(payload(func(text string) string {
			return strings.Replace(strings.Replace(text, `"iss":`, `"ISS":`, 1), `{`, `{"iss":"https://evil.example",`, 1)
		})), want: invalid("token_invalid")},
		{name: "iss twice",
			ask:  with(payload(func(text string) string { return strings.Replace(text, `{`, `{"iss":"https://evil.example",`, 1) })),
			want: invalid("token_invalid")},
		{name: "no object", ask: with(payload(func(string) string { return `[]` })), want: invalid("token_invalid")},
		{name: "null", ask: with(payload(func(string) string { return `null` })), want: invalid("token_invalid")},
		{name: "an empty sub", ask: with(jwt(map[string]any{"sub": ""})), want: invalid("token_invalid")},
		{name: "a sub that is no string", ask: with(jwt(map[string]any{"sub": 7})), want: invalid("token_invalid")},
	})
}

// lenient gives times a leeway of 10 s.
func lenient(g *gate) { g.settings.Client.Leeway = 10 * time.Second }

func provesJohn(g *gate, res *auth.Result) {
	i := res.Identity
	if i.Subject != "john" || i.Issuer != g.issuer.URL || i.ClientID != "app" || i.AccessToken.String("sub") != "john" ||
		i.Flow != "bearer" {
		g.Errorf("got %+v", i)
	}
	if i.IDToken != nil || i.Userinfo != nil || i.Introspection != nil || i.Tokens.TokenType != "Bearer" || i.Tokens.RefreshToken != "" {
		g.Errorf("got more than the access token says: %+v", i)
	}
	if !strings.Contains(i.AccessTokenJWK, `"kid"`) {
		g.Errorf("got the key %q", i.AccessTokenJWK)
	}
	if want := g.clock.now().Add(5 * time.Minute); !i.Tokens.Expiry.Equal(want) {
		g.Errorf("it expires at %v, expected %v", i.Tokens.Expiry, want)
	}
}

// audienceIsLeft asserts that the policy sees the token's audience.
func audienceIsLeft(g *gate, res *auth.Result) {
	if aud := res.Identity.Judged()["aud"]; aud != "other" || !res.Identity.Presented {
		g.Errorf("aud is %v", aud)
	}
}

// TestBearerKinds: a JWT of the issuer other than an access token is refused.
func TestBearerKinds(t *testing.T) {
	w := newWorld(t)
	var rows []row
	for _, typ := range []string{"logout+jwt", "dpop+jwt", "token-introspection+jwt", "oauth-authz-req+jwt", "secevent+jwt",
		"application/logout+jwt", "at+jwt;x", "x"} {
		rows = append(rows, row{name: "typ " + typ, ask: with(forged(provider.WithHeader("typ", typ))),
			want: invalid("not_an_access_token")})
	}
	for name, claims := range map[string]map[string]any{
		"events": {"events": map[string]any{}}, "events null": {"events": json.RawMessage("null")},
		"nonce": {"nonce": "x"}, "at_hash": {"at_hash": "x"}, "c_hash": {"c_hash": "x"}, "s_hash": {"s_hash": "x"},
		"at_hash and typ Bearer":       {"at_hash": "x", "typ": "Bearer"},
		"at_hash and token_use access": {"at_hash": "x", "token_use": "access"},
		"payload typ ID":               {"typ": "ID"}, "payload typ id": {"typ": "id"}, "payload typ Refresh": {"typ": "Refresh"},
		"payload typ Offline": {"typ": "Offline"},
		"payload typ Logout":  {"typ": "Logout"}, "token_use id": {"token_use": "id"}, "token_use refresh": {"token_use": "refresh"},
		"nonce and token_use id": {"nonce": "x", "token_use": "id", "typ": "Bearer"},
	} {
		rows = append(rows, row{name: name, ask: with(func(g *gate) string { return signed(g, claims) }),
			want: invalid("not_an_access_token")})
	}
	for name, claims := range map[string]map[string]any{
		"nonce and typ Bearer": {"nonce": "x", "typ": "Bearer"}, "nonce and typ DPoP": {"nonce": "x", "typ": "DPoP"},
		"nonce and token_use access": {"nonce": "x", "token_use": "access"},
	} {
		rows = append(rows, row{name: name, ask: with(func(g *gate) string { return signed(g, claims) }), want: passes})
	}
	rows = append(rows,
		row{name: "an ID token", ask: with(func(g *gate) string { return g.issuer.IDToken("john", "app", map[string]any{"nonce": "x"}) }),
			want: invalid("not_an_access_token")},
		row{name: "nonce in an at+jwt", ask: with(func(g *gate) string {
			claims := claimsOf(g)
			claims["nonce"] = "x"
			return g.issuer.SignJWT(claims, provider.WithHeader("typ", "at+jwt"))
		}), want: passes},
		row{name: "bound to a DPoP key", ask: with(jwt(map[string]any{"cnf": map[string]any{"jkt": "x"}})), want: invalid("token_bound")},
		row{name: "bound to a certificate", ask: with(jwt(map[string]any{"cnf": map[string]any{"x5t#S256": "x"}})),
			want: invalid("token_bound")},
		row{name: "bound in an unknown way", ask: with(jwt(map[string]any{"cnf": "x"})), want: invalid("token_bound")},
		row{name: "bound to nothing", ask: with(jwt(map[string]any{"cnf": map[string]any{}})), want: invalid("token_bound")},
		row{name: "bound twice, and one doesn't count", change: func(g *gate) { g.settings.DPoP = "off" },
			ask: with(jwt(map[string]any{"cnf": map[string]any{"jkt": "x", "x5t#S256": "x"}})), want: invalid("token_bound")},
		row{name: "bound in a way that doesn't count", change: func(g *gate) { g.settings.DPoP = "off" },
			ask: with(jwt(map[string]any{"cnf": map[string]any{"jkt": "x"}})), want: passes},
	)
	w.try(t, "bearer", rows)
}

// signed returns a JWT of the issuer with more claims than those of a good access token.
func signed(g *gate, more map[string]any, opts ...provider.SignOption) string {
	claims := claimsOf(g)
	maps.Copy(claims, more)
	return g.issuer.SignJWT(claims, opts...)
}
