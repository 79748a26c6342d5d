package config

import (
	"fmt"
	"slices"
)

// check judges a route by what no tag can say.
func (r *Route) check() {
	b := r.block
	b.each("paths", r.Route.Paths, checkPath)
	b.each("hosts", r.Route.Hosts, checkHost)
	b.one("public_url", r.Route.PublicURL, checkOrigin)
	u := &r.Route.Upstream
	b.one("upstream.url", u.URL, func(s string) error { return checkURL(s, "http", "https", "h2c") })
	b.pem("upstream.ca_file", u.CAFile)
	b.one("upstream.server_name", u.ServerName, checkHost)
	if !u.SSLVerify && b.has("upstream.ssl_verify") {
		b.warn("upstream.ssl_verify", "the upstream's certificate isn't verified: anybody on the way can be the upstream")
	}
	r.checkRules()
	if r.HasOIDC {
		r.checkOIDC()
		return
	}
	for i := range r.Rules {
		if rule := &r.Rules[i]; rule.Auth != "off" && rule.Auth != "" {
			rule.block.complain("auth", "%s needs an issuer: add oidc: {issuer: ..., client_id: ...} to the route", rule.Auth)
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
	last := ""
	for i := range r.Rules {
		rule := &r.Rules[i]
		b := rule.block
		b.each("paths", rule.Paths, checkPath)
		b.each("hosts", rule.Hosts, checkHost)
		b.each("methods", rule.Methods, checkMethod)
		checkAudience(b, rule.AudienceRequired)
		if rule.Auth == "off" {
			b.unread("scopes_required", "audience_required", "groups_required", "roles_required")
		}
		if last != "" {
			b.problem(b.home, "no request reaches this rule, because the one at %s takes every request: put this one before it", last)
		}
		if rule.everything() && last == "" {
			last = rule.Place
		}
		r.checkReach(rule)
	}
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
