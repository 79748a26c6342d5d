package oidc

import (
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
)

// TestClaimSources checks that a claim source needs neither iss, sub nor exp, and that a source about another subject, an expired one, and
// one of another issuer add no claims.
func TestClaimSources(t *testing.T) {
	p, client, now := begin(t, nil)
	critical := p.SignJWT(map[string]any{"iss": p.Issuer(), "groups": []any{"staff"}},
		provider.WithHeader("crit", []string{"b64"}), provider.WithHeader("b64", true))
	if all, err := resolve(t, client, critical); all["groups"] != nil || err == nil {
		t.Errorf("a source whose header has crit: got %v, %v", all["groups"], err)
	}
	for name, c := range map[string]struct {
		change map[string]any
		counts bool
	}{
		"a long one":     {map[string]any{"padding": strings.Repeat("a", 2*maxJWT)}, true}, // bounded as what the issuer says
		"no sub, no exp": {nil, true},
		"ours":           {map[string]any{"sub": "john", "exp": now.Now().Unix() + 60}, true},
		"somebody's":     {map[string]any{"sub": "jane"}, false},
		"no sub's":       {map[string]any{"sub": nil}, false},
		"expired":        {map[string]any{"exp": now.Now().Unix() - 1}, false},
		"no date":        {map[string]any{"exp": "tomorrow"}, false},
		"not yet valid":  {map[string]any{"exp": now.Now().Unix() + 600, "nbf": now.Now().Unix() + 300}, false},
		"no iss":         {map[string]any{"iss": nil}, true}, // the issuer's own key has signed it
		"another's":      {map[string]any{"iss": "https://other.example.com"}, false},
	} {
		source := map[string]any{"iss": p.Issuer(), "groups": []any{"staff"}}
		for k, v := range c.change {
			if source[k] = v; k == "iss" && v == nil {
				delete(source, k)
			}
		}
		all, err := resolve(t, client, p.SignJWT(source))
		if counts := all["groups"] != nil; counts != c.counts || counts != (err == nil) {
			t.Errorf("%s: got %v, %v", name, all["groups"], err)
		}
	}
}

// resolve returns the claims of john with those of an aggregated source.
func resolve(t *testing.T, c *Client, jwt string) (auth.Claims, error) {
	return c.ResolveClaims(t.Context(), auth.Claims{
		"sub": "john", "_claim_names": map[string]any{"groups": "a"}, "_claim_sources": map[string]any{"a": map[string]any{"JWT": jwt}},
	}, "", Caller{})
}

// TestClaimSourceExpires checks that cached claims of a source expire with it.
func TestClaimSourceExpires(t *testing.T) {
	p, client, now := begin(t, func(s *Settings) { s.CacheTTL = time.Hour })
	source := p.SignJWT(map[string]any{"iss": p.Issuer(), "groups": []any{"staff"}, "exp": now.Now().Unix() + 20})
	claims := auth.Claims{
		"sub": "john", "_claim_names": map[string]any{"groups": "a"}, "_claim_sources": map[string]any{"a": map[string]any{"JWT": source}},
	}
	for _, c := range []struct {
		after time.Duration
		there bool
	}{{0, true}, {19 * time.Second, true}, {2 * time.Second, false}} {
		now.advance(c.after)
		if all, err := client.ResolveClaims(t.Context(), claims, "", Caller{}); (all["groups"] != nil) != c.there {
			t.Errorf("%v later: got %v, %v", c.after, all["groups"], err)
		}
	}
}
