package authz

import (
	"testing"

	"sallyport/internal/auth"
)

// TestTakesAudience checks that TakesAudience, which is called before a token is verified, agrees with Authorize.
func TestTakesAudience(t *testing.T) {
	for name, c := range map[string]struct {
		required []string
		aud      any
		want     bool
	}{
		"one of our clients":   {nil, []any{"x", "app"}, true},
		"somebody else":        {nil, "other", false},
		"none":                 {nil, nil, false},
		"any":                  {[]string{"any"}, "other", true},
		"required":             {[]string{"api"}, "api", true},
		"not required's":       {[]string{"api"}, "app", false},
		"two that must be":     {[]string{"api app"}, []any{"app", "api"}, true},
		"one of two that must": {[]string{"api app"}, "app", false},
	} {
		s := usual()
		s.AudienceRequired = c.required
		claims := auth.Claims{"aud": c.aud}
		p := NewPolicy(s, ACLSettings{}, NewDirectory(nil), []string{"app"})
		_, reason := decide(t, s, ACLSettings{}, nil, RuleSettings{}, john(claims))
		if got := p.TakesAudience(claims); got != c.want || got != (reason == "") {
			t.Errorf("%s: got %v, expected %v; Authorize says %q", name, got, c.want, reason)
		}
	}
}
