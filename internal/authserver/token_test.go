package authserver

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

func TestClientCredentials(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate()
		res, err := g.serve("token", http.MethodPost, "", "grant_type=client_credentials&scope=write+read+write", basic("app", appSecret))
		if err != nil {
			r.Fatal(err)
		}
		for name, expected := range map[string]string{"Cache-Control": "no-store",
			"Pragma": "no-cache", "Content-Type": "application/json"} {
			if got := res.Answer.Header.Get(name); got != expected {
				r.Errorf("%s: got %q, expected %q", name, got, expected)
			}
		}
		var answer auth.Claims
		if err := answer.UnmarshalJSON(res.Answer.Body); err != nil {
			r.Fatal(err)
		}
		if answer["token_type"] != "Bearer" || answer["expires_in"] != int64(7200) ||
			answer["scope"] != "write read" || answer["refresh_token"] != nil {
			r.Errorf("got %v", answer)
		}
		i := g.alive(answer.String("access_token"))
		now := r.clock.now().Unix()
		for claim, expected := range map[string]any{
			"active": true, "iss": origin + base, "aud": origin +
				base, "sub": "app", "client_id": "app", "scope": "write read", "token_type": "Bearer",
		} {
			if i.Introspection[claim] != expected {
				r.Errorf("%s: got %v, expected %v", claim, i.Introspection[claim], expected)
			}
		}
		if exp, _ := i.Introspection["exp"].(int64); exp < now+7190 || exp > now+7200 || i.Tokens.Expiry.Unix() != exp {
			r.Errorf("exp is %v", i.Introspection["exp"])
		}
		if !i.BuiltIn || i.Issuer != origin+base || i.ClientID != "app" ||
			i.Subject != "app" || i.Tokens.Scope != "write read" || !i.Presented {
			r.Errorf("got %+v", i)
		}
		if _, user := i.Introspection["authenticated_userid"]; user {
			r.Error("a client that acts for itself is no user")
		}
		r.pass(2 * time.Hour)
		g.dead(answer.String("access_token"))
		r.gate().dead(answer.String("access_token"))
	})
}

func TestLifetimeAndAudienceOfAClient(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate(func(s *Settings) { s.Issuer = "https://as.example.com" })
		if _, answer := g.post("token", form("grant_type", "client_credentials"),
			basic("other", appSecret)); answer["expires_in"] != int64(60) || answer["scope"] != nil {
			r.Errorf("got %v", answer)
		}
		code := g.code(with(asking(), "client_id", "first party", "redirect_uri", "", "scope", "read"))
		access, refresh := g.granted(with(redeeming(code), "client_id", "first party", "redirect_uri", ""))
		i := g.alive(access)
		if aud, _ := i.Introspection["aud"].([]any); len(aud) != 2 || aud[0] != "orders" || aud[1] != "stock" {
			r.Errorf("aud is %v", i.Introspection["aud"])
		}
		if refresh != "" || i.Issuer != "https://as.example.com" || i.Subject != "john" ||
			i.Introspection["authenticated_userid"] != "john" {
			r.Errorf("got %+v, refresh token %t", i, refresh != "")
		}
	})
}

