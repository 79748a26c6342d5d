package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"sallyport/internal/provider"
)

// TestAuthorizationCode logs in with the clients of go-oidc and x/oauth2.
func TestAuthorizationCode(t *testing.T) {
	p, _ := start(t)
	independent, err := oidc.NewProvider(t.Context(), p.Issuer())
	if err != nil {
		t.Fatal(err)
	}
	for _, clientID := range []string{"app", "odd:id &+", "opaque"} {
		t.Run(clientID, func(t *testing.T) {
			secret := map[string]string{"odd:id &+": "a b+c%&:ü"}[clientID]
			if secret == "" {
				secret = "s3cret"
			}
			c := oauthConfig(p, clientID, secret)
			c.Endpoint = independent.Endpoint()
			c.Endpoint.AuthStyle = oauth2.AuthStyleInHeader
			token := mustTokens(t, p, c)

			raw, _ := token.Extra("id_token").(string)
			id, err := independent.Verifier(&oidc.Config{ClientID: clientID}).Verify(t.Context(), raw)
			if err != nil {
				t.Fatal(err)
			}
			if id.Nonce != "n-1" || id.Subject != "u-1" {
				t.Errorf("nonce %q and sub %q, expected n-1 and u-1", id.Nonce, id.Subject)
			}
			if err := id.VerifyAccessToken(token.AccessToken); err != nil {
				t.Error(err)
			}
			var claims struct {
				AZP      string   `json:"azp"`
				SID      string   `json:"sid"`
				AuthTime int64    `json:"auth_time"`
				Email    string   `json:"email"`
				Groups   []string `json:"groups"`
			}
			if err := id.Claims(&claims); err != nil {
				t.Fatal(err)
			}
			if claims.AZP != clientID || claims.SID == "" || claims.AuthTime == 0 || claims.Email != "john@example.com" ||
				len(claims.Groups) != 1 {
				t.Errorf("got the claims %+v", claims)
			}
			info, err := independent.UserInfo(t.Context(), oauth2.StaticTokenSource(token))
			if err != nil || info.Subject != "u-1" || info.Email != "john@example.com" {
				t.Errorf("userinfo %+v, %v", info, err)
			}
		})
	}
}

// TestAuthorizationErrors checks that errors are redirected to registered redirect URIs only.
func TestAuthorizationErrors(t *testing.T) {
	p, _ := start(t)
	const challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	for name, tc := range map[string]struct {
		change   url.Values
		expected string // error code, or "" for a page
	}{
		"unknown client":               {url.Values{"client_id": {"nobody"}}, ""},
		"two clients":                  {url.Values{"client_id": {"app", "post"}}, ""},
		"foreign redirect_uri":         {url.Values{"redirect_uri": {"https://evil.test/"}}, ""},
		"longer redirect_uri":          {url.Values{"redirect_uri": {callback + "/more"}}, ""},
		"redirect_uri with a query":    {url.Values{"redirect_uri": {callback + "?x=1"}}, ""},
		"redirect_uri with a fragment": {url.Values{"redirect_uri": {callback + "#x"}}, ""},
		"redirect_uri in capitals":     {url.Values{"redirect_uri": {strings.ToUpper(callback)}}, ""},
		"two redirect_uris":            {url.Values{"redirect_uri": {callback, "https://evil.test/"}}, ""},
		"no redirect_uri":              {url.Values{"redirect_uri": nil}, ""},
		"no response_type":             {url.Values{"response_type": nil}, "invalid_request"},
		"implicit":                     {url.Values{"response_type": {"id_token"}}, "unsupported_response_type"},
		"fragment":                     {url.Values{"response_mode": {"fragment"}}, "invalid_request"},
		"two response_modes":           {url.Values{"response_mode": {"query", "form_post"}}, "invalid_request"},
		"no openid":                    {url.Values{"scope": {"email"}}, "invalid_scope"},
		"two states":                   {url.Values{"nonce": {"a", "b"}}, "invalid_request"},
		"plain":                        {url.Values{"code_challenge": {challenge}, "code_challenge_method": {"plain"}}, "invalid_request"},
		"method left out means plain":  {url.Values{"code_challenge": {challenge}}, "invalid_request"},
		"short challenge":              {url.Values{"code_challenge": {"abc"}, "code_challenge_method": {"S256"}}, "invalid_request"},
		"public without challenge":     {url.Values{"client_id": {"public"}}, "invalid_request"},
		"request object":               {url.Values{"request": {"e30."}}, ""},
		"request_uri":                  {url.Values{"request_uri": {"https://evil.test/"}}, ""},
		"nobody logged in":             {url.Values{"prompt": {"none"}}, "login_required"},
		"none and login":               {url.Values{"prompt": {"none login"}}, "invalid_request"},
		"max_age":                      {url.Values{"max_age": {"-1"}}, "invalid_request"},
		"id_token_hint":                {url.Values{"id_token_hint": {"x.y.z"}}, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			params := url.Values{"client_id": {"app"}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid"},
				"state": {"a&b"}}
			for k, v := range tc.change {
				params[k] = v
			}
			r, err := p.LogIn(browser(p), p.URL+"/authorize?"+params.Encode(), "john", "doe")
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			if tc.expected == "" {
				if r.StatusCode != http.StatusBadRequest || r.Header.Get("Location") != "" {
					t.Errorf("expected a page, got %s to %q", r.Status, r.Header.Get("Location"))
				}
				return
			}
			answer := redirected(t, r)
			if answer.Get("error") != tc.expected || answer.Get("state") != "a&b" || answer.Get("iss") != p.Issuer() || answer.Has("code") {
				t.Errorf("expected %s with state and iss, got %v", tc.expected, answer)
			}
		})
	}
}

