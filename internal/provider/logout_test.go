package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"
)

func TestLogout(t *testing.T) {
	p, _ := start(t)
	bye := "http://app.test/bye"
	hint := func(overrides map[string]any) string { return p.IDToken("john", "app", overrides) }
	for name, tc := range map[string]struct {
		params   url.Values
		expected string // the redirect's Location, or "" for a page
		status   int
		ended    bool
	}{
		"hint and address": {url.Values{"id_token_hint": {hint(nil)}, "post_logout_redirect_uri": {bye}, "state": {"a&b"}},
			bye + "?state=a%26b", 303, true},
		"expired hint": {url.Values{"id_token_hint": {hint(map[string]any{"exp": 1})}, "post_logout_redirect_uri": {bye}}, bye,
			303, true},
		"hint alone":          {url.Values{"id_token_hint": {hint(nil)}}, "", 200, true},
		"nothing":             {nil, "", 200, false},
		"client, but no hint": {url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {bye}}, "", 200, false},
		"another user's hint": {url.Values{"id_token_hint": {p.IDToken("jane", "app", nil)}, "post_logout_redirect_uri": {bye}}, "", 200,
			false},
		"foreign address": {url.Values{"id_token_hint": {hint(nil)}, "post_logout_redirect_uri": {"https://evil.test/"}}, "", 400,
			false},
		"longer address": {url.Values{"id_token_hint": {hint(nil)}, "post_logout_redirect_uri": {bye + "/more"}}, "", 400, false},
		"two addresses":  {url.Values{"id_token_hint": {hint(nil)}, "post_logout_redirect_uri": {bye, bye}}, "", 400, false},
		"other client's": {url.Values{"id_token_hint": {p.IDToken("john", "post", nil)}, "post_logout_redirect_uri": {bye}}, "", 400,
			false},
		"address, but no hint":  {url.Values{"post_logout_redirect_uri": {bye}}, "", 400, false},
		"two clients":           {url.Values{"id_token_hint": {hint(nil)}, "client_id": {"post"}}, "", 400, false},
		"unknown client":        {url.Values{"client_id": {"nobody"}}, "", 400, false},
		"forged hint":           {url.Values{"id_token_hint": {hint(nil) + "x"}, "post_logout_redirect_uri": {bye}}, "", 400, false},
		"other issuer's hint":   {url.Values{"id_token_hint": {hint(map[string]any{"iss": "https://evil.test"})}}, "", 400, false},
		"access token, no hint": {url.Values{"id_token_hint": {p.AccessToken("john", "app", nil)}}, "", 400, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := browser(p)
			login := oauthConfig(p, "app", "s3cret").AuthCodeURL("st")
			mustLogIn(t, p, b, login)
			r, err := b.Get(p.URL + "/logout?" + tc.params.Encode())
			if err != nil {
				t.Fatal(err)
			}
			r.Body.Close()
			if r.StatusCode != tc.status || r.Header.Get("Location") != tc.expected {
				t.Errorf("expected %d %q, got %s %q", tc.status, tc.expected, r.Status, r.Header.Get("Location"))
			}
			if again, err := b.Get(login); err != nil || (again.StatusCode == http.StatusOK) != tc.ended {
				t.Errorf("ended: expected %v, got the answer %v, %v", tc.ended, again, err)
			}
		})
	}
}

// TestLogoutConfirmed checks that a logout without id_token_hint needs a confirmation and redirects to the registered URI.
func TestLogoutConfirmed(t *testing.T) {
	p, _ := start(t)
	b := browser(p)
	login := oauthConfig(p, "app", "s3cret").AuthCodeURL("st")
	mustLogIn(t, p, b, login)
	query := url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {"http://app.test/bye"}, "state": {"s"}}.Encode()
	page, err := b.Get(p.URL + "/logout?" + query)
	if err != nil {
		t.Fatal(err)
	}
	if body := text(t, page); !strings.Contains(body, "as john") || !strings.Contains(body, `action="/logout/confirm?`) {
		t.Errorf("got %s", body)
	}
	if policy := page.Header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "form-action 'self' http://app.test") {
		t.Errorf("got the policy %q", policy)
	}
	r, err := b.Post(p.URL+"/logout/confirm?"+query, "application/x-www-form-urlencoded", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if got := r.Header.Get("Location"); got != "http://app.test/bye?state=s" {
		t.Errorf("led to %q", got)
	}
	if r, err = b.Post(p.URL+"/logout/confirm?post_logout_redirect_uri=https://evil.test", "", nil); err != nil ||
		r.Header.Get("Location") != "" {
		t.Errorf("led to %q, %v", r.Header.Get("Location"), err)
	}
	if again, err := b.Get(login); err != nil || again.StatusCode != http.StatusOK {
		t.Errorf("expected the form, got %v, %v", again, err)
	}
}

// TestLogoutEndsRefresh checks that a logout revokes the session's refresh tokens, except those with offline_access.
func TestLogoutEndsRefresh(t *testing.T) {
	p, _ := start(t)
	online := oauthConfig(p, "app", "s3cret")
	offline := oauthConfig(p, "app", "s3cret")
	offline.Scopes = append(offline.Scopes, "offline_access")
	b := browser(p)
	tokens := func(c *oauth2.Config) *oauth2.Token {
		token, err := c.Exchange(t.Context(), mustLogIn(t, p, b, c.AuthCodeURL("st")).Get("code"))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	ends, stays := tokens(online), tokens(offline)
	elsewhere := mustTokens(t, p, online)
	// The hint suffices without the session cookie.
	if r, _ := get(t, p.URL+"/logout?id_token_hint="+ends.Extra("id_token").(string), ""); r.StatusCode != http.StatusOK {
		t.Fatalf("got %s", r.Status)
	}
	if active(t, p, ends.RefreshToken) || !active(t, p, stays.RefreshToken) || !active(t, p, elsewhere.RefreshToken) {
		t.Error("expected the session's refresh token to be revoked, the one for offline access and another session's to stay")
	}
	if r, err := b.Get(online.AuthCodeURL("st")); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("expected the form, got %v, %v", r, err)
	}
}
