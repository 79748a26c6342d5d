package importer

import (
	"slices"
	"strconv"
	"strings"
)

// addGroup adds the route of the gate for a group.
func (k *kong) addGroup(g *group) {
	plan := k.plan(g)
	main := plan.served[0]
	document, route := NewMapping(), NewMapping()
	document.SetAt(g.mark(), "route", route)
	if len(g.hosts) > 0 {
		route.SetAt(main.route.at("hosts"), "hosts", g.hosts)
	}
	if !slices.Equal(g.paths, []string{"/"}) {
		route.SetAt(main.route.at("paths"), "paths", g.paths)
	}
	route.Set("upstream", k.upstream(main.route))
	if main.strip {
		route.Set("strip_path", true)
	}
	if main.route.text("preserve_host") == "true" {
		route.Set("preserve_host", true)
	}
	if main.policy.bodyLimit > 0 {
		route.Set("body_limit", main.policy.bodyLimit)
	}
	rules := k.rules(g, plan)
	k.protect(g, document, main, rules)
	k.AddRoute(g.name, document)
}

// A plan says how the route of the gate serves the claims of a group.
type plan struct {
	served   []*claim // as the route requires; the main one first
	opened   []*claim // by rules with auth: off
	excluded string   // an expression for the requests of all others, which the route must refuse
}

// plan returns how the route of the gate serves the claims.
func (k *kong) plan(g *group) plan {
	main := g.main()
	p := plan{served: []*claim{main}, excluded: never}
	for _, c := range g.claims {
		switch {
		case c == main:
		case main.always() && main.before(c):
			k.Notef(c.route.Mark, "no request reaches the route %s at %s, because the route %s has the same hosts and paths: it is left out",
				c.route.name(), strings.Join(g.paths, ", "), main.route.name())
		case c.same(main):
			p.served = append(p.served, c)
		case c.opens() && c.sameUpstream(main) && !main.policy.closed:
			p.opened = append(p.opened, c)
		default:
			k.exclude(&p, g, c)
		}
	}
	if p.excluded != never && main.policy.acl != nil { // the list would refuse requests of a rule with auth: optional
		for _, c := range p.opened {
			k.exclude(&p, g, c)
		}
		p.opened = nil
	}
	return p
}

// exclude makes the route refuse the requests of a claim.
func (k *kong) exclude(p *plan, g *group, c *claim) {
	k.Notef(c.route.Mark, "the route %s has the hosts and paths %s of the route %s, and another service or other plugins: "+
		"its requests are refused; give it a path or a host of its own", c.route.name(), strings.Join(g.paths, ", "), g.main().route.name())
	p.excluded = either(p.excluded, both(methodCondition(c.methods), c.condition))
}

// methodCondition returns an expression that is true for some methods. GET covers HEAD, as in methods of a rule.
func methodCondition(methods []string) string {
	if len(methods) == 0 {
		return ""
	}
	var quoted []string
	for _, m := range methods {
		quoted = append(quoted, strconv.Quote(m))
		if m == "GET" {
			quoted = append(quoted, `"HEAD"`)
		}
	}
	return "request.method in [" + strings.Join(quoted, ", ") + "]"
}

// A rule is a rule for some methods, or for all. Requests for which the condition is false are refused.
type rule struct {
	methods   []string
	condition string
	open      bool // auth: off
}

// rules returns the rules for the claims that are served.
func (k *kong) rules(g *group, p plan) []rule {
	var methods []string
	general := never // the condition for all methods
	byMethod := map[string]string{}
	for _, c := range p.served {
		if len(c.methods) == 0 {
			general = either(general, c.condition)
		}
		for _, m := range c.methods {
			condition, known := byMethod[m]
			if !known {
				condition = never
				methods = append(methods, m)
			}
			byMethod[m] = either(condition, c.condition)
		}
	}
	rest := both(p.served[0].policy.condition, p.others())
	all := openRules(p, byMethod)
	return append(all, k.rulesOf(g, methods, byMethod, general, rest, p)...)
}

// others returns an expression that is true for requests that aren't excluded.
func (p *plan) others() string {
	switch p.excluded {
	case never:
		return ""
	case "":
		return never
	}
	return not(p.excluded)
}

// openRules returns the rules for the methods of claims that are open.
func openRules(p plan, byMethod map[string]string) (rules []rule) {
	for _, c := range p.opened {
		r := rule{open: true, condition: p.others()}
		for _, m := range c.methods {
			if _, protected := byMethod[m]; !protected {
				r.methods = append(r.methods, m)
			}
		}
		if len(r.methods) > 0 {
			rules = append(rules, r)
		}
	}
	return rules
}

