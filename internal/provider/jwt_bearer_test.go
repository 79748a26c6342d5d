package provider_test

import (
	"maps"
	"net/url"
	"testing"

	"sallyport/internal/provider"
)

const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

func TestJWTBearer(t *testing.T) {
	p, other := startTrusting(t, nil)
	behalf, another := startTrusting(t, func(c *provider.Config) { c.OnBehalfOf = true })
	revoked := p.AccessToken("john", "app", map[string]any{"aud": p.Issuer()})
	p.Revoke(revoked)
	for name, tc := range map[string]struct {
		at        *provider.Provider
		assertion string
		change    url.Values
		expected  string
	}{
		"its own":             {p, p.AccessToken("john", "app", map[string]any{"aud": p.Issuer()}), nil, ""},
		"a trusted issuer's":  {p, other.AccessToken("john", "app", map[string]any{"aud": []string{"x", p.URL + "/token"}}), nil, ""},
		"an ID token":         {p, other.IDToken("john", "app", map[string]any{"aud": p.Issuer()}), nil, ""},
		"another audience":    {p, other.AccessToken("john", "app", nil), nil, "invalid_grant"},
		"expired":             {p, other.AccessToken("john", "app", map[string]any{"aud": p.Issuer(), "exp": 1}), nil, "invalid_grant"},
		"no exp":              {p, other.AccessToken("john", "app", map[string]any{"aud": p.Issuer(), "exp": nil}), nil, "invalid_grant"},
		"no sub":              {p, other.AccessToken("john", "app", map[string]any{"aud": p.Issuer(), "sub": nil}), nil, "invalid_grant"},
		"an unknown issuer's": {p, another.AccessToken("john", "app", map[string]any{"aud": p.Issuer()}), nil, "invalid_grant"},
		"opaque":              {p, p.AccessToken("john", "opaque", map[string]any{"aud": p.Issuer()}), nil, "invalid_grant"},
		"revoked":             {p, revoked, nil, "invalid_grant"},
		"no assertion":        {p, "", nil, "invalid_request"},
		"two assertions":      {p, "", url.Values{"assertion": {"a", "b"}}, "invalid_request"},
		"on behalf, elsewhere": {p, p.AccessToken("john", "app", nil), url.Values{"requested_token_use": {"on_behalf_of"}},
			"invalid_grant"},
		"on behalf":         {behalf, behalf.AccessToken("john", "app", nil), url.Values{"requested_token_use": {"on_behalf_of"}}, ""},
		"on behalf, unsaid": {behalf, behalf.AccessToken("john", "app", nil), nil, "invalid_request"},
		"another use": {behalf, behalf.AccessToken("john", "app", nil), url.Values{"requested_token_use": {"x"}},
			"invalid_request"},
		"on behalf, not for": {behalf, behalf.AccessToken("john", "post", nil), url.Values{"requested_token_use": {"on_behalf_of"}},
			"invalid_grant"},
		"on behalf, ID token": {behalf, behalf.IDToken("john", "app", nil), url.Values{"requested_token_use": {"on_behalf_of"}},
			"invalid_grant"},
	} {
		t.Run(name, func(t *testing.T) {
			form := url.Values{"grant_type": {jwtBearer}, "assertion": {tc.assertion}, "scope": {"openid profile offline_access"}}
			maps.Copy(form, tc.change)
			_, answer := post(t, tc.at.URL+"/token", "app", "s3cret", form)
			if got, _ := answer["error"].(string); got != tc.expected {
				t.Fatalf("expected %q, got %v", tc.expected, answer)
			}
			if tc.expected != "" {
				return
			}
			c := claims(t, answer["access_token"].(string))
			if c["sub"] != "u-1" || c["client_id"] != "app" || c["name"] != "John Doe" || answer["refresh_token"] != nil ||
				answer["issued_token_type"] != nil {
				t.Errorf("got %v with the claims %v", answer, c)
			}
		})
	}
	public := url.Values{"grant_type": {jwtBearer}, "client_id": {"public"},
		"assertion": {p.AccessToken("john", "app", map[string]any{"aud": p.Issuer()})}}
	if _, answer := post(t, p.URL+"/token", "", "", public); answer["error"] != "unauthorized_client" {
		t.Errorf("a public client: got %v", answer)
	}
}
