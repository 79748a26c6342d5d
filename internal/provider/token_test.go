package provider_test

import (
	"errors"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"sallyport/internal/provider"
)

// refusal returns the error code of a rejected token request, or "".
func refusal(err error) string {
	var e *oauth2.RetrieveError
	if errors.As(err, &e) {
		return e.ErrorCode
	}
	return ""
}

// active introspects a token.
func active(t *testing.T, p *provider.Provider, token string) bool {
	t.Helper()
	_, answer := post(t, p.URL+"/introspect", "app", "s3cret", url.Values{"token": {token}})
	return answer["active"] == true
}

func TestCodeOnlyOnce(t *testing.T) {
	p, _ := start(t)
	c := oauthConfig(p, "app", "s3cret")
	verifier := oauth2.GenerateVerifier()
	code := mustLogIn(t, p, browser(p), c.AuthCodeURL("st", oauth2.S256ChallengeOption(verifier))).Get("code")
	token, err := c.Exchange(t.Context(), code, oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	if !active(t, p, token.AccessToken) || !active(t, p, token.RefreshToken) {
		t.Fatal("expected the new tokens to be active")
	}
	if _, err := c.Exchange(t.Context(), code, oauth2.VerifierOption(verifier)); refusal(err) != "invalid_grant" {
		t.Errorf("the second time: expected invalid_grant, got %v", err)
	}
	if active(t, p, token.AccessToken) || active(t, p, token.RefreshToken) {
		t.Error("expected the tokens of a code that was used twice to be revoked")
	}
	if r, _ := get(t, p.URL+"/userinfo", token.AccessToken); r.StatusCode != http.StatusUnauthorized {
		t.Errorf("userinfo: expected 401, got %s", r.Status)
	}
}

func TestCodeRefused(t *testing.T) {
	p, clock := start(t)
	verifier := oauth2.GenerateVerifier()
	for name, tc := range map[string]struct {
		challenged bool
		clientID   string
		change     url.Values
		late       time.Duration
		expected   string
	}{
		"good":                         {true, "app", nil, 0, ""},
		"wrong verifier":               {true, "app", url.Values{"code_verifier": {oauth2.GenerateVerifier()}}, 0, "invalid_grant"},
		"no verifier":                  {true, "app", url.Values{"code_verifier": nil}, 0, "invalid_grant"},
		"verifier without a challenge": {false, "app", nil, 0, "invalid_grant"},
		"other redirect_uri":           {true, "app", url.Values{"redirect_uri": {"http://app.test/"}}, 0, "invalid_grant"},
		"no redirect_uri":              {true, "app", url.Values{"redirect_uri": nil}, 0, "invalid_grant"},
		"other client":                 {true, "opaque", nil, 0, "invalid_grant"},
		"late":                         {true, "app", nil, time.Minute, "invalid_grant"},
		"unknown code":                 {true, "app", url.Values{"code": {"x"}}, 0, "invalid_grant"},
		"no code":                      {true, "app", url.Values{"code": nil}, 0, "invalid_request"},
		"two codes":                    {true, "app", url.Values{"code": {"x", "y"}}, 0, "invalid_request"},
		"unknown grant":                {true, "app", url.Values{"grant_type": {"x"}}, 0, "unsupported_grant_type"},
		"no grant":                     {true, "app", url.Values{"grant_type": nil}, 0, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			var opts []oauth2.AuthCodeOption
			if tc.challenged {
				opts = append(opts, oauth2.S256ChallengeOption(verifier))
			}
			code := mustLogIn(t, p, browser(p), oauthConfig(p, "app", "").AuthCodeURL("st", opts...)).Get("code")
			clock.advance(tc.late)
			form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback},
				"code_verifier": {verifier}}
			for k, v := range tc.change {
				form[k] = v
			}
			r, answer := post(t, p.URL+"/token", tc.clientID, "s3cret", form)
			if got, _ := answer["error"].(string); got != tc.expected {
				t.Errorf("expected %q, got %s %v", tc.expected, r.Status, answer)
			}
			if r.Header.Get("Cache-Control") != "no-store" {
				t.Error("expected no-store")
			}
		})
	}
}

