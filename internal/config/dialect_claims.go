package config

import (
	"fmt"
	"reflect"
	"slices"

	"sallyport/internal/check"
)

// checkClaimPaths checks the settings whose values are paths to claims, or names of claims at the top level.
func (r *Route) checkClaimPaths() {
	c, l := r.block.Checker(), check.Literal(r.Route.Literal)
	v := reflect.ValueOf(&r.OIDC).Elem()
	for _, f := range oidcShape.Fields {
		if !isClaimPath(f) {
			continue
		}
		switch path := v.FieldByIndex(f.Index).Interface().(type) {
		case string:
			c.Claim(f.Name, []string{path}, "write a claim at the top level", l, false)
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
			"write the claim at the top level that has it, or check it in a rule's allow", l, true)
	}
}

// deniesBy reports whether acl.deny uses the groups at the path in a setting. With a wrong path it would refuse no request.
func (r *Route) deniesBy(key string) bool {
	return len(r.Route.ACL.Deny) > 0 &&
		slices.Contains([]string{"authenticated_groups_claim", "consumer_groups_claim", "consumer_claim", "consumer_claims"}, key)
}
