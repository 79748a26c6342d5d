package config

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/authz"
	"sallyport/internal/check"
)

// checkConsole checks the routes that serve the console, and those whose upstream is the admin listener, which would show it.
func (l *loader) checkConsole() {
	asked := !slices.ContainsFunc(l.file.Listen, func(l Listen) bool { return l.ForwardAuth == nil })
	for i := range l.file.Routes {
		r := &l.file.Routes[i]
		if r.Route.Console {
			r.block.Checker().Must("console", !asked, "every listener has forward_auth, and a proxy that asks can't get pages of the gate: "+
				"take console out, or add a listener without forward_auth")
			r.checkConsole()
			continue
		}
		if key := r.adminTarget(l.file.Admin.Listen); key != "" && !r.isRestricted() {
			r.block.Complain(key, "it is the gate's own admin listener, and everyone whom the route lets pass could reach that: "+
				"write console: true in place of upstream, or require roles (oidc: {roles_required: [...]})")
		}
	}
}

// checkConsole checks a route that serves the console.
func (r *Route) checkConsole() {
	c := r.block.Checker()
	c.Must("upstream", !r.block.IsSet("upstream"), "the route serves the console (console: true): take one of them out")
	c.Must("paths", len(r.Route.Paths) <= 1, "the console has one address: write one path")
	c.Must("console", r.MCP == nil, "the route is an MCP server (mcp:): write a route of its own for the console")
	if !r.HasOIDC {
		r.block.Complain("console", "it is for people who are logged in, and the route has no issuer: "+
			"add oidc: {issuer: ..., client_id: ..., roles_required: [...]}")
		return
	}
	for _, part := range r.perIssuer() {
		part.block.Checker().Must("anonymous", part.OIDC.Authz.Anonymous == "",
			"the route serves the console, which is for people who are logged in: take it out")
	}
	for i := range r.Rules {
		r.Rules[i].checkConsole(r.requiresPersons())
	}
	if !r.isRestricted() && !slices.ContainsFunc(r.Rules, func(rule Rule) bool { return !rule.isRestrictive() }) {
		r.block.Complain("console", "everyone who can log in could use it: add roles_required: [...] to oidc:, or a last rule with "+
			"roles_required, groups_required or allow that takes every request")
	}
}

// checkConsole checks a rule of a route that serves the console. restricted means that the route itself requires more than a login.
func (r *Rule) checkConsole(restricted bool) {
	c := r.block.Checker()
	if r.Auth != "" && r.Auth != string(authz.Required) {
		c.Complain("auth", "the route serves the console, which is for people who are logged in: write auth: required")
		return
	}
	c.Must("report_only", !r.ReportOnly, "the route serves the console, and the rule would refuse no one: take it out")
	if !restricted && !r.isRestrictive() {
		r.block.Problemf(r.block.Home, "rules: the route serves the console, and this rule lets everyone in who can log in: "+
			"add roles_required, groups_required, or an allow that reads claims")
	}
}

// isRestrictive reports whether a rule lets only some of those pass who can log in.
func (r *Rule) isRestrictive() bool {
	return r.RequiresRoles() || authz.ReadsIdentity(r.Allow)
}

// requiresPersons reports whether the route's own requirements let only some of those pass who can log in, whatever the rule.
func (r *Route) requiresPersons() bool {
	return len(r.Route.ACL.Allow) > 0 || !slices.ContainsFunc(r.perIssuer(), func(part Route) bool {
		return !part.OIDC.Authz.RequiresRoles()
	})
}

// isRestricted reports whether each request of the route needs more than a login.
func (r *Route) isRestricted() bool {
	open := func(rule Rule) bool {
		return rule.Auth != "" && rule.Auth != string(authz.Required) || rule.ReportOnly || !r.requiresPersons() && !rule.isRestrictive()
	}
	if !r.HasOIDC || slices.ContainsFunc(r.Rules, open) {
		return false
	}
	return r.requiresPersons() || slices.ContainsFunc(r.Rules, func(rule Rule) bool { return rule.takesAllOf(r) })
}

// takesAllOf reports whether a rule takes every request of a route.
func (r *Rule) takesAllOf(route *Route) bool {
	if len(r.Paths) == 0 {
		return r.TakesEverything()
	}
	uncovered := func(path string) bool {
		return !slices.ContainsFunc(r.Paths, func(mine string) bool { return check.PathCovers(mine, path) })
	}
	return len(r.Hosts)+len(r.Methods)+len(r.MCPTools) == 0 && !slices.ContainsFunc(route.Route.Paths, uncovered)
}

// adminTarget returns the key of the upstream's target that is the admin listener, or "".
func (r *Route) adminTarget(listen string) string {
	u := &r.Route.Upstream
	for _, t := range u.Targets {
		if isListener(listen, t.URL) {
			return "upstream.targets"
		}
	}
	if isListener(listen, u.URL) {
		return "upstream"
	}
	return ""
}

// isListener reports whether a URL leads to a listener of this machine.
func isListener(listen, target string) bool {
	u, err := url.Parse(target)
	host, port, errListen := net.SplitHostPort(listen)
	if err != nil || errListen != nil || port == "0" {
		return false
	}
	defaults := map[string]string{"http": "80", "h2c": "80", "https": "443"}
	if own := u.Port(); own != port && (own != "" || defaults[u.Scheme] != port) {
		return false
	}
	name := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if name == host {
		return true
	}
	to, errTo := netip.ParseAddr(name)
	local := name == "localhost" || errTo == nil && (to.Unmap().IsLoopback() || to.IsUnspecified())
	at, errAt := netip.ParseAddr(host)
	return local && (host == "" || host == "localhost" || errAt == nil && (at.IsUnspecified() || at.Unmap().IsLoopback()))
}