func TestTokenRequestsThatAreRefused(t *testing.T) {
	good := form("grant_type", "client_credentials", "client_id", "app", "client_secret", appSecret)
	// its header is {"alg":"none","crit":["x"]}; the server never parses an assertion
	asserting := form("grant_type", "client_credentials", "client_assertion", "eyJhbGciOiJub25lIiwiY3JpdCI6WyJ4Il19.e30.",
		"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	long := url.Values{"grant_type": {"client_credentials"}, "padding": {strings.Repeat("x", maxForm)}}
	onBoth(t, func(r *rig) {
		g := r.gate()
		n := 0
		for name, c := range map[string]struct {
			form    url.Values
			status  int
			code    string
			changes []change
		}{
			"no grant_type": {with(good, "grant_type", ""), 400, "invalid_request", nil},
			"empty grant_type": {form("grant_type", "", "client_id", "app", "client_secret", appSecret),
				400, "invalid_request", nil},
			"unknown grant_type":   {with(good, "grant_type", "urn:x"), 400, "unsupported_grant_type", nil},
			"password":             {with(good, "grant_type", "password"), 400, "unsupported_grant_type", nil},
			"a grant not its own":  {with(good, "client_id", "api"), 400, "unauthorized_client", nil},
			"public client":        {form("grant_type", "client_credentials", "client_id", "spa"), 400, "unauthorized_client", nil},
			"unknown scope":        {with(good, "scope", "read nothing"), 400, "invalid_scope", nil},
			"a scope not its own":  {with(good, "scope", "admin"), 400, "invalid_scope", nil},
			"a scope with a tab":   {with(good, "scope", "read\twrite"), 400, "invalid_scope", nil},
			"no client":            {form("grant_type", "client_credentials"), 401, "invalid_client", nil},
			"unknown client":       {with(good, "client_id", "nobody"), 401, "invalid_client", nil},
			"wrong secret":         {with(good, "client_secret", "wrong"), 401, "invalid_client", nil},
			"no secret":            {with(good, "client_secret", ""), 401, "invalid_client", nil},
			"public with a secret": {with(good, "client_id", "spa"), 401, "invalid_client", nil},
			"long client_id":       {with(good, "client_id", strings.Repeat("a", 300)), 401, "invalid_client", nil},
			"long secret":          {with(good, "client_secret", strings.Repeat("a", 5000)), 401, "invalid_client", nil},
			"wrong by Basic":       {form("grant_type", "client_credentials"), 401, "invalid_client", []change{basic("app", "wrong")}},
			"unknown by Basic": {form("grant_type", "client_credentials"),
				401, "invalid_client", []change{basic("nobody", "wrong")}},
			"empty Basic": {form("grant_type", "client_credentials"), 401, "invalid_client", []change{basic("", "")}},
			"no base64": {form("grant_type", "client_credentials"),
				401, "invalid_client", []change{header("Authorization", "Basic %%")}},
			"no form-encoding": {form("grant_type", "client_credentials"),
				401, "invalid_client", []change{header("Authorization", "Basic "+b64("app:%zz"))}},
			"an assertion":          {with(asserting, "client_id", "spa"), 401, "invalid_client", nil},
			"assertion and secret":  {with(asserting, "client_id", "app", "client_secret", appSecret), 401, "invalid_client", nil},
			"assertion and Basic":   {asserting, 401, "invalid_client", []change{basic("app", appSecret)}},
			"an assertion, no type": {with(asserting, "client_id", "spa", "client_assertion_type", ""), 401, "invalid_client", nil},
			"an assertion's type":   {with(good, "client_assertion_type", "urn:x"), 401, "invalid_client", nil},
			"another scheme":        {good, 401, "invalid_client", []change{header("Authorization", "Bearer abc")}},
			"two headers": {form("grant_type", "client_credentials"), 401,
				"invalid_client", []change{basic("app", appSecret), func(r *auth.Request) { r.Header.Add("Authorization", "Basic x") }}},
			"Basic and a secret": {good, 400, "invalid_request", []change{basic("app", appSecret)}},
			"Basic, another client": {form("grant_type", "client_credentials", "client_id", "other"),
				400, "invalid_request", []change{basic("app", appSecret)}},
			"scope twice": {url.Values{"grant_type": {"client_credentials"}, "scope": {"read", "read"}},
				400, "invalid_request", []change{basic("app", appSecret)}},
			"client_id twice": {url.Values{"grant_type": {"client_credentials"},
				"client_id": {"app", "app"}, "client_secret": {appSecret}}, 400, "invalid_request", nil},
			"no form": {good, 400, "invalid_request", []change{header("Content-Type", "application/json")}},
			"no type": {good, 400, "invalid_request", []change{header("Content-Type", "")}},
			"another charset": {good,
				400, "invalid_request", []change{header("Content-Type", "application/x-www-form-urlencoded; charset=utf-16")}},
			"packed": {good, 400, "invalid_request", []change{header("Content-Encoding", "gzip")}},
			"in the address": {good,
				400, "invalid_request", []change{func(r *auth.Request) { r.URL.RawQuery = "client_secret=x" }}},
			"too long":            {long, 413, "invalid_request", nil},
			"too long and unsaid": {long, 413, "invalid_request", []change{func(r *auth.Request) { r.ContentLength = -1 }}},
			"no UTF-8":            {url.Values{"grant_type": {"\xff"}}, 400, "invalid_request", nil},
			"NUL":                 {url.Values{"grant_type": {"a\x00"}}, 400, "invalid_request", nil},
			"code without a code": {with(good, "grant_type", "authorization_code"), 400, "invalid_request", nil},
			"an unknown code": {with(good, "grant_type", "authorization_code", "code", "sp_c_x", "code_verifier", verifier),
				400, "invalid_grant", nil},
			"a short verifier": {with(good, "grant_type", "authorization_code", "code", "x", "code_verifier", verifier[:42]),
				400, "invalid_request", nil},
			"a long verifier": {with(good, "grant_type", "authorization_code",
				"code", "x", "code_verifier", strings.Repeat("a", 129)), 400, "invalid_request", nil},
			"a verifier of other": {with(good, "grant_type", "authorization_code", "code", "x", "code_verifier", verifier+" "),
				400, "invalid_request", nil},
			"refresh without a token": {with(good, "grant_type", "refresh_token"), 400, "invalid_request", nil},
			"an unknown refresh":      {with(good, "grant_type", "refresh_token", "refresh_token", "sp_r_x"), 400, "invalid_grant", nil},
			"a user, no key":          {with(good, "authenticated_userid", "john"), 400, "invalid_provision_key", nil},
		} {
			r.Run(name, func(t *testing.T) {
				n++
				// each request has an address of its own, so that failed attempts don't add up
				here := []change{from(fmt.Sprintf("2001:db8:0:%x%x::1", n%16, n/16))}
				in := &gate{Site: g.Site, r: &rig{T: t}, endpoints: g.endpoints}
				in.refused(c.form, c.status, c.code, append(here, c.changes...)...)
			})
		}
		if strings.Contains(r.log.String(), appSecret) {
			r.Error("the log shows a secret")
		}
	})
}

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestTokenRequestsThatAreGood(t *testing.T) {
	g := memoryRig(t).gate()
	cc := form("grant_type", "client_credentials")
	for name, c := range map[string]struct {
		form    url.Values
		changes []change
	}{
		"client_secret_post":           {with(cc, "client_id", "app", "client_secret", appSecret), nil},
		"client_secret_basic":          {cc, []change{basic("app", appSecret)}},
		"basic, lower case":            {cc, []change{header("Authorization", "basic "+b64("app:"+appSecret))}},
		"Basic and the same client_id": {with(cc, "client_id", "app"), []change{basic("app", appSecret)}},
		"a charset": {cc, []change{basic("app", appSecret),
			header("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")}},
		"an empty scope":     {with(form("grant_type", "client_credentials", "scope", "")), []change{basic("app", appSecret)}},
		"unknown parameters": {with(cc, "foo", "bar"), []change{basic("app", appSecret)}},
	} {
		if status, answer := g.post("token", c.form, c.changes...); status != http.StatusOK {
			t.Errorf("%s: got %d %v", name, status, answer)
		}
	}
}

// Only a client that tried Basic gets a challenge (RFC 6749 §5.2).
func TestBasicChallenge(t *testing.T) {
	g := memoryRig(t).gate()
	for _, c := range []struct {
		changes  []change
		expected string
	}{{[]change{basic("app", "wrong")}, `Basic realm="oauth2"`}, {nil, ""}} {
		res, err := g.serve("token", http.MethodPost, "", "grant_type=client_credentials&client_id=app", c.changes...)
		if err != nil || res.Answer.Header.Get("WWW-Authenticate") != c.expected {
			t.Errorf("got %v %v, expected the challenge %q", res, err, c.expected)
		}
	}
}

func TestMandatoryScope(t *testing.T) {
	g := memoryRig(t).gate(func(s *Settings) { s.MandatoryScope = true })
	cc := form("grant_type", "client_credentials", "client_id", "app", "client_secret", appSecret)
	g.refused(cc, 400, "invalid_scope")
	g.granted(with(cc, "scope", "read"))
}

// With the provision key a client acts for a user, as in Kong.
func TestClientCredentialsForAUser(t *testing.T) {
	g := memoryRig(t).gate()
	cc := form("grant_type", "client_credentials", "client_id", "app", "client_secret", appSecret, "authenticated_userid", "john")
	g.refused(with(cc, "provision_key", "wrong"), 400, "invalid_provision_key")
	access, _ := g.granted(with(cc, "provision_key", provision))
	if i := g.alive(access); i.Subject != "john" || i.Introspection["authenticated_userid"] != "john" || i.ClientID != "app" {
		t.Errorf("got %+v", i)
	}
}

func TestMethodsAndPlainHTTP(t *testing.T) {
	g := memoryRig(t).gate()
	lax := memoryRig(t).gate(func(s *Settings) { s.AllowInsecureHTTP = true })
	plain := func(r *auth.Request) { r.Origin = "http://gate.example.com" }
	local := func(r *auth.Request) { r.Origin = "http://127.0.0.1:8000" }
	for name := range g.endpoints {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost,
			http.MethodPut, http.MethodDelete, http.MethodOptions} {
			allowed := map[string]string{"authorize": "GET POST", "oauth2_metadata": "GET HEAD"}[name]
			if allowed == "" {
				allowed = "POST"
			}
			_, err := g.serve(name, method, "", "")
			var e *auth.Error
			got := errors.As(err, &e) && e.Status == http.StatusMethodNotAllowed
			if expected := !strings.Contains(" "+allowed+" ", " "+method+" "); got != expected {
				t.Errorf("%s %s: got %v", method, name, err)
			}
		}
		method := map[bool]string{true: http.MethodGet, false: http.MethodPost}[name == "oauth2_metadata"]
		var e *auth.Error
		if _, err := g.serve(name, method, "", "", plain); !errors.As(err, &e) || e.Reason != "oauth2_insecure" || e.Status != 400 {
			t.Errorf("%s over http: got %v", name, err)
		}
		for what, c := range map[string]struct {
			g      *gate
			origin change
		}{"loopback": {g, local}, "allowed": {lax, plain}} {
			if _, err := c.g.serve(name, method, "", "", c.origin); err != nil && auth.AsError(err).Reason == "oauth2_insecure" {
				t.Errorf("%s over http, %s: %v", name, what, err)
			}
		}
	}
}
