package config

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"

	"sallyport/internal/authz"
	"sallyport/internal/check"
	"sallyport/internal/flow"
	"sallyport/internal/page"
	"sallyport/internal/strict"
)

// Each package of the gate checks its own settings. The checks in this package concern the settings of several packages or routes, or of
// the process.

// check checks a decoded configuration.
func (l *loader) check() {
	f, process := l.file, l.process.Checker()
	l.completeMCP()
	l.checkProcess()
	directory := authz.NewDirectory(f.Consumers)
	for i := range f.Routes {
		for _, part := range f.Routes[i].perIssuer() {
			part.checkProfile(f.Listen, f.TrustedProxies) // first, for its messages name the clauses
		}
		f.Routes[i].check(directory)
		f.Routes[i].requireScopes()
	}
	checkSessionCookies(f.Routes)
	authz.CheckConsumers(process, f.Consumers)
	l.checkKeys()
	l.checkForwardAuth()
	l.checkCertificates()
	l.checkAuthServer()
	l.checkMCP()
	l.checkConsole()
	checkPublicPath(l.process, checkPaths(l.Report, f.Routes), f.Keys.PublicPath)
}

// check checks a route and the oidc block of each of its issuers.
func (r *Route) check(directory *authz.Directory) {
	b, c := r.block, r.block.Checker()
	r.checkTexts(b, &r.Route)
	r.Route.Check(c)
	r.OwnPages = pages(b, "pages", r.Route.Pages)
	r.Route.ACL.Check(c)
	r.checkGroups()
	r.checkRules()
	r.checkRuleHeaders()
	r.checkMethodOverride()
	if !r.HasOIDC {
		r.checkOpen()
		return
	}
	r.checkIssuers()
	for _, part := range r.perIssuer() {
		part.checkOIDC(directory)
	}
}

// checkOIDC checks the oidc block of a route, which has the defaults of the process.
func (r *Route) checkOIDC(directory *authz.Directory) {
	c, o := r.block.Checker(), &r.OIDC
	r.checkTexts(r.block, o)
	r.checkClaimPaths()
	x := &flow.CheckContext{Route: r.Route.CheckContext(), AnyAudience: slices.Equal(o.Authz.AudienceRequired, []string{"any"})}
	for n := range r.siblings {
		x.Entries = append(x.Entries, &r.siblings[n].OIDC.Flow)
	}
	if len(x.Entries) == 0 {
		x.Entries = []*flow.Settings{&o.Flow}
	}
	o.Flow.Check(c, x)
	o.Authz.Check(c, directory)
	o.Errors.Check(c)
	o.Headers.Check(c, r.replayed())
	o.Headers.CheckClaims(c, x.Literal, o.Flow.HasSessions(), o.Flow.Client.Scopes)
	r.checkPerClient()
	r.checkBoundTokens()
}

// replayed returns the headers of token responses that the client receives, with the names that the client sees.
func (r *Route) replayed() []check.SentHeader {
	all := check.Sent("token_headers_replay", r.OIDC.Flow.Client.TokenHeadersReplay)
	for n := range all {
		all[n].Name = r.OIDC.Flow.TokenHeadersPrefix + all[n].Name
	}
	return all
}

// checkPerClient checks the lengths of the lists whose elements belong to the elements of client_id.
func (r *Route) checkPerClient() {
	b, clients := r.block, len(r.OIDC.Flow.Client.ClientID)
	if clients == 0 || b.Find("client_id").Bad {
		return
	}
	for _, f := range oidcShape.Fields {
		if f.PerClient {
			n := reflect.ValueOf(valueIn(&r.OIDC, f)).Len()
			b.Checker().Must(f.Name, n <= clients, "it has %s and client_id has %d: write at most one for each client",
				check.Entries(n), clients)
		}
	}
}

