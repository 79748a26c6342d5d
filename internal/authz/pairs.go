package authz

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// The claims of pairs.
const (
	scopes = iota
	audience
	groups
	roles
)

var pairNames = [...]string{"scopes", "audience", "groups", "roles"}

// paths are where a policy finds the claims of pairs: its rules' ones, too, so that each issuer's tokens are read in their way.
type paths [len(pairNames)][]string

func newPaths(s *Settings) paths {
	return paths{scopes: s.ScopesClaim, audience: s.AudienceClaim, groups: s.GroupsClaim, roles: s.RolesClaim}
}

// A pair is a claim and what it must say: one of the alternatives, whose words must all be there.
type pair struct {
	claim int // scopes, audience, groups, roles
	any   [][]string
}

// pairs returns those that require something.
func pairs(r RequiredSettings) []pair {
	var all []pair
	for claim, required := range [][]string{scopes: r.ScopesRequired, audience: r.AudienceRequired, groups: r.GroupsRequired, roles: r.RolesRequired} {
		if words := alternatives(required); words != nil {
			all = append(all, pair{claim, words})
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

// whole takes each value as one word: a client's identifier may have spaces in it (RFC 6749 §2.2, Appendix A.1).
func whole(values []string) [][]string {
	var all [][]string
	for _, v := range values {
		all = append(all, []string{v})
	}
	return all
}

func isAny(audiences []string) bool { return slices.Equal(audiences, []string{"any"}) }

func (p *pair) name() string { return pairNames[p.claim] }

// has returns the values of the claim, at the path of the policy that judges. Only scopes are split at spaces.
func (p *pair) has(s *subject) []string {
	if p.claim == scopes {
		return s.claims.Words(s.paths[p.claim])
	}
	return s.claims.Values(s.paths[p.claim])
}

func (p *pair) holds(s *subject) bool {
	if p.any == nil {
		return true
	}
	has := p.has(s)
	return slices.ContainsFunc(p.any, func(words []string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(has, w) })
	})
}

func (p *pair) failure(s *subject) error {
	return fmt.Errorf("%s: expected %s in claim %s, got %q", p.name(), p.wanted(), strings.Join(s.paths[p.claim], "."), p.has(s))
}

// wanted writes the alternatives as a person would say them.
func (p *pair) wanted() string {
	var all []string
	for _, words := range p.any {
		all = append(all, strings.Join(words, " and "))
	}
	return strings.Join(all, ", or ")
}

func (p *pair) refusal(s *subject) error {
	e := auth.Forbidden(p.name()+"_required", p.failure(s))
	if p.claim == scopes { // RFC 6750 §3.1
		e.Code, e.Scope = "insufficient_scope", strings.Join(p.any[0], " ")
	}
	return e
}

// check makes a check of the pair, which nobody without an identity is asked.
func (p pair) check() check {
	return check{
		name: p.name() + "_required", mandatory: false,
		judge: func(s *subject) error {
			if p.holds(s) {
				return nil
			}
			return p.refusal(s)
		},
		seen: func(s *subject) string {
			wanted := p.wanted()
			if p.any == nil {
				wanted = "nothing"
			}
			return fmt.Sprintf("claim %s is %q, required is %s", strings.Join(s.paths[p.claim], "."), p.has(s), wanted)
		},
	}
}
