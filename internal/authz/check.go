package authz

import (
	"fmt"
	"slices"

	"sallyport/internal/check"
)

// Check reports what is wrong with the settings, by key. The directory has the consumers of the configuration.
func (s *Settings) Check(c check.Checker, d *Directory) {
	c.Audience(s.AudienceRequired)
	c.Must("anonymous", s.Anonymous == "" || d.Named(s.Anonymous) != nil,
		"no consumer has the username or id %s: add it to consumers: beside routes:", check.Quote(s.Anonymous))
	c.Must("consumer_claim", len(s.ConsumerClaim) == 0 || len(s.ConsumerClaims) == 0, "consumer_claims is written too: keep that one")
	for i, path := range s.ConsumerClaims {
		c.Must(fmt.Sprintf("consumer_claims[%d]", i), len(path) > 0, "the path is empty: write [sub], or take it out")
	}
	c.Each("claims_forbidden", s.ClaimsForbidden, check.NotEmpty)
	c.Each("domains", s.Domains, check.MailDomain)
}

// FindsGroups reports whether a request, with or without an identity, can have a group.
func (s *Settings) FindsGroups() bool {
	return len(s.AuthenticatedGroupsClaim)+len(s.ConsumerClaims)+len(s.ConsumerClaim)+len(s.ConsumerGroupsClaim) > 0 || s.Anonymous != ""
}

// Check reports what is wrong with a rule, by key.
func (r *RuleSettings) Check(c check.Checker, l check.Literal) {
	open := Mode(r.Auth) == Off
	c.Paths(r.Paths, l, !open, open)
	c.Each("hosts", r.Hosts, check.Host)
	c.Each("methods", r.Methods, check.Method)
	c.Each("mcp_tools", r.MCPTools, check.NotEmpty)
	c.Audience(r.AudienceRequired)
	if r.Allow != "" {
		c.Err("allow", CheckAllow(r.Allow))
	}
	c.Each("acr_values", r.ACRValues, check.NotEmpty)
	if !open {
		return
	}
	for _, key := range []string{
		"scopes_required", "audience_required", "groups_required", "roles_required", "allow", "acr_values", "max_age", "on_unauthenticated",
		"upstream_headers", "login_issuer",
	} {
		c.Must(key, !c.IsSet(key), "auth: off lets every request pass, so this has no effect: take one of them out")
	}
}

// TakesEverything reports whether a rule takes every request of its route.
func (r *RuleSettings) TakesEverything() bool {
	return len(r.Hosts)+len(r.Paths)+len(r.Methods)+len(r.MCPTools) == 0
}

// Shadows reports whether every request that fits other fits r, which stands before it. paths are the route's.
func (r *RuleSettings) Shadows(other *RuleSettings, paths []string) bool {
	covered := func(mine, others []string, covers func(mine, other string) bool) bool {
		return len(mine) == 0 || len(others) > 0 && !slices.ContainsFunc(others, func(o string) bool {
			return !slices.ContainsFunc(mine, func(m string) bool { return covers(m, o) })
		})
	}
	if len(other.Paths) > 0 {
		paths = other.Paths
	}
	same := func(mine, other string) bool { return mine == other }
	return covered(r.MCPTools, other.MCPTools, same) && covered(r.Hosts, other.Hosts, check.HostCovers) &&
		covered(r.Paths, paths, check.PathCovers) &&
		covered(r.Methods, other.Methods, func(mine, other string) bool { return mine == other || mine == "GET" && other == "HEAD" })
}

// Check reports what is wrong with a list of groups, by key.
func (a *ACLSettings) Check(c check.Checker) {
	c.Each("acl.allow", a.Allow, check.NotEmpty)
	c.Each("acl.deny", a.Deny, check.NotEmpty)
	for i, g := range a.Allow {
		c.Must(fmt.Sprintf("acl.allow[%d]", i), !slices.Contains(a.Deny, g),
			"%s is denied too, and deny takes precedence: take one of them out", check.Quote(g))
	}
}

// CheckConsumers judges the consumers of the configuration: each has a name, and no two the same.
func CheckConsumers(c check.Checker, consumers []Consumer) {
	taken := map[string]string{}
	for i, consumer := range consumers {
		key := fmt.Sprintf("consumers[%d]", i)
		c.Must(key, consumer.Username+consumer.CustomID+consumer.ID != "", "it has no name: write username or custom_id")
		for by, name := range map[string]string{"username": consumer.Username, "custom_id": consumer.CustomID, "id": consumer.ID} {
			first := taken[by+" "+name]
			switch {
			case name == "":
			case first != "":
				c.Complain(key+"."+by, "%s is the %s of the consumer at %s already: choose another", check.Quote(name), by,
					c.Place(first, key))
			default:
				taken[by+" "+name] = key
			}
		}
	}
}
