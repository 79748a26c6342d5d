package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"

	"sallyport/internal/authz"
	"sallyport/internal/check"
	"sallyport/internal/flow"
	"sallyport/internal/page"
	"sallyport/internal/strict"
)

// The rooms of the gate check their own settings, and report to a block, which knows where each key stands. What is here concerns two
// rooms, two routes, or the process.

// check judges a complete configuration.
func (l *loader) check() {
	f, process := l.file, l.process.Checker()
	l.checkProcess()
	directory := authz.NewDirectory(f.Consumers)
	for i := range f.Routes {
		f.Routes[i].check(directory)
	}
	checkSessionCookies(f.Routes)
	authz.CheckConsumers(process, f.Consumers)
	l.checkKeys()
	l.checkAuthServer()
	checkPublicPath(l.process, checkClaims(l.Report, f.Routes), f.Keys.PublicPath)
}

// check judges a route by what no tag can say.
func (r *Route) check(directory *authz.Directory) {
	b, c := r.block, r.block.Checker()
	r.checkTexts(b, reflect.ValueOf(&r.Route).Elem())
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
	for _, part := range r.parts() {
		part.checkOIDC(directory)
	}
}

// checkOIDC judges a route's oidc block, the process's defaults merged in.
func (r *Route) checkOIDC(directory *authz.Directory) {
	c, o := r.block.Checker(), &r.OIDC
	r.checkTexts(r.block, reflect.ValueOf(o).Elem())
	r.checkClaimPaths()
	x := &flow.CheckContext{Route: r.Route.CheckContext(), AnyAudience: slices.Equal(o.Authz.AudienceRequired, []string{"any"})}
	for n := range r.entries {
		x.Entries = append(x.Entries, &r.entries[n].OIDC.Flow)
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
}

// replayed returns the headers of token responses that the client receives, under the names that they have there.
func (r *Route) replayed() []check.SentHeader {
	all := check.Sent("token_headers_replay", r.OIDC.Flow.Client.TokenHeadersReplay)
	for n := range all {
		all[n].Name = r.OIDC.Flow.TokenHeadersPrefix + all[n].Name
	}
	return all
}

// checkPerClient judges the lists that are read by the index of client_id.
func (r *Route) checkPerClient() {
	b, clients := r.block, len(r.OIDC.Flow.Client.ClientID)
	if clients == 0 || b.Find("client_id").Bad {
		return
	}
	for i := range oidcShape.Fields {
		f := &oidcShape.Fields[i]
		if f.PerClient {
			n := reflect.ValueOf(valueIn(&r.OIDC, f)).Len()
			b.Checker().Must(f.Name, n <= clients, "it has %s and client_id has %d: write at most one for each client", check.Entries(n), clients)
		}
	}
}

// checkOpen judges a route without an issuer: only rules with auth: off let requests pass.
func (r *Route) checkOpen() {
	for i := range r.Rules {
		if rule := &r.Rules[i]; rule.Auth != "off" && rule.Auth != "" {
			rule.block.Complain("auth", "%s needs an issuer: add oidc: {issuer: ..., client_id: ...} to the route", rule.Auth)
		} else if rule.Auth == "" {
			rule.block.Problemf(rule.block.Home, "rules: this one needs a credential, and the route has no issuer: "+
				"add oidc: {issuer: ..., client_id: ...}, or write auth: off")
		}
	}
	if !slices.ContainsFunc(r.Rules, func(rule Rule) bool { return rule.Auth == "off" && rule.TakesEverything() }) {
		r.block.Problemf(r.block.Home, "the route has no oidc: block, so nobody could pass: add oidc: {issuer: ..., client_id: ...}, "+
			"or, if everybody may, rules: [{auth: off}]")
	}
}

// checkRules judges each rule, and finds those that no request reaches: their author believes that they protect something.
func (r *Route) checkRules() {
	literal := check.Literal(r.Route.Literal)
	for i := range r.Rules {
		rule := &r.Rules[i]
		c := rule.block.Checker()
		r.checkTexts(rule.block, reflect.ValueOf(rule).Elem())
		rule.RuleSettings.Check(c, literal)
		rule.Headers.Check(c, literal)
		shadows := func(before Rule) bool { return before.Shadows(&rule.RuleSettings, r.Route.Paths) }
		if n := slices.IndexFunc(r.Rules[:i], shadows); n >= 0 {
			rule.block.Warningf(rule.block.Home, "rules: no request reaches this rule, because the one at %s takes them all: put this one before it",
				r.Rules[n].Place)
		}
		r.checkReach(rule)
	}
}

// checkRuleHeaders refuses a rule's header that the route sends, too, or any of its issuers' entries: where the rule's claim is missing
// the upstream would get the route's, under the same name.
func (r *Route) checkRuleHeaders() {
	if !r.HasOIDC {
		return
	}
	for i := range r.Rules {
		b := r.Rules[i].block
		for _, s := range r.Rules[i].Headers.Sent() {
			for _, part := range r.parts() {
				sent := part.OIDC.Headers.SentUpstream()
				if n := slices.IndexFunc(sent, func(o check.SentHeader) bool { return o.Is(&s) }); n >= 0 {
					b.Complain(s.Key, "%s is sent by the route's %s at %s already, as %s: choose another header, or take one of them out",
						check.Quote(s.Name), check.KeyName(sent[n].Key), part.block.Find(sent[n].Key).Mark.From(b.Find(s.Key).Mark), check.Quote(sent[n].Name))
				}
			}
		}
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
			r.block.Complain(fmt.Sprintf("allow[%d]", n),
				"%s at %s, and method_override lets clients run another one than is judged: take one of them out",
				how, rule.block.Find(key).From(r.block.Find("allow").Mark))
		}
	}
}