func TestLoopbackRedirectURI(t *testing.T) {
	p, _ := start(t)
	for uri, expected := range map[string]int{
		"http://127.0.0.1/cb":                   http.StatusOK,
		"http://127.0.0.1:49152/cb":             http.StatusOK,
		"http://127.0.0.1:0/cb":                 http.StatusBadRequest,
		"http://127.0.0.1:65536/cb":             http.StatusBadRequest,
		"http://127.0.0.1:80@evil.test/cb":      http.StatusBadRequest,
		"http://127.0.0.1:80":                   http.StatusBadRequest,
		"http://127.0.0.1:80/cb/more":           http.StatusBadRequest,
		"http://127.0.0.1:80/other":             http.StatusBadRequest,
		"http://127.0.0.1.evil.test:80/cb":      http.StatusBadRequest,
		"https://127.0.0.1:80/cb":               http.StatusBadRequest,
		"http://localhost:80/cb":                http.StatusBadRequest,
		"http://127.0.0.1:80/cb?next=evil.test": http.StatusBadRequest,
	} {
		c := oauthConfig(p, "public", "")
		c.RedirectURL = uri
		r, err := browser(p).Get(c.AuthCodeURL("st", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != expected {
			t.Errorf("%s: expected %d, got %s", uri, expected, r.Status)
		}
	}
}

// TestSessionAtTheProvider checks which requests need the login form although the user has a session.
func TestSessionAtTheProvider(t *testing.T) {
	p, clock := start(t)
	b := browser(p)
	c := oauthConfig(p, "app", "s3cret")
	mustLogIn(t, p, b, c.AuthCodeURL("st"))
	if r, err := b.Get(c.AuthCodeURL("st", oauth2.SetAuthURLParam("max_age", "0"))); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("max_age=0 in the very second of the login: expected the form, got %v, %v", r, err)
	}
	clock.advance(time.Minute)
	for _, tc := range []struct{ name, value, expected string }{
		{"prompt", "none", "code"},
		{"prompt", "consent", "code"},
		{"prompt", "login", "form"},
		{"prompt", "select_account", "form"},
		{"max_age", "60", "code"},
		{"max_age", "59", "form"},
		{"max_age", "0", "form"},
		{"acr_values", "1", "code"},
		{"acr_values", "unknown", "code"},
		{"acr_values", "2", "form"},
		{"id_token_hint", p.IDToken("john", "app", nil), "code"},
		{"id_token_hint", p.IDToken("jane", "app", nil), "form"},
	} {
		r, err := b.Get(c.AuthCodeURL("st", oauth2.SetAuthURLParam(tc.name, tc.value)))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		switch got := r.StatusCode; tc.expected {
		case "form":
			if got != http.StatusOK {
				t.Errorf("%s=%s: expected the form, got %s", tc.name, tc.value, r.Status)
			}
		default:
			if got != http.StatusSeeOther || !strings.Contains(r.Header.Get("Location"), "code=") {
				t.Errorf("%s=%s: expected a code, got %s %s", tc.name, tc.value, r.Status, r.Header.Get("Location"))
			}
		}
	}
	clock.advance(12 * time.Hour)
	if r, err := b.Get(c.AuthCodeURL("st")); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("expected the form when the session has expired, got %v, %v", r, err)
	}
}

