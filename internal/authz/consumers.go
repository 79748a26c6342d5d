package authz

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// A Directory finds the configured consumers by their names.
type Directory struct {
	by     map[string]map[string]*Consumer // by "username", "custom_id" or "id", or by the username in lower case: usernameFolded
	groups map[string]bool                 // that a consumer has
}

const usernameFolded = "username, folded"

// NewDirectory returns the directory of these consumers.
func NewDirectory(consumers []Consumer) *Directory {
	d := &Directory{
		by:     map[string]map[string]*Consumer{"username": {}, "custom_id": {}, "id": {}, usernameFolded: {}},
		groups: map[string]bool{},
	}
	for n := range consumers {
		c := &consumers[n]
		names := map[string]string{
			"username": c.Username, "custom_id": c.CustomID, "id": c.ID, usernameFolded: strings.ToLower(c.Username),
		}
		for by, name := range names {
			if name != "" {
				d.by[by][name] = c
			}
		}
		for _, g := range c.Groups {
			d.groups[g] = true
		}
	}
	return d
}

// Named returns the consumer with a username or an id, or nil.
func (d *Directory) Named(name string) *Consumer {
	if c := d.by["username"][name]; c != nil {
		return c
	}
	return d.by["id"][name]
}

// A mapping maps an identity to a consumer and its groups.
type mapping struct {
	*ConsumerSettings
	directory *Directory
	paths     [][]string
	by        []string
	anonymous *Consumer // for requests without an identity, or without a consumer; may be nil
}

func newMapping(s *ConsumerSettings, d *Directory) *mapping {
	m := &mapping{ConsumerSettings: s, directory: d, paths: s.ConsumerClaims, by: slices.Clone(s.ConsumerBy)}
	if len(m.paths) == 0 && len(s.ConsumerClaim) > 0 {
		m.paths = [][]string{s.ConsumerClaim}
	}
	if n := slices.Index(m.by, "username"); n >= 0 && s.ByUsernameIgnoreCase {
		m.by[n] = usernameFolded
	}
	if s.Anonymous != "" {
		m.anonymous = d.Named(s.Anonymous)
	}
	return m
}

// find fills in the grant of a subject.
func (m *mapping) find(s *subject) error {
	g := s.grant
	if s.identity == nil {
		m.setAnonymous(g)
		return nil
	}
	if v, ok := m.lookup(s.identity, m.CredentialClaim, credentialOrder); ok {
		g.Credential, _ = auth.Scalar(v)
	}
	if len(m.AuthenticatedGroupsClaim) > 0 {
		g.Groups = s.claims.Values(m.AuthenticatedGroupsClaim)
	}
	if err := m.consumer(s); err != nil {
		return err
	}
	return m.groups(s)
}

// setAnonymous sets the anonymous consumer, if there is one.
func (m *mapping) setAnonymous(g *Grant) {
	if m.anonymous != nil {
		g.Consumer, g.Anonymous, g.ConsumerGroups = m.anonymous, true, m.anonymous.Groups
	}
}

// consumer finds the consumer of a subject.
func (m *mapping) consumer(s *subject) error {
	if len(m.paths) == 0 {
		return nil
	}
	name, path := m.name(s.identity)
	for _, by := range m.by {
		key := name
		if by == usernameFolded {
			key = strings.ToLower(name)
		}
		if c := m.directory.by[by][key]; c != nil && name != "" {
			s.grant.Consumer, s.grant.ConsumerGroups = c, c.Groups
			return nil
		}
	}
	switch {
	case m.anonymous != nil:
		m.setAnonymous(s.grant)
		return nil
	case m.ConsumerOptional:
		return nil
	case name == "":
		return forbid("consumer_unknown", "consumer_claims: the identity has none of the claims %s", m.pathNames())
	}
	return forbid("consumer_unknown", "no consumer has the %s %q, the claim %s",
		strings.Join(m.ConsumerBy, " or "), clip(name), strings.Join(path, "."))
}

// name returns the value that names the consumer, and its path: the first of the configured paths that the identity has.
func (m *mapping) name(i *auth.Identity) (name string, path []string) {
	for _, path := range m.paths {
		if v, ok := m.lookup(i, path, consumerOrder); ok {
			name, _ := auth.Scalar(v)
			return name, path
		}
	}
	return "", nil
}

func (m *mapping) pathNames() string {
	var all []string
	for _, p := range m.paths {
		all = append(all, strings.Join(p, "."))
	}
	return strings.Join(all, ", ")
}

// groups adds the groups that a claim names to the grant, if a consumer has them. Other groups allow nothing, but deny applies to them.
func (m *mapping) groups(s *subject) error {
	if len(m.ConsumerGroupsClaim) == 0 {
		return nil
	}
	v, _ := m.lookup(s.identity, m.ConsumerGroupsClaim, consumerOrder)
	var known []string
	for _, g := range (auth.Claims{"v": v}).Values([]string{"v"}) {
		if m.directory.groups[g] {
			known = append(known, g)
		} else {
			s.unknownGroups = append(s.unknownGroups, g)
		}
	}
	if len(known) == 0 && !m.ConsumerGroupsOptional {
		return forbid("consumer_groups_unknown", "the claim %s names no consumer group that is known",
			strings.Join(m.ConsumerGroupsClaim, "."))
	}
	s.grant.ConsumerGroups = slices.Concat(s.grant.ConsumerGroups, known)
	return nil
}

// claimSets are the claim sets of an identity in the order in which they are searched.
type claimSets [4]auth.Claims

// The orders in which the claim sets of an identity are searched.
var (
	consumerOrder = func(i *auth.Identity) claimSets {
		return claimSets{i.IDToken, i.AccessToken, i.Introspection, i.Userinfo}
	}
	credentialOrder = func(i *auth.Identity) claimSets {
		return claimSets{i.AccessToken, i.Introspection, i.IDToken, i.Userinfo}
	}
)

// lookup returns a claim. If a token was exchanged, and identities are mapped from the subject token, it searches only that token's
// claims.
func (m *mapping) lookup(i *auth.Identity, path []string, order func(*auth.Identity) claimSets) (any, bool) {
	if i.MappedFrom != nil {
		return i.MappedFrom.At(path)
	}
	for _, c := range order(i) {
		if v, ok := c.At(path); ok {
			return v, true
		}
	}
	return nil, false
}

// seen describes the mapping for explanations.
func (m *mapping) seen(s *subject) string {
	if len(m.paths) == 0 && m.anonymous == nil {
		return "not required"
	}
	name := ""
	if s.identity != nil {
		name, _ = m.name(s.identity)
	}
	if c := s.grant.Consumer; c != nil {
		return fmt.Sprintf("%q is the consumer %s", name, cmp.Or(c.Username, c.CustomID, c.ID))
	}
	return fmt.Sprintf("%q is no consumer", name)
}
