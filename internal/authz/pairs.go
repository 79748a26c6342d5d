package authz

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// A pair is a claim and what it must say: one of the alternatives, whose words must all be there.
type pair struct {
	name string // scopes, audience, groups, roles
	path []string
	any  [][]string
}

// pairs returns those that require something.
func pairs(s *Settings, r RequiredSettings) []pair {
	var all []pair
	for _, p := range []pair{
		{"scopes", s.ScopesClaim, alternatives(r.ScopesRequired)},
		{"audience", s.AudienceClaim, alternatives(r.AudienceRequired)},
		{"groups", s.GroupsClaim, alternatives(r.GroupsRequired)},
		{"roles", s.RolesClaim, alternatives(r.RolesRequired)},
	} {
		if p.any != nil {
			all = append(all, p)
		}
	}
	return all
}

// alternatives splits each entry into its words.
func alternatives(entries []string) [][]string {
	var all [][]string
	for _, e := range entries {
		if words := strings.Fields(e); len(words) > 0 {
			all = append(all, words)
		}
	}
	return all
}

func isAny(audiences []string) bool { return slices.Equal(audiences, []string{"any"}) }

func (p *pair) holds(claims auth.Claims) bool {
	if p.any == nil {
		return true
	}
	has := claims.Words(p.path)
	return slices.ContainsFunc(p.any, func(words []string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(has, w) })
	})
}

func (p *pair) failure(claims auth.Claims) error {
	return fmt.Errorf("%s: expected %s in claim %s, got %q", p.name, p.wanted(), strings.Join(p.path, "."), claims.Words(p.path))
}

// wanted writes the alternatives as a person would say them.
func (p *pair) wanted() string {
	var all []string
	for _, words := range p.any {
		all = append(all, strings.Join(words, " and "))
	}
	return strings.Join(all, ", or ")
}

func (p *pair) refusal(claims auth.Claims) error {
	e := auth.Forbidden(p.name+"_required", p.failure(claims))
	if p.name == "scopes" { // RFC 6750 §3.1
		e.Code, e.Scope = "insufficient_scope", strings.Join(p.any[0], " ")
	}
	return e
}

// check makes a check of the pair, which nobody without an identity is asked.
func (p pair) check() check {
	return check{
		name: p.name + "_required", mandatory: false,
		judge: func(s *subject) error {
			if p.holds(s.claims) {
				return nil
			}
			return p.refusal(s.claims)
		},
		seen: func(s *subject) string {
			wanted := p.wanted()
			if p.any == nil {
				wanted = "nothing"
			}
			return fmt.Sprintf("claim %s is %q, required is %s", strings.Join(p.path, "."), s.claims.Words(p.path), wanted)
		},
	}
}
