package provider_test

import (
	"net/url"
	"testing"

	"golang.org/x/oauth2"
)

func TestRevokedAndRevoke(t *testing.T) {
	p, _ := start(t)
	c := oauthConfig(p, "app", "s3cret")
	revokeByClient := func(token string) {
		post(t, p.URL+"/revoke", "app", "s3cret", url.Values{"token": {token}})
	}
	for name, tc := range map[string]struct {
		do                                       func(*oauth2.Token)
		access, refresh                          bool // the expected results of Revoked
		activeAccess, activeRefresh, refreshable bool
	}{
		"nothing":                 {func(*oauth2.Token) {}, false, false, true, true, true},
		"a client, access token":  {func(o *oauth2.Token) { revokeByClient(o.AccessToken) }, true, false, false, true, true},
		"a client, refresh token": {func(o *oauth2.Token) { revokeByClient(o.RefreshToken) }, true, true, false, false, false},
		"Revoke, access token":    {func(o *oauth2.Token) { p.Revoke(o.AccessToken) }, true, false, false, true, true},
		"Revoke, refresh token":   {func(o *oauth2.Token) { p.Revoke(o.RefreshToken) }, false, true, true, false, false},
		"Expire, access token":    {func(o *oauth2.Token) { p.Expire(o.AccessToken) }, false, false, false, true, true},
		"Expire, refresh token":   {func(o *oauth2.Token) { p.Expire(o.RefreshToken) }, false, false, true, false, false},
		"RevokeAll":               {func(*oauth2.Token) { p.RevokeAll() }, true, true, false, false, false},
		"a client, unknown token": {func(*oauth2.Token) { revokeByClient("unknown") }, false, false, true, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := c.PasswordCredentialsToken(t.Context(), "john", "doe")
			if err != nil {
				t.Fatal(err)
			}
			tc.do(token)
			if a, r := p.Revoked(token.AccessToken), p.Revoked(token.RefreshToken); a != tc.access || r != tc.refresh {
				t.Errorf("Revoked: got %v and %v", a, r)
			}
			if a, r := active(t, p, token.AccessToken), active(t, p, token.RefreshToken); a != tc.activeAccess || r != tc.activeRefresh {
				t.Errorf("active: got %v and %v", a, r)
			}
			_, err = c.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
			if (err == nil) != tc.refreshable || err != nil && refusal(err) != "invalid_grant" {
				t.Errorf("refresh: got %v", err)
			}
		})
	}
	defer func() {
		if recover() == nil {
			t.Error("expected a panic for an unknown token")
		}
	}()
	p.Revoke("unknown")
}

func TestLastRequest(t *testing.T) {
	p, _ := start(t)
	if p.LastForm("/token") != nil || p.LastHeader("/token") != nil {
		t.Error("expected nothing before the first request")
	}
	post(t, p.URL+"/token?x=query", "app", "s3cret", url.Values{"grant_type": {"unknown"}, "audience": {"a", "b"}})
	form, header := p.LastForm("/token"), p.LastHeader("/token")
	if form.Get("grant_type") != "unknown" || len(form["audience"]) != 2 || form.Get("x") != "query" || header.Get("Authorization") == "" {
		t.Errorf("got %v and %v", form, header)
	}
	form["audience"][0] = "changed"
	header.Set("Authorization", "changed")
	if p.LastForm("/token").Get("audience") != "a" || p.LastHeader("/token").Get("Authorization") == "changed" {
		t.Error("expected the caller's copy to be its own")
	}
}
