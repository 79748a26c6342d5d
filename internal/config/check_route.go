package config

import (
	"fmt"
	"reflect"
	"slices"

	"sallyport/internal/authz"
)

// check judges a route by what no tag can say.
func (r *Route) check() {
	b := r.block
	r.checkTexts(b, reflect.ValueOf(&r.Route).Elem())
	r.checkPaths(b, r.Route.Paths, nil)
	b.each("hosts", r.Route.Hosts, checkHost)
	b.one("public_url", r.Route.PublicURL, checkOrigin)
	u := &r.Route.Upstream
	b.one("upstream.url", u.URL, func(s string) error { return checkURL(s, "http", "https", "h2c") })
	b.pem("upstream.ca_file", u.CAFile)
	b.one("upstream.server_name", u.ServerName, checkServerName)
	if !u.SSLVerify && b.has("upstream.ssl_verify") {
		b.warn("upstream.ssl_verify", "the upstream's certificate isn't verified: anybody on the way can be the upstream")
	}
	r.OwnPages = b.pages("pages", r.Route.Pages)
	r.checkRules()
	r.checkRuleHeaders()
	r.checkMethodOverride()
	r.checkACL()
	if r.HasOIDC {
		r.checkIssuers()
		for _, part := range r.parts() {
			part.checkOIDC()
		}
		return
	}
	for i := range r.Rules {
		if rule := &r.Rules[i]; rule.Auth != "off" && rule.Auth != "" {
			rule.block.complain("auth", "%s needs an issuer: add oidc: {issuer: ..., client_id: ...} to the route", rule.Auth)
		} else if rule.Auth == "" {
			b.problem(rule.block.home, "rules: this one needs a credential, and the route has no issuer: add oidc: {issuer: ..., client_id: ...}, or write auth: off")
		}
	}
	if !slices.ContainsFunc(r.Rules, func(rule Rule) bool { return rule.Auth == "off" && rule.everything() }) {
		b.problem(b.home, "the route has no oidc: block, so nobody could pass: add oidc: {issuer: ..., client_id: ...}, "+
			"or, if everybody may, rules: [{auth: off}]")
	}
}

// everything reports whether a rule takes every request.
func (r *Rule) everything() bool { return len(r.Hosts)+len(r.Paths)+len(r.Methods) == 0 }

// checkRules judges each rule, and finds those that no request reaches: their author believes that they protect something.
func (r *Route) checkRules() {
	for i := range r.Rules {
		rule := &r.Rules[i]
		b := rule.block
		r.checkTexts(b, reflect.ValueOf(rule).Elem())
		r.checkPaths(b, rule.Paths, rule)
		r.checkMappings(b, "upstream_headers", rule.Headers.UpstreamHeaders)
		b.each("hosts", rule.Hosts, checkHost)
		b.each("methods", rule.Methods, checkMethod)
		checkAudience(b, rule.AudienceRequired)
		if rule.Allow != "" {
			if err := authz.CheckAllow(rule.Allow); err != nil {
				b.complain("allow", "%v", err)
			}
		}
		b.each("acr_values", rule.ACRValues, notEmpty)
		if rule.Auth == "off" {
			b.unread("scopes_required", "audience_required", "groups_required", "roles_required", "allow", "acr_values", "max_age",
				"on_unauthenticated", "upstream_headers", "login_issuer")
		}
		if n := slices.IndexFunc(r.Rules[:i], func(before Rule) bool { return before.shadows(rule, r) }); n >= 0 {
			b.warning(b.home, "rules: no request reaches this rule, because the one at %s takes them all: put this one before it", r.Rules[n].Place)
		}
		r.checkReach(rule)
	}
}

// checkMethodOverride refuses the switch where a rule judges by the method: a client would choose the rule, and run another method.
func (r *Route) checkMethodOverride() {
	n := slices.Index(r.Route.Allow, "method_override")
	if n < 0 {
		return
	}
	for i := range r.Rules {
		rule := &r.Rules[i]
		key, how := "methods", "a rule is chosen by the method"
		if len(rule.Methods) == 0 {
			key, how = "allow", "an expression may read the method"
		}
		if key == "methods" || authz.ReadsMethod(rule.Allow) {
			r.block.complain(fmt.Sprintf("allow[%d]", n),
				"%s at %s, and method_override lets clients run another one than is judged: take one of them out",
				how, rule.block.find(key).from(r.block.find("allow").mark))
		}
	}
}

// shadows reports whether every request that fits other fits r, which stands before it.
func (r *Rule) shadows(other *Rule, route *Route) bool {
	covered := func(mine, others []string, covers func(mine, other string) bool) bool {
		return len(mine) == 0 || len(others) > 0 && !slices.ContainsFunc(others, func(o string) bool {
			return !slices.ContainsFunc(mine, func(m string) bool { return covers(m, o) })
		})
	}
	paths := other.Paths
	if len(paths) == 0 {
		paths = route.Route.Paths
	}
	return covered(r.Hosts, other.Hosts, hostCovers) && covered(r.Paths, paths, pathCovers) &&
		covered(r.Methods, other.Methods, func(mine, other string) bool { return mine == other || mine == "GET" && other == "HEAD" })
}