// TestStepUp checks acr, auth_time and sid after a second login with acr_values.
func TestStepUp(t *testing.T) {
	p, clock := start(t)
	b := browser(p)
	c := oauthConfig(p, "app", "s3cret")
	verify := oidc.NewVerifier(p.Issuer(), oidc.NewRemoteKeySet(t.Context(), p.URL+"/jwks"), &oidc.Config{ClientID: "app", Now: clock.Now})
	logIn := func(opts ...oauth2.AuthCodeOption) (claims struct {
		ACR      string `json:"acr"`
		SID      string `json:"sid"`
		AuthTime int64  `json:"auth_time"`
	}) {
		answer := mustLogIn(t, p, b, c.AuthCodeURL("st", opts...))
		token, err := c.Exchange(t.Context(), answer.Get("code"))
		if err != nil {
			t.Fatal(err)
		}
		id, err := verify.Verify(t.Context(), token.Extra("id_token").(string))
		if err != nil {
			t.Fatal(err)
		}
		if err := id.Claims(&claims); err != nil {
			t.Fatal(err)
		}
		return claims
	}
	first := logIn()
	clock.advance(time.Minute)
	second := logIn(oauth2.SetAuthURLParam("acr_values", "2 1"), oauth2.SetAuthURLParam("prompt", "login"))
	if first.ACR != "1" || second.ACR != "2" || first.SID != second.SID || second.AuthTime-first.AuthTime != 60 {
		t.Errorf("got %+v and then %+v", first, second)
	}
}

func TestLoginPage(t *testing.T) {
	p, _ := start(t)
	address := oauthConfig(p, "app", "s3cret").AuthCodeURL("st", oauth2.SetAuthURLParam("login_hint", `"><script>x`))
	page, err := browser(p).Get(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, expected := range []string{`id="username"`, `id="password"`, `id="login"`, `value="&#34;&gt;&lt;script&gt;x"`} {
		if body := text(t, page); !strings.Contains(body, expected) {
			t.Errorf("expected %s in %s", expected, body)
		}
		page, _ = browser(p).Get(address)
	}
	page.Body.Close()
	policy := page.Header.Get("Content-Security-Policy")
	if !strings.HasSuffix(policy, "form-action 'self' http://app.test") ||
		!strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("got the policy %q", policy)
	}
	for _, name := range []string{"john", "jane", "nobody", ""} {
		r, err := p.LogIn(browser(p), address, name, "")
		if err != nil {
			t.Fatal(err)
		}
		body := text(t, r)
		if r.StatusCode != http.StatusForbidden || !strings.Contains(body, `role="alert"`) || len(r.Cookies()) > 0 {
			t.Errorf("%q: expected the form with a complaint, got %s with %v", name, r.Status, r.Cookies())
		}
	}
}

// TestForeignForms checks that forms of other sites can neither log a user in nor out.
func TestForeignForms(t *testing.T) {
	p, _ := start(t)
	query := strings.SplitN(oauthConfig(p, "app", "s3cret").AuthCodeURL("st"), "?", 2)[1]
	for _, path := range []string{"/login?" + query, "/logout/confirm"} {
		r, _ := http.NewRequest(http.MethodPost, p.URL+path, strings.NewReader("username=john&password=doe"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "https://evil.test")
		if answer, _ := send(t, r); answer.StatusCode != http.StatusForbidden || len(answer.Cookies()) > 0 {
			t.Errorf("%s: expected 403 without a cookie, got %s", path, answer.Status)
		}
	}
}

// TestIssuerWithPath checks an issuer URL with a path, such as that of a Keycloak realm.
func TestIssuerWithPath(t *testing.T) {
	p, _ := start(t)
	p.SetIssuer(p.URL + "/realms/main/")
	independent, err := oidc.NewProvider(t.Context(), p.URL+"/realms/main")
	if err != nil {
		t.Fatal(err)
	}
	c := oauthConfig(p, "app", "s3cret")
	c.Endpoint = independent.Endpoint()
	answer := mustLogIn(t, p, browser(p), c.AuthCodeURL("st"))
	if answer.Get("code") == "" || answer.Get("iss") != p.URL+"/realms/main" {
		t.Errorf("got %v", answer)
	}
	if r, _ := get(t, p.URL+string(provider.JWKS), ""); r.StatusCode != http.StatusNotFound {
		t.Errorf("expected 404 outside of the issuer's path, got %s", r.Status)
	}
}