// checkGroups demands that a request can have a group, where the ACL asks for one.
func (r *Route) checkGroups() {
	if a := r.Route.ACL; len(a.Allow)+len(a.Deny) > 0 &&
		!slices.ContainsFunc(r.parts(), func(part Route) bool { return part.OIDC.Authz.FindsGroups() }) {
		r.block.Complain("acl", "nobody has a group here: say where groups come from, by authenticated_groups_claim, consumer_claims or consumer_groups_claim")
	}
}

// checkReach finds hosts and paths of a rule that lie outside its route.
func (r *Route) checkReach(rule *Rule) {
	c, hosts, paths := rule.block.Checker(), r.Route.Hosts, r.Route.Paths
	for i, h := range rule.Hosts {
		meets := func(own string) bool { return check.HostCovers(own, h) || check.HostCovers(h, own) }
		c.Must(fmt.Sprintf("hosts[%d]", i), len(hosts) == 0 || slices.ContainsFunc(hosts, meets),
			"%s isn't among the hosts of the route: add it there, or take it out", check.Quote(h))
	}
	for i, p := range rule.Paths {
		meets := func(own string) bool { return check.PathCovers(own, p) || check.PathCovers(p, own) }
		if check.Path(p) == nil && !r.block.Find("paths").Bad {
			c.Must(fmt.Sprintf("paths[%d]", i), slices.ContainsFunc(paths, meets),
				"%s isn't within the paths of the route: write it in full, with the route's path in front", check.Quote(p))
		}
	}
}

// checkKeys judges the keys: block, and says where its keys are used that no replica and no restart shares.
func (l *loader) checkKeys() {
	l.file.Keys.Check(l.process.Checker())
	if l.file.Keys.Storage != "memory" {
		return
	}
	for _, r := range l.file.parts() {
		if key := r.OIDC.Flow.Client.UsesGateKeys(); r.HasOIDC && key != "" {
			r.block.Warn(key, "the gate makes the key itself, a new one at each start and in each replica: write keys: {storage: ...} beside routes: to keep it")
		}
	}
}

// checkAuthServer judges the built-in authorization server, and that the routes which take its tokens have one.
func (l *loader) checkAuthServer() {
	s := l.file.OAuth2
	if s != nil {
		for _, p := range s.Check() {
			l.process.Complain("oauth2."+p.Key, "%s", p.Text)
		}
		s.Redis.Check(l.process.Checker(), "oauth2.redis")
	}
	first := "" // the issuer at which its users log in
	for _, r := range l.file.parts() {
		if !r.HasOIDC || !r.OIDC.Flow.UsesAuthServer() {
			continue
		}
		issuer := r.OIDC.Flow.Client.Issuer
		switch {
		case s == nil:
			r.block.Complain("auth_methods", "kong_oauth2 takes the tokens of the built-in authorization server, and there is none: "+
				"write oauth2: {clients: [...]} beside routes:")
		case s.Issuer != "" && issuer != cmp.Or(first, issuer):
			r.block.Warn("auth_methods", "the built-in authorization server's tokens name their user by sub alone, and its users log in at %s, too: "+
				"one sub could be two people, so leave oauth2.issuer out, or kong_oauth2 here", first)
		case s.Issuer == "" && len(r.Route.Hosts) == 0 && r.Route.PublicURL == "":
			r.block.Warn("auth_methods", "kong_oauth2 names itself by the Host header, because nothing else says who it is: "+
				"write oauth2.issuer, or public_url or hosts of the route")
		}
		first = cmp.Or(first, issuer)
	}
}

// parts are the oidc blocks of all routes.
func (f *File) parts() (all []Route) {
	for i := range f.Routes {
		all = append(all, f.Routes[i].parts()...)
	}
	return all
}

// pages reads a folder of the operator's own pages. Its mistakes are reported at their places in its files.
func pages(b *strict.Block, key, folder string) *page.Set {
	if folder == "" {
		return nil
	}
	set, problems, err := page.ReadFolder(folder)
	if err != nil {
		b.Complain(key, "%s can't be read: %v: write the folder that holds the pages, relative to this file's", check.Quote(folder), err)
		return nil
	}
	for _, p := range problems {
		b.Problemf(strict.Mark{filepath.Clean(p.File), p.Line}, "%s", p.Text)
	}
	b.Checker().Must(key, set != nil || len(problems) > 0, "%s holds no page: write one, such as 403.html", check.Quote(folder))
	return set
}