// checkACL judges the route's list of groups, and that somebody can have one.
func (r *Route) checkACL() {
	b, a := r.block, r.Route.ACL
	b.each("acl.allow", a.Allow, notEmpty)
	b.each("acl.deny", a.Deny, notEmpty)
	for i, g := range a.Allow {
		b.must(fmt.Sprintf("acl.allow[%d]", i), !slices.Contains(a.Deny, g), "%s is denied, too, and deny comes first: take one of them out", quote(g))
	}
	if len(a.Allow)+len(a.Deny) > 0 && !slices.ContainsFunc(r.parts(), func(part Route) bool { return part.findsGroups() }) {
		b.complain("acl", "nobody has a group here: say where groups come from, by authenticated_groups_claim, consumer_claims or consumer_groups_claim")
	}
}

// findsGroups reports whether an identity, or who has none, can have a group.
func (r *Route) findsGroups() bool {
	z := &r.OIDC.Authz
	return len(z.AuthenticatedGroupsClaim)+len(z.ConsumerClaims)+len(z.ConsumerClaim)+len(z.ConsumerGroupsClaim) > 0 || z.Anonymous != ""
}

// unread complains about keys that auth: off makes void.
func (b *block) unread(keys ...string) {
	for _, key := range keys {
		b.must(key, !b.has(key), "auth: off lets everybody in, whatever is required: take one of them out")
	}
}

// checkReach finds hosts and paths of a rule that lie outside its route.
func (r *Route) checkReach(rule *Rule) {
	hosts, paths := r.Route.Hosts, r.Route.Paths
	for i, h := range rule.Hosts {
		meets := func(own string) bool { return hostCovers(own, h) || hostCovers(h, own) }
		rule.block.must(fmt.Sprintf("hosts[%d]", i), len(hosts) == 0 || slices.ContainsFunc(hosts, meets),
			"%s isn't among the hosts of the route: add it there, or take it out", quote(h))
	}
	for i, p := range rule.Paths {
		meets := func(own string) bool { return pathCovers(own, p) || pathCovers(p, own) }
		if checkPath(p) == nil && !r.block.find("paths").bad {
			rule.block.must(fmt.Sprintf("paths[%d]", i), slices.ContainsFunc(paths, meets),
				"%s isn't within the paths of the route: write it in full, with the route's path in front", quote(p))
		}
	}
}

// checkAudience judges the one word with a meaning of its own.
func checkAudience(b *block, required []string) {
	if !slices.Contains(required, "any") {
		return
	}
	if len(required) > 1 {
		b.complain("audience_required", "any stands alone, because it switches the check off: take the others out, or any")
		return
	}
	b.warn("audience_required", "any lets in tokens that the issuer made for any other service")
}

// checkConsumers judges the process's consumers: each has a name, and no two the same.
func checkConsumers(b *block, f *File) {
	taken := map[string]int{}
	for i, c := range f.Consumers {
		key := fmt.Sprintf("consumers[%d]", i)
		b.must(key, c.Username+c.CustomID+c.ID != "", "it has no name: write username or custom_id")
		for by, name := range map[string]string{"username": c.Username, "custom_id": c.CustomID, "id": c.ID} {
			if name == "" {
				continue
			}
			if first, found := taken[by+" "+name]; found {
				b.complain(key+"."+by, "%s is the %s of the consumer at %s already: choose another", quote(name), by,
					b.find(fmt.Sprintf("consumers[%d]", first)).from(b.find(key).mark))
				continue
			}
			taken[by+" "+name] = i
		}
	}
	directory := authz.NewDirectory(f.Consumers)
	for i := range f.Routes {
		for _, part := range f.Routes[i].parts() {
			part.checkMapping(directory)
		}
	}
}

// checkMapping judges which consumer an identity stands for.
func (r *Route) checkMapping(d *authz.Directory) {
	b, z := r.block, &r.OIDC.Authz
	b.must("anonymous", z.Anonymous == "" || d.Named(z.Anonymous) != nil, "no consumer has the username or id %s: add it to consumers: beside routes:", quote(z.Anonymous))
	b.must("consumer_claim", len(z.ConsumerClaim) == 0 || len(z.ConsumerClaims) == 0, "consumer_claims is written, too: keep that one")
	for i, path := range z.ConsumerClaims {
		b.must(fmt.Sprintf("consumer_claims[%d]", i), len(path) > 0, "the path is empty: write [sub], or take it out")
	}
	b.each("claims_forbidden", z.ClaimsForbidden, notEmpty)
	b.each("domains", z.Domains, checkMailDomain)
}