// checkOpen checks a route without an issuer, where requests pass only by rules with auth: off.
func (r *Route) checkOpen() {
	for i := range r.Rules {
		if rule := &r.Rules[i]; rule.Auth != "off" && rule.Auth != "" {
			rule.block.Complain("auth", "%s needs an issuer: add oidc: {issuer: ..., client_id: ...} to the route", rule.Auth)
		} else if rule.Auth == "" {
			rule.block.Problemf(rule.block.Home, "rules: this rule requires credentials, and the route has no issuer: "+
				"add oidc: {issuer: ..., client_id: ...}, or write auth: off")
		}
	}
	if !slices.ContainsFunc(r.Rules, func(rule Rule) bool { return rule.Auth == "off" && rule.TakesEverything() }) {
		r.block.Problemf(r.block.Home, "the route has no oidc: block, so no request could pass: add oidc: {issuer: ..., client_id: ...}, "+
			"or, if every request may pass, rules: [{auth: off}]")
	}
}

// checkRules checks each rule. It warns of rules that match no request, because their author expects them to protect something.
func (r *Route) checkRules() {
	literal := check.Literal(r.Route.Literal)
	for i := range r.Rules {
		rule := &r.Rules[i]
		c := rule.block.Checker()
		r.checkTexts(rule.block, rule)
		rule.RuleSettings.Check(c, literal)
		rule.Headers.Check(c, literal)
		shadows := func(before Rule) bool { return before.Shadows(&rule.RuleSettings, r.Route.Paths) }
		if n := slices.IndexFunc(r.Rules[:i], shadows); n >= 0 {
			rule.block.Warningf(rule.block.Home,
				"rules: no request reaches this rule, because the one at %s matches all of them: put this one before it", r.Rules[n].Place)
		}
		r.checkReach(rule)
	}
}

// checkRuleHeaders refuses a header of a rule that the route or an entry of its issuers sends too. For a request without the rule's claim,
// the upstream would take the route's header for the rule's.
func (r *Route) checkRuleHeaders() {
	if !r.HasOIDC {
		return
	}
	for i := range r.Rules {
		b := r.Rules[i].block
		for _, s := range r.Rules[i].Headers.Sent() {
			for _, part := range r.perIssuer() {
				all := part.OIDC.Headers.SentUpstream()
				n := slices.IndexFunc(all, func(o check.SentHeader) bool { return o.Is(&s) })
				if n < 0 {
					continue
				}
				sent := &all[n]
				place := part.block.Find(sent.Key).Mark.From(b.Find(s.Key).Mark)
				b.Complain(s.Key, "%s is sent by the route's %s at %s already, as %s: choose another header, or take one of them out",
					check.Quote(s.Name), check.KeyName(sent.Key), place, check.Quote(sent.Name))
			}
		}
	}
}

// checkMethodOverride refuses method_override if a rule depends on the method. The upstream would run another method than the rule allowed.
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
			r.block.Complain(fmt.Sprintf("allow[%d]", n),
				"%s at %s, and method_override lets clients run another method than the one that is checked: take one of them out",
				how, rule.block.Find(key).From(r.block.Find("allow").Mark))
		}
	}
}

// checkGroups checks that requests can have groups if the ACL has some.
func (r *Route) checkGroups() {
	if a := r.Route.ACL; len(a.Allow)+len(a.Deny) > 0 &&
		!slices.ContainsFunc(r.perIssuer(), func(part Route) bool { return part.OIDC.Authz.FindsGroups() }) {
		r.block.Complain("acl", "no request has a group, because no setting says where groups come from: "+
			"add authenticated_groups_claim, consumer_claims or consumer_groups_claim")
	}
}

// checkReach checks that the hosts and paths of a rule are within its route.
func (r *Route) checkReach(rule *Rule) {
	c, hosts, paths := rule.block.Checker(), r.Route.Hosts, r.Route.Paths
	for i, h := range rule.Hosts {
		overlaps := func(own string) bool { return check.HostCovers(own, h) || check.HostCovers(h, own) }
		c.Must(fmt.Sprintf("hosts[%d]", i), len(hosts) == 0 || slices.ContainsFunc(hosts, overlaps),
			"%s isn't among the hosts of the route: add it there, or take it out", check.Quote(h))
	}
	for i, p := range rule.Paths {
		overlaps := func(own string) bool { return check.PathCovers(own, p) || check.PathCovers(p, own) }
		if check.Path(p) == nil && !r.block.Find("paths").Bad {
			c.Must(fmt.Sprintf("paths[%d]", i), slices.ContainsFunc(paths, overlaps),
				"%s isn't within the paths of the route: write it in full, with the route's path in front", check.Quote(p))
		}
	}
}