func TestClientAuthentication(t *testing.T) {
	p, _ := start(t)
	for name, tc := range map[string]struct {
		basicID, basicSecret string
		form                 url.Values
		status               int
		code                 string
	}{
		"basic":                {"app", "s3cret", nil, 200, ""},
		"basic, encoded":       {"odd:id &+", "a b+c%&:ü", nil, 200, ""},
		"basic, wrong":         {"app", "wrong", nil, 401, "invalid_client"},
		"basic, unknown":       {"nobody", "s3cret", nil, 401, "invalid_client"},
		"basic, other id":      {"app", "s3cret", url.Values{"client_id": {"post"}}, 401, "invalid_client"},
		"basic, not its way":   {"post", "s3cret", nil, 401, "invalid_client"},
		"post":                 {"", "", url.Values{"client_id": {"post"}, "client_secret": {"s3cret"}}, 200, ""},
		"post, wrong":          {"", "", url.Values{"client_id": {"post"}, "client_secret": {"x"}}, 401, "invalid_client"},
		"post, not its way":    {"", "", url.Values{"client_id": {"app"}, "client_secret": {"s3cret"}}, 401, "invalid_client"},
		"both":                 {"app", "s3cret", url.Values{"client_id": {"app"}, "client_secret": {"s3cret"}}, 400, "invalid_request"},
		"none":                 {"", "", url.Values{"client_id": {"app"}}, 401, "invalid_client"},
		"none, and no client":  {"", "", nil, 401, "invalid_client"},
		"public has no tokens": {"", "", url.Values{"client_id": {"public"}}, 400, "unauthorized_client"},
	} {
		t.Run(name, func(t *testing.T) {
			form := url.Values{"grant_type": {"client_credentials"}, "scope": {"openid orders:read unknown"}}
			for k, v := range tc.form {
				form[k] = v
			}
			r, answer := post(t, p.URL+"/token", tc.basicID, tc.basicSecret, form)
			if code, _ := answer["error"].(string); r.StatusCode != tc.status || code != tc.code {
				t.Errorf("expected %d %s, got %s %v", tc.status, tc.code, r.Status, answer)
			}
			if challenged := r.Header.Get("WWW-Authenticate") != ""; challenged != (tc.status == 401 && tc.basicID != "") {
				t.Errorf("challenge: %v", challenged)
			}
			if tc.status == 200 && (answer["scope"] != "orders:read" || answer["refresh_token"] != nil || answer["id_token"] != nil) {
				t.Errorf("got %v", answer)
			}
		})
	}
}

func TestRefresh(t *testing.T) {
	p, clock := start(t)
	first := mustTokens(t, p, oauthConfig(p, "app", "s3cret"))
	refresh := func(token string, more url.Values) (string, map[string]any) {
		form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
		for k, v := range more {
			form[k] = v
		}
		_, answer := post(t, p.URL+"/token", "app", "s3cret", form)
		code, _ := answer["error"].(string)
		return code, answer
	}
	if code, _ := refresh(first.RefreshToken, url.Values{"scope": {"openid orders:read"}}); code != "invalid_scope" {
		t.Errorf("a wider scope: expected invalid_scope, got %q", code)
	}
	clock.advance(10 * time.Minute)
	code, second := refresh(first.RefreshToken, url.Values{"scope": {"openid"}})
	if code != "" || second["scope"] != "openid" || second["refresh_token"] == first.RefreshToken || second["id_token"] == nil {
		t.Fatalf("got %v", second)
	}
	rotated := second["refresh_token"].(string)
	if code, third := refresh(rotated, nil); code != "" || third["scope"] != "openid profile email" {
		t.Errorf("expected the whole scope again, got %v", third)
	} else {
		rotated = third["refresh_token"].(string)
	}
	if !active(t, p, rotated) {
		t.Error("expected the newest refresh token to be active")
	}
	if code, _ := refresh(first.RefreshToken, nil); code != "invalid_grant" {
		t.Errorf("reuse: expected invalid_grant, got %q", code)
	}
	if code, _ := refresh(rotated, nil); code != "invalid_grant" {
		t.Errorf("after a reuse: expected invalid_grant, got %q", code)
	}
	if got := p.RefreshCount(); got != 5 {
		t.Errorf("expected 5 refreshes to be counted, got %d", got)
	}
}

// TestRefreshAtOnce checks that one of many concurrent refreshes with the same token succeeds.
func TestRefreshAtOnce(t *testing.T) {
	p, _ := start(t)
	c := oauthConfig(p, "app", "s3cret")
	token := mustTokens(t, p, c)
	var good sync.Map
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if n, err := c.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token(); err == nil {
				good.Store(n.AccessToken, true)
			}
		})
	}
	all.Wait()
	count := 0
	good.Range(func(any, any) bool { count++; return true })
	if count != 1 {
		t.Errorf("expected one success, got %d", count)
	}
}

func TestKeptRefreshToken(t *testing.T) {
	p, clock := start(t)
	c := oauthConfig(p, "opaque", "s3cret")
	token := mustTokens(t, p, c)
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}}
	for range 2 {
		if r, answer := post(t, p.URL+"/token", "opaque", "s3cret", form); r.StatusCode != 200 || answer["refresh_token"] != nil {
			t.Errorf("got %s %v", r.Status, answer)
		}
	}
	clock.advance(12 * time.Hour)
	if _, answer := post(t, p.URL+"/token", "opaque", "s3cret", form); answer["error"] != "invalid_grant" {
		t.Errorf("expected an expired refresh token to be refused, got %v", answer)
	}
}

