package provider_test

import (
	"net/url"
	"testing"

	"sallyport/internal/provider"
)

// TestExpiresIn checks that AdjustAnswer can change expires_in for every grant.
func TestExpiresIn(t *testing.T) {
	p, _ := start(t)
	c := oauthConfig(p, "app", "s3cret")
	token := func() string { return mustTokens(t, p, c).RefreshToken }
	for grant, form := range map[string]func() url.Values{
		"authorization_code": func() url.Values {
			return url.Values{"code": {mustLogIn(t, p, browser(p), c.AuthCodeURL("st")).Get("code")}, "redirect_uri": {callback}}
		},
		"refresh_token":      func() url.Values { return url.Values{"refresh_token": {token()}} },
		"client_credentials": func() url.Values { return url.Values{} },
		"password":           func() url.Values { return url.Values{"username": {"john"}, "password": {"doe"}} },
		tokenExchange: func() url.Values {
			return url.Values{"subject_token": {p.AccessToken("john", "app", nil)}, "subject_token_type": {accessType}}
		},
		jwtBearer: func() url.Values {
			return url.Values{"assertion": {p.AccessToken("john", "app", map[string]any{"aud": p.Issuer()})}}
		},
	} {
		for name, tc := range map[string]struct {
			adjust   func(map[string]any)
			expected any
		}{
			"as it is": {nil, 300.0},
			"left out": {func(a map[string]any) { delete(a, "expires_in") }, nil},
			"0":        {func(a map[string]any) { a["expires_in"] = 0 }, 0.0},
			"a string": {func(a map[string]any) { a["expires_in"] = "300" }, "300"},
		} {
			asked := form()
			asked.Set("grant_type", grant)
			p.AdjustAnswer(provider.Token, tc.adjust)
			r, answer := post(t, p.URL+"/token", "app", "s3cret", asked)
			p.AdjustAnswer(provider.Token, nil)
			if r.StatusCode != 200 || answer["expires_in"] != tc.expected {
				t.Errorf("%s, %s: expected %v, got %s %v", grant, name, tc.expected, r.Status, answer)
			}
		}
	}
	if p.Grants(tokenExchange) != 4 || p.Grants(jwtBearer) != 4 {
		t.Errorf("expected 4 requests of each grant, got %d and %d", p.Grants(tokenExchange), p.Grants(jwtBearer))
	}
}
