package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/proxy"
)

var (
	// claimPattern finds what JSONPath, JSON Pointer, jq and templates write: $.a .a /a a[0] a.* {{.a}}
	claimPattern = regexp.MustCompile(`^[$./]|[*{}\[\]]|^\s|\s$|,`)
	index        = regexp.MustCompile(`^\d+$`)
)

// plainClaims are texts, numbers or lists of texts by their standards (RFC 7519 §4.1, OIDC Core §2 and §5.1, RFC 8693 §4.2):
// there is no claim within them.
var plainClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "nonce", "acr", "amr", "auth_time", "sid", "scope", "client_id", "email", "name",
	"preferred_username",
}

// checkClaimPaths judges where claims are looked for, in the settings of every route: paths, and names at the top.
func (r *Route) checkClaimPaths() {
	b := r.block
	v := reflect.ValueOf(&r.OIDC).Elem()
	for i := range oidcShape.fields {
		f := &oidcShape.fields[i]
		if !f.claimPath() {
			continue
		}
		switch path := v.FieldByIndex(f.index).Interface().(type) {
		case string:
			r.checkClaim(b, f.name, []string{path}, "write a claim at the top", false)
		case []string:
			r.checkClaimPath(b, f.name, path, r.deniesBy(f.name))
		case [][]string:
			for n := range path {
				r.checkClaimPath(b, fmt.Sprintf("%s[%d]", f.name, n), path[n], r.deniesBy(f.name))
			}
		}
	}
	r.checkHeaderClaims()
	for i, name := range r.OIDC.Authz.ClaimsForbidden {
		r.checkClaim(b, fmt.Sprintf("claims_forbidden[%d]", i), []string{name},
			"write the claim at the top that holds it, or judge it by a rule's allow", true)
	}
}

// checkMappings judges the paths of claims that become headers.
func (r *Route) checkMappings(b *block, key string, mappings []proxy.HeaderMapping) {
	for i, m := range mappings {
		r.checkClaimPath(b, fmt.Sprintf("%s[%d].path", key, i), m.Path, false)
	}
}

func (r *Route) checkHeaderClaims() {
	h := &r.OIDC.Headers
	r.checkMappings(r.block, "upstream_headers", h.UpstreamHeaders)
	r.checkMappings(r.block, "downstream_headers", h.DownstreamHeaders)
	for key, names := range map[string][]string{"upstream_headers": h.UpstreamHeadersClaims, "downstream_headers": h.DownstreamHeadersClaims} {
		for i, name := range names {
			remedy := "where it is a claim within a claim, write " + key + ": [{header: ..., path: [" + dotted(name) + "]}]"
			r.checkClaim(r.block, fmt.Sprintf("%s_claims[%d]", key, i), []string{name}, remedy, false)
		}
	}
}

// deniesBy reports whether acl.deny keeps out by the groups that a path leads to: where it leads nowhere, all may pass.
func (r *Route) deniesBy(key string) bool {
	return len(r.Route.ACL.Deny) > 0 &&
		slices.Contains([]string{"authenticated_groups_claim", "consumer_groups_claim", "consumer_claim", "consumer_claims"}, key)
}

// dotted returns the path that a name with dots or slashes may have been meant as.
func dotted(name string) string {
	names := strings.FieldsFunc(name, func(c rune) bool { return strings.ContainsRune("$./[]{}*, ", c) })
	return strings.Join(slices.DeleteFunc(names, index.MatchString), ", ")
}

func (r *Route) checkClaimPath(b *block, key string, path []string, denies bool) {
	var names []string
	for _, name := range path {
		if d := dotted(name); d != "" {
			names = append(names, d)
		}
	}
	if len(path) > 0 {
		r.checkClaim(b, key, path, "where it is a claim within a claim, write ["+strings.Join(names, ", ")+"]", denies)
	}
}

// checkClaim judges a path, of one name where claims at the top are named. A name that is a URI is a claim's usual name.
func (r *Route) checkClaim(b *block, key string, path []string, remedy string, denies bool) {
	const literal = ", or literal: [claims] under route: if it is meant as it stands"
	if r.literal("claims") {
		return
	}
	for i, name := range path {
		switch uri := strings.Contains(name, ":"); {
		case name == "" && len(path) > 1:
			b.complain(key, "a name of the path is empty, and matches nothing: take it out")
		case uri:
		case claimPattern.MatchString(name):
			b.complain(key, "%s is one claim's name, and no pattern and no list: %s%s", quote(name), remedy, literal)
		case i > 0 && index.MatchString(name):
			b.complain(key, "a list isn't looked into by position, so %s matches nothing: end the path before it%s", quote(name), literal)
		case strings.Contains(name, ".") && denies:
			b.complain(key, "%s is one claim whose name has a dot, and where it is missing all may pass: %s%s", quote(name), remedy, literal)
		case strings.Contains(name, "."):
			b.warn(key, "this is one claim whose name has a dot: %s", remedy)
		}
	}
	if len(path) > 1 && slices.Contains(plainClaims, path[0]) {
		b.complain(key, "there is no claim within %s, so the path matches nothing: write [%s]%s", path[0], path[0], literal)
	}
}