// rulesOf returns a rule for the methods of each condition, and one for all others.
func (k *kong) rulesOf(g *group, methods []string, byMethod map[string]string, general, rest string, p plan) (rules []rule) {
	if general != "" {
		for _, m := range methods {
			condition := both(either(general, byMethod[m]), rest)
			n := slices.IndexFunc(rules, func(r rule) bool { return r.condition == condition })
			if n < 0 {
				n, rules = len(rules), append(rules, rule{condition: condition})
			}
			rules[n].methods = append(rules[n].methods, m)
		}
	}
	switch {
	case slices.ContainsFunc(p.opened, (*claim).always) && general == never:
		return append(rules, rule{open: true, condition: p.others()})
	case general == never && len(rules) > 0:
		k.Notef(g.mark(), "the route %s takes only %s: other methods are refused with 403, where Kong tries other routes", g.name,
			strings.Join(append(methods, methodsOf(p.opened)...), ", "))
		return append(rules, rule{condition: never})
	}
	return append(rules, rule{condition: both(general, rest)})
}

func methodsOf(claims []*claim) (all []string) {
	for _, c := range claims {
		all = append(all, c.methods...)
	}
	return all
}

// protect writes the oidc block, the access control list and the rules of a route.
func (k *kong) protect(g *group, document *Mapping, main *claim, rules []rule) {
	p := main.policy
	switch {
	case p.closed:
		rules = []rule{{condition: never}}
	case p.acl != nil:
		k.writeACL(document.Mapping("route"), p)
	}
	conditional := slices.ContainsFunc(rules, func(r rule) bool { return r.condition != "" })
	switch {
	case p.oidc != nil:
		k.writeOIDC(document, p)
	case p.oauth2 != nil:
		k.writeOAuth2(document, p)
	case conditional || p.closed:
		document.Set("oidc", noIssuer())
		document.Comment("oidc", "No issuer is needed: an expression decides, and oidc: is there for it.")
	}
	if p.open() {
		k.Notef(g.mark(), "the route %s has no plugin that authenticates: requests pass without a credential, as in Kong", g.name)
	}
	if all := ruleMappings(p, rules); len(all) > 0 {
		document.Set("rules", all)
		if p.closed {
			document.Comment("rules", "Closed: a plugin of Kong that protected this route isn't imported. See the report.")
		}
	}
}

// ruleMappings returns the rules as they are written. A single rule that requires nothing more than the route isn't.
func ruleMappings(p *policy, rules []rule) (all []*Mapping) {
	for _, r := range rules {
		m := NewMapping()
		if len(r.methods) > 0 {
			m.Set("methods", r.methods)
		}
		switch {
		case r.open && r.condition == "":
			m.Set("auth", Plain("off"))
		case r.open, r.condition == never, p.open() && r.condition != "":
			m.Set("auth", "optional").Set("allow", r.condition)
		case p.open():
			m.Set("auth", Plain("off"))
		case r.condition != "":
			m.Set("allow", r.condition)
		}
		if m.Len() > 0 {
			all = append(all, m)
		}
	}
	return all
}

// noIssuer returns an oidc block for a route whose rules need no identity. Nothing is ever requested from its issuer.
func noIssuer() *Mapping {
	return NewMapping().
		Set("issuer", "https://issuer.invalid").
		Set("using_pseudo_issuer", true).
		Set("jwks_endpoint", "https://issuer.invalid/jwks").
		Set("client_id", "none").
		Set("auth_methods", []string{"bearer"})
}

// writeACL writes the acl plugin.
func (k *kong) writeACL(route *Mapping, p *policy) {
	plugin := p.acl
	config, acl := plugin.config(), NewMapping()
	for _, key := range []string{"allow", "deny"} {
		groups := slices.Concat(texts(config.get(key)), texts(config.get(map[string]string{"allow": "whitelist", "deny": "blacklist"}[key])))
		if len(groups) > 0 {
			acl.SetAt(config.at(key), key, groups)
		}
	}
	route.SetAt(plugin.Mark, "acl", acl)
	if p.oidc != nil && len(p.oidc.config().list("authenticated_groups_claim")) > 0 && mapsConsumers(p.oidc.config()) {
		k.Notef(plugin.Mark, "acl: for a request with a consumer Kong compares the consumer's groups only, the gate also those of "+
			"authenticated_groups_claim")
	}
	if config.text("hide_groups_header") == "true" {
		k.Notef(config.at("hide_groups_header"), "hide_groups_header: the gate sends X-Consumer-Groups and X-Authenticated-Groups")
	}
}