func TestPasswordGrant(t *testing.T) {
	p, _ := start(t)
	c := oauthConfig(p, "app", "s3cret")
	token, err := c.PasswordCredentialsToken(t.Context(), "john", "doe")
	if err != nil || token.Extra("id_token") == nil || token.RefreshToken == "" {
		t.Errorf("got %v, %v", token, err)
	}
	for _, username := range []string{"john", "nobody"} {
		if _, err := c.PasswordCredentialsToken(t.Context(), username, "x"); refusal(err) != "invalid_grant" {
			t.Errorf("%s: expected invalid_grant, got %v", username, err)
		}
	}
}

func TestIntrospection(t *testing.T) {
	p, clock := start(t)
	token := mustTokens(t, p, oauthConfig(p, "opaque", "s3cret"))
	_, answer := post(t, p.URL+"/introspect", "app", "s3cret", url.Values{"token": {token.AccessToken}})
	aud, _ := answer["aud"].([]any)
	if answer["active"] != true || answer["sub"] != "u-1" || answer["client_id"] != "opaque" || answer["username"] != "john" ||
		len(aud) != 2 {
		t.Errorf("got %v", answer)
	}
	if active(t, p, token.RefreshToken) {
		t.Error("expected another client's refresh token not to be shown")
	}
	if active(t, p, p.SignJWT(map[string]any{"iss": p.Issuer(), "sub": "u-1", "exp": clock.Now().Unix() + 60})) {
		t.Error("expected a token that wasn't issued not to be active")
	}
	for _, who := range []string{"", "public"} {
		if r, _ := post(t, p.URL+"/introspect", "", "", url.Values{"token": {token.AccessToken}, "client_id": {who}}); r.StatusCode != 401 {
			t.Errorf("%q: expected 401, got %s", who, r.Status)
		}
	}
	clock.advance(5 * time.Minute)
	if _, answer := post(t, p.URL+"/introspect", "app", "s3cret", url.Values{"token": {token.AccessToken}}); len(answer) != 1 ||
		answer["active"] != false {
		t.Errorf("expired: expected only active, got %v", answer)
	}
}

func TestRevocation(t *testing.T) {
	p, _ := start(t)
	c := oauthConfig(p, "app", "s3cret")
	token := mustTokens(t, p, c)
	revoke := func(clientID, token string) int {
		r, _ := post(t, p.URL+"/revoke", clientID, "s3cret", url.Values{"token": {token}})
		return r.StatusCode
	}
	if got := revoke("opaque", token.AccessToken); got != 400 || !active(t, p, token.AccessToken) {
		t.Errorf("another client: got %d", got)
	}
	if got := revoke("app", "unknown"); got != 200 {
		t.Errorf("unknown: got %d", got)
	}
	if got := revoke("app", token.AccessToken); got != 200 || active(t, p, token.AccessToken) || !active(t, p, token.RefreshToken) {
		t.Errorf("access token: got %d; it alone should be revoked", got)
	}
	other := mustTokens(t, p, c)
	if got := revoke("app", other.RefreshToken); got != 200 || active(t, p, other.AccessToken) || active(t, p, other.RefreshToken) {
		t.Errorf("refresh token: got %d; all of the grant should be revoked", got)
	}
}

func TestUserinfo(t *testing.T) {
	p, _ := start(t)
	good := p.AccessToken("john", "app", map[string]any{"scope": "openid profile"})
	_, claims := get(t, p.URL+"/userinfo", good)
	if claims["sub"] != "u-1" || claims["name"] != "John Doe" || claims["email"] != nil || claims["groups"] == nil {
		t.Errorf("got %v", claims)
	}
	if r, _ := post(t, p.URL+"/userinfo", "", "", url.Values{"access_token": {good}}); r.StatusCode != 200 {
		t.Errorf("in a form: got %s", r.Status)
	}
	for name, tc := range map[string]struct {
		token, query, challenge string
		status                  int
	}{
		"none":         {"", "", `Bearer realm="provider"`, 401},
		"in the query": {"", "?access_token=" + good, `Bearer realm="provider"`, 401},
		"garbage":      {"x", "", `Bearer realm="provider", error="invalid_token"`, 401},
		"no openid": {p.AccessToken("john", "app", map[string]any{"scope": "profile"}), "",
			`Bearer realm="provider", error="insufficient_scope"`, 403},
		"client's own": {p.AccessToken("", "app", nil), "", `Bearer realm="provider", error="insufficient_scope"`, 403},
	} {
		r, _ := get(t, p.URL+"/userinfo"+tc.query, tc.token)
		if got := r.Header.Get("WWW-Authenticate"); r.StatusCode != tc.status || len(got) < len(tc.challenge) ||
			got[:len(tc.challenge)] != tc.challenge {
			t.Errorf("%s: expected %d %s, got %s %s", name, tc.status, tc.challenge, r.Status, got)
		}
	}
}
