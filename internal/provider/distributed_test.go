package provider_test

import (
	"net/http"
	"reflect"
	"testing"
	"time"

	"sallyport/internal/provider"
)

// TestDistributedClaims follows _claim_sources of the userinfo response and of tokens (OIDC Core §5.6.2).
func TestDistributedClaims(t *testing.T) {
	c, k := config(), &clock{now: time.Now()}
	c.Now = k.Now
	c.Users[0].Aggregated, c.Users[0].Distributed = []string{"email", "sub"}, []string{"groups", "realm_access", "absent"}
	p := provider.Start(t, c)
	access := p.AccessToken("john", "app", map[string]any{"scope": "openid email"})
	_, info := get(t, p.URL+"/userinfo", access)
	for name, got := range map[string]map[string]any{"userinfo": info, "ID token": claims(t, p.IDToken("john", "app", nil)),
		"access token": claims(t, access)} {
		names := map[string]any{"email": "aggregated", "groups": "distributed", "realm_access": "distributed"}
		if got["sub"] != "u-1" || got["email"] != nil || got["groups"] != nil || !reflect.DeepEqual(got["_claim_names"], names) {
			t.Errorf("%s: got %v", name, got)
			continue
		}
		sources := got["_claim_sources"].(map[string]any)
		aggregated := verified(t, p, sources["aggregated"].(map[string]any)["JWT"].(string), "RS256", "JWT")
		if aggregated["email"] != "john@example.com" || aggregated["iss"] != p.Issuer() || aggregated["sub"] != nil {
			t.Errorf("%s: the aggregated claims are %v", name, aggregated)
		}
		source := sources["distributed"].(map[string]any)
		if source["endpoint"] != p.URL+"/claims" {
			t.Errorf("%s: got the endpoint %v", name, source["endpoint"])
		}
		answer, distributed := claimsFrom(t, p, source["access_token"].(string))
		if answer.StatusCode != 200 || distributed["realm_access"] == nil || !reflect.DeepEqual(distributed["groups"], []any{"staff"}) ||
			distributed["sub"] != nil {
			t.Errorf("%s: the distributed claims are %s %v", name, answer.Status, distributed)
		}
		k.advance(5 * time.Minute)
		if answer, _ := claimsFrom(t, p, source["access_token"].(string)); answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: an old token: got %s", name, answer.Status)
		}
		k.advance(-5 * time.Minute)
	}
	for _, token := range []string{"", "x", access} {
		if answer, _ := claimsFrom(t, p, token); answer.StatusCode != http.StatusUnauthorized {
			t.Errorf("the token %q: got %s", token, answer.Status)
		}
	}
	if _, info := get(t, p.URL+"/userinfo", p.AccessToken("jane", "app", nil)); info["_claim_names"] != nil {
		t.Errorf("a user without such claims: got %v", info)
	}
}

// claimsFrom requests distributed claims and verifies the response.
func claimsFrom(t *testing.T, p *provider.Provider, token string) (*http.Response, map[string]any) {
	t.Helper()
	r, _ := http.NewRequest(http.MethodGet, p.URL+string(provider.Claims), nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, body := do(t, r, "")
	if answer.StatusCode != http.StatusOK {
		return answer, nil
	}
	return answer, verified(t, p, body, "RS256", "JWT")
}

func TestAdjustDistributedClaims(t *testing.T) {
	c := config()
	c.Users[0].Distributed = []string{"groups"}
	p := provider.Start(t, c)
	p.AdjustAnswer(provider.Claims, func(a map[string]any) { a["groups"] = "forged" })
	p.AdjustSignedAnswer(provider.Claims, func(a map[string]any) { a["iss"] = "https://evil.test" })
	_, info := get(t, p.URL+"/userinfo", p.AccessToken("john", "app", nil))
	source := info["_claim_sources"].(map[string]any)["distributed"].(map[string]any)
	for range 2 {
		if _, got := claimsFrom(t, p, source["access_token"].(string)); got["groups"] != "forged" || got["iss"] != "https://evil.test" {
			t.Errorf("got %v", got)
		}
	}
	if got := p.Requests(provider.Claims); got != 2 {
		t.Errorf("expected 2 requests, got %d", got)
	}
}
