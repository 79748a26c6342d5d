package authz

import (
	"fmt"
	"slices"
	"strings"
)

// An acl allows or denies groups.
type acl struct{ ACLSettings }

// newACL returns the list of the settings, or nil if they list no groups: then every request is allowed.
func newACL(s ACLSettings) *acl {
	if len(s.Allow)+len(s.Deny) == 0 {
		return nil
	}
	return &acl{s}
}

func (a *acl) judge(s *subject) error {
	if a == nil {
		return nil
	}
	groups := slices.Concat(s.grant.Groups, s.grant.ConsumerGroups)
	named := slices.Concat(groups, s.unknownGroups)
	if n := slices.IndexFunc(named, a.denies); n >= 0 {
		return forbid("acl_denied", "acl: deny has the group %q", clip(named[n]))
	}
	if len(a.Allow) > 0 && !slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(a.Allow, g) }) {
		return forbid("acl_not_allowed", "acl: allow has none of the groups %q, expected one of %q", groups, a.Allow)
	}
	return nil
}

// denies reports whether deny has a group, or words of it. Some issuers put several groups into one string, and a denied one must not be
// missed in it.
func (a *acl) denies(group string) bool {
	words := spaced(group)
	return slices.ContainsFunc(a.Deny, func(denied string) bool { return strings.Contains(words, spaced(denied)) })
}

// spaced returns the words of a text with one space around each. Then strings.Contains finds whole words.
func spaced(text string) string { return " " + strings.Join(strings.Fields(text), " ") + " " }

// seen describes the check for explanations.
func (a *acl) seen(s *subject) string {
	if a == nil {
		return "none"
	}
	groups := slices.Concat(s.grant.Groups, s.grant.ConsumerGroups)
	seen := fmt.Sprintf("the groups are %q, allow is %q, deny is %q", groups, a.Allow, a.Deny)
	if len(s.unknownGroups) > 0 {
		seen += fmt.Sprintf("; deny also applies to these groups, which no consumer has: %q", s.unknownGroups)
	}
	return seen
}
