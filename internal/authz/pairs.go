package authz

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// The claims that pairs check.
const (
	scopes = iota
	audience
	groups
	roles
)

var pairNames = [...]string{"scopes", "audience", "groups", "roles"}

// paths are a policy's paths to the claims of pairs. A rule's pairs use them too, because they depend on the issuer.
type paths [len(pairNames)][]string

func newPaths(s *Settings) paths {
	return paths{scopes: s.ScopesClaim, audience: s.AudienceClaim, groups: s.GroupsClaim, roles: s.RolesClaim}
}

// A pair is a claim and the values that it must have: all words of one of the alternatives.
type pair struct {
	claim int        // scopes, audience, groups, roles
	any   [][]string // the alternatives; nil: no check
}

// pairs returns the pairs of the settings that require a value.
func pairs(r RequiredSettings) []pair {
	var all []pair
	byClaim := [][]string{scopes: r.ScopesRequired, audience: r.AudienceRequired, groups: r.GroupsRequired, roles: r.RolesRequired}
	for claim, required := range byClaim {
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

// whole returns each value as an alternative of one word: a client identifier may contain spaces (RFC 6749 §2.2, Appendix A.1).
func whole(values []string) [][]string {
	var all [][]string
	for _, v := range values {
		all = append(all, []string{v})
	}
	return all
}

func isAny(audiences []string) bool { return slices.Equal(audiences, []string{"any"}) }

func (p *pair) name() string { return pairNames[p.claim] }

// has returns the values of the claim at the policy's path. Only scopes are split at spaces.
func (p *pair) has(s *subject) []string {
	if p.claim == scopes {
		return s.claims.Words(s.paths[p.claim])
	}
	return s.claims.Values(s.paths[p.claim])
}

// holds reports whether the claim has all words of an alternative.
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

// wanted returns the alternatives as a phrase.
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

// requirement returns the pair as a requirement.
func (p pair) requirement() requirement {
	return requirement{
		name: p.name() + "_required",
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
