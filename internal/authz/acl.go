package authz

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// An acl lets groups in, or keeps them out.
type acl struct{ ACLSettings }

// newACL returns nil where nothing is listed: everybody may pass.
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
	if n := slices.IndexFunc(groups, a.denies); n >= 0 {
		return auth.Forbidden("acl_denied", fmt.Errorf("acl: deny has the group %q", groups[n]))
	}
	if len(a.Allow) > 0 && !slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(a.Allow, g) }) {
		return auth.Forbidden("acl_not_allowed", fmt.Errorf("acl: allow has none of the groups %q, expected one of %q", groups, a.Allow))
	}
	return nil
}

// denies reports whether deny names a group, or a word of one: an issuer may write several groups as one string, and a reading
// that overlooks one of them would let in.
func (a *acl) denies(group string) bool {
	listed := func(name string) bool { return slices.Contains(a.Deny, name) }
	return listed(group) || slices.ContainsFunc(strings.Fields(group), listed)
}

func (a *acl) seen(s *subject) string {
	if a == nil {
		return "none"
	}
	return fmt.Sprintf("the groups are %q, allow is %q, deny is %q", slices.Concat(s.grant.Groups, s.grant.ConsumerGroups), a.Allow, a.Deny)
}
