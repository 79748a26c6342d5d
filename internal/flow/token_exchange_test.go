package flow

import (
	"testing"

	"sallyport/internal/oidc"
)

// TestTakesSubject: a token that only an entry of token_exchange accepts may cause a fetch of keys, too.
func TestTakesSubject(t *testing.T) {
	for name, c := range map[string]struct {
		entries [][]string // audience_required
		has     []string
		want    bool
	}{
		"no exchange":     {nil, []string{"app"}, false},
		"one of ours":     {[][]string{nil}, []string{"app"}, true},
		"somebody else's": {[][]string{nil}, []string{"other"}, false},
		"any":             {[][]string{{"any"}}, nil, true},
		"the second's":    {[][]string{{"api"}, {"a b"}}, []string{"b", "a"}, true},
		"half of one":     {[][]string{{"a b"}}, []string{"a"}, false},
	} {
		s := &Settings{}
		s.Client.ClientID = []string{"app"}
		if c.entries != nil {
			s.Client.TokenExchange = &oidc.TokenExchange{}
		}
		for _, required := range c.entries {
			s.Client.TokenExchange.SubjectTokenIssuers = append(s.Client.TokenExchange.SubjectTokenIssuers,
				oidc.SubjectTokenIssuer{AudienceRequired: required})
		}
		if got := s.TakesSubject(c.has); got != c.want {
			t.Errorf("%s: got %v, expected %v", name, got, c.want)
		}
	}
}
