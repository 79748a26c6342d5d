package provider_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"sallyport/internal/provider"
)

// TestLogoutAtClients checks that the end of a session sends a logout token to its clients, and that the page after a logout has their
// frames and a link to the registered address.
func TestLogoutAtClients(t *testing.T) {
	var tokens []string
	client := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens = append(tokens, r.FormValue("logout_token"))
		w.WriteHeader(http.StatusTeapot)
	}))
	defer client.Close()
	p := provider.Start(t, provider.Config{
		Clients: []provider.Client{
			{ID: "back", Secret: "s3cret", RedirectURIs: []string{callback}, BackchannelLogoutURI: client.URL},
			{ID: "front", Secret: "s3cret", RedirectURIs: []string{callback}, FrontchannelLogoutURI: "http://app.test/frame",
				PostLogoutRedirectURIs: []string{"http://app.test/bye"}},
		},
		Users: []provider.User{{Username: "john", Password: "doe"}},
	})
	b := browser(p)
	login := func(id string) *oauth2.Token {
		c := oauthConfig(p, id, "s3cret")
		token, err := c.Exchange(t.Context(), mustLogIn(t, p, b, c.AuthCodeURL("st")).Get("code"))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	login("back")
	if got := p.EndSessions("john"); len(got) != 1 || len(tokens) != 1 || strings.Count(tokens[0], ".") != 2 {
		t.Errorf("got %v, the client %q", got, tokens)
	}
	hint := login("front").Extra("id_token").(string)
	r, err := b.Get(p.URL + "/logout?" + url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {"http://app.test/bye"}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	page := text(t, r)
	if !strings.Contains(page, `<iframe hidden src="http://app.test/frame?iss=`) || !strings.Contains(page, `href="http://app.test/bye"`) {
		t.Errorf("the page is %s", page)
	}
	if policy := r.Header.Get("Content-Security-Policy"); !strings.HasSuffix(policy, "; frame-src http://app.test") {
		t.Errorf("the policy is %s", policy)
	}
}
