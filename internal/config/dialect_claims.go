package config

import (
	"fmt"
	"reflect"
	"slices"

	"sallyport/internal/check"
)

// checkClaimPaths judges where claims are looked for, in the settings of every route: paths, and names at the top.
func (r *Route) checkClaimPaths() {
	c, l := r.block.Checker(), check.Literal(r.Route.Literal)
	v := reflect.ValueOf(&r.OIDC).Elem()
	for i := range oidcShape.Fields {
		f := &oidcShape.Fields[i]
		if !isClaimPath(f) {
			continue
		}
		switch path := v.FieldByIndex(f.Index).Interface().(type) {
		case string:
			c.Claim(f.Name, []string{path}, "write a claim at the top", l, false)
		case []string:
			c.ClaimPath(f.Name, path, l, r.deniesBy(f.Name))
		case [][]string:
			for n := range path {
				c.ClaimPath(fmt.Sprintf("%s[%d]", f.Name, n), path[n], l, r.deniesBy(f.Name))
			}
		}
	}
	for i, name := range r.OIDC.Authz.ClaimsForbidden {
		c.Claim(fmt.Sprintf("claims_forbidden[%d]", i), []string{name},
			"write the claim at the top that holds it, or judge it by a rule's allow", l, true)
	}
}

// deniesBy reports whether acl.deny keeps out by the groups that a path leads to: where it leads nowhere, all may pass.
func (r *Route) deniesBy(key string) bool {
	return len(r.Route.ACL.Deny) > 0 &&
		slices.Contains([]string{"authenticated_groups_claim", "consumer_groups_claim", "consumer_claim", "consumer_claims"}, key)
}
