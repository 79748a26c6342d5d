// Package authz decides, from an identity's claims, whether a request may pass: nil or a refusal.
package authz

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// A Policy is a route's required values, compiled at load.
type Policy struct {
	pairs    []pair
	audience pair // of tokens that the caller brought: names one of our clients unless configured otherwise
}

// A Rule's own required values, on top of its route's.
type Rule struct {
	Auth  Mode
	pairs []pair
}

// Mode says whether a rule's requests need a credential.
type Mode string

// The modes of a rule.
const (
	Required Mode = "required"
	Optional Mode = "optional"
	Off      Mode = "off"
)

// NewPolicy compiles a route's settings. clientIDs are the audiences that a presented token may name by default.
func NewPolicy(s Settings, clientIDs []string) *Policy {
	required := s.RequiredSettings
	p := &Policy{audience: pair{name: "audience", path: s.AudienceClaim, any: alternatives(clientIDs)}}
	switch {
	case isAny(required.AudienceRequired):
		p.audience.any = nil
		required.AudienceRequired = nil
	case len(required.AudienceRequired) > 0:
		p.audience.any = alternatives(required.AudienceRequired)
	}
	p.pairs = pairs(s, required)
	return p
}

// NewRule compiles a rule. The claims' paths are its route's.
func NewRule(s Settings, r RuleSettings) *Rule {
	required := r.RequiredSettings
	if isAny(required.AudienceRequired) {
		required.AudienceRequired = nil
	}
	return &Rule{Auth: Mode(r.Auth), pairs: pairs(s, required)}
}

func isAny(audiences []string) bool { return slices.Equal(audiences, []string{"any"}) }

// Authorize judges an identity by the route's and the rule's required values. It returns an *auth.Error: 401 for a token
// that the caller brought and that is meant for somebody else, 403 otherwise. Without an identity (auth: optional, and no
// credential) the pairs aren't judged.
func (p *Policy) Authorize(i *auth.Identity, rule *Rule) error {
	if i == nil {
		return nil
	}
	claims := i.Judged()
	if i.Presented && !p.audience.holds(claims) {
		return auth.InvalidToken("token_audience", p.audience.failure(claims))
	}
	for _, set := range [][]pair{p.pairs, rule.pairs} {
		for _, pair := range set {
			if !pair.holds(claims) {
				return pair.refusal(claims)
			}
		}
	}
	return nil
}

// A pair is a claim and what it must say: one of the alternatives, whose words must all be there.
type pair struct {
	name string // scopes, audience, groups, roles
	path []string
	any  [][]string
}

// pairs returns those that require something.
func pairs(s Settings, r RequiredSettings) []pair {
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