// checkKeys checks the keys block. It warns of issuers that use keys of the gate while these are only in memory.
func (l *loader) checkKeys() {
	l.file.Keys.Check(l.process.Checker())
	if l.file.Keys.Storage != "memory" {
		return
	}
	for _, r := range l.file.perIssuer() {
		key := r.OIDC.Flow.Client.UsesGateKeys()
		if key == "" && r.OIDC.Headers.UpstreamAssertionHeader != "" {
			key = "upstream_assertion_header"
		}
		if r.HasOIDC && key != "" {
			r.block.Warn(key, "each replica generates a new key at each start: "+
				"write keys: {storage: ...} beside routes: to keep and share one")
		}
	}
}

// checkCertificates warns of routes that need certificates of clients and receive none.
func (l *loader) checkCertificates() {
	asks := slices.ContainsFunc(l.file.Listen, func(l Listen) bool { return l.TLS != nil && l.TLS.ClientAuth != "none" })
	for _, r := range l.file.perIssuer() {
		switch s := &r.OIDC.Flow.BindingSettings; {
		case !r.HasOIDC:
		case s.MTLSFromHeader != nil && len(l.file.TrustedProxies) == 0:
			r.block.Warn("proof_of_possession_mtls_from_header", "no proxy is trusted, so the header isn't read: "+
				"write trusted_proxies beside routes:")
		case s.MTLS == "strict" && s.MTLSFromHeader == nil && !asks:
			r.block.Warn("proof_of_possession_mtls", "no listener asks for the certificates of clients, so no token can pass: "+
				"write listen: [{tls: {client_auth: request}}], or proof_of_possession_mtls_from_header")
		}
	}
}

// checkAuthServer checks the built-in authorization server, and the routes that accept its tokens.
func (l *loader) checkAuthServer() {
	s := l.file.OAuth2
	if s != nil {
		s.Check(l.process.Checker())
	}
	first := "" // the issuer at which its users log in
	for _, r := range l.file.perIssuer() {
		if !r.HasOIDC || !r.OIDC.Flow.UsesAuthServer() {
			continue
		}
		issuer := r.OIDC.Flow.Client.Issuer
		switch {
		case s == nil:
			r.block.Complain("auth_methods", "kong_oauth2 accepts tokens of the built-in authorization server, which isn't configured: "+
				"write oauth2: {clients: [...]} beside routes:")
		case s.Issuer != "" && issuer != cmp.Or(first, issuer):
			r.block.Warn("auth_methods", "the tokens of the built-in authorization server identify a user by sub alone, "+
				"and its users log in at %s too: one sub could be two users, so take oauth2.issuer out, or kong_oauth2 here", first)
		case s.Issuer == "" && len(r.Route.Hosts) == 0 && r.Route.PublicURL == "" && r.MCP == nil:
			r.block.Warn("auth_methods", "kong_oauth2 takes its issuer from the Host header, because no setting names one: "+
				"write oauth2.issuer, or public_url or hosts of the route")
		}
		first = cmp.Or(first, issuer)
	}
}

// perIssuer returns the routes, with a route of its own for each issuer.
func (f *File) perIssuer() (all []Route) {
	for i := range f.Routes {
		all = append(all, f.Routes[i].perIssuer()...)
	}
	return all
}

// pages reads a folder of the operator's own pages. It reports problems at their places in the folder's files.
func pages(b *strict.Block, key, folder string) *page.Set {
	if folder == "" {
		return nil
	}
	files, _ := os.ReadDir(folder)
	for _, f := range files {
		b.Uses(filepath.Join(folder, f.Name()))
	}
	set, problems, err := page.ReadFolder(folder)
	if err != nil {
		b.Complain(key, "%s can't be read: %v: write the folder of the pages, relative to the folder of this file",
			check.Quote(folder), err)
		return nil
	}
	for _, p := range problems {
		b.Problemf(strict.Mark{File: filepath.Clean(p.File), Line: p.Line}, "%s", p.Text)
	}
	b.Checker().Must(key, set != nil || len(problems) > 0, "%s has no page: write one, such as 403.html", check.Quote(folder))
	return set
}
