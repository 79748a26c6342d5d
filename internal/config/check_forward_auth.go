package config

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
	"sallyport/internal/check"
	"sallyport/internal/forwardauth"
	"sallyport/internal/proxy"
	"sallyport/internal/strict"
)

// checkForwardAuth checks the listeners whose clients are proxies that ask, and that each route works with them. A route needs an upstream
// unless all listeners are such.
func (l *loader) checkForwardAuth() {
	c, forwards := l.process.Checker(), false
	forUpstream := proxy.ForUpstream(l.file.sentUpstream())
	for i := range l.file.Listen {
		listen, key := &l.file.Listen[i], fmt.Sprintf("listen[%d].forward_auth", i)
		if listen.ForwardAuth == nil {
			forwards = true
			continue
		}
		listen.ForwardAuth.Check(c, key)
		c.Must(key, len(l.file.TrustedProxies) > 0,
			"it needs trusted_proxies: only those proxies may ask; write their addresses")
		c.Must(key, !listen.ProxyProtocol, "the proxy asks over connections of its own, so proxy_protocol isn't for this listener: "+
			"take one of them out")
		if can := forwardauth.DialectOf(listen.ForwardAuth.Proxy); can != nil {
			l.checkQuestionPath(key, listen.ForwardAuth)
			for _, r := range l.file.perIssuer() {
				r.checkAsked(listen.ForwardAuth.Proxy, can)
				r.checkAnswerHeaders(listen.ForwardAuth.Proxy, can, forUpstream)
			}
			for n := range l.file.Routes {
				if r := &l.file.Routes[n]; can.WithoutPath {
					r.checkWithoutPath(listen.ForwardAuth.Proxy)
				}
			}
		}
	}
	for i := range l.file.Routes {
		r := &l.file.Routes[i]
		decoded := len(r.Route.Paths) > 0 || r.block.IsBad("paths") // otherwise the route isn't a mapping, which is reported
		if forwards && decoded && !r.Route.Console && !r.block.IsSet("upstream") {
			r.block.Problemf(r.block.Home, "upstream is missing: add it")
		}
	}
}

// checkAsked refuses the settings of a route that need what a proxy that asks can't do.
func (r *Route) checkAsked(by string, can *forwardauth.Dialect) {
	if !r.HasOIDC {
		return
	}
	b, o := r.block, &r.OIDC
	refuse := func(key string, bad bool, why string) {
		if bad {
			b.Complain(key, "%s asks at a listener (forward_auth), and %s", by, why)
		}
	}
	for _, key := range o.Flow.ReadsCredentialsFrom(auth.InBody) {
		refuse(key, true, "bodies don't arrive at the gate: take body out")
	}
	if o.Headers.HideCredentials {
		for _, key := range o.Flow.ReadsCredentialsFrom(auth.InQuery) {
			refuse(key, true, "a credential in the query would reach the upstream, because it can't remove it: "+
				"take query out, or write hide_credentials: false")
		}
	}
	if o.Flow.HasSessions() {
		refuse("session_storage", o.Flow.Session.Storage == "cookie" && can.OneCookie,
			"it can't pass on several cookies: write redis or memory")
		refuse("session_remember", o.Flow.Session.Remember && can.OneCookie, "it can't pass on several cookies: take it out")
	}
	if o.Flow.LogsIn() {
		refuse("login_action", o.Flow.LoginAction == "upstream", "the gate doesn't forward the request after a login: write redirect")
		refuse("preserve_post", o.Flow.PreservePost, "the gate doesn't forward the form after a login: take it out")
	}
	refuse("logout_post_arg", o.Flow.LogoutPostArg != "", "bodies don't arrive at the gate: take it out")
	refuse("run_on_preflight", !o.RunOnPreflight, "a preflight that isn't judged would pass with credentials and a body: take it out")
	refuse("strip_path", r.Route.StripPath, "the proxy forwards the path as it is: take it out, and let the proxy do that")
	refuse("upstream_dpop", o.Headers.UpstreamDPoP,
		"the upstream needs a proof for each request, which only the gate could make: take it out")
}

// checkWithoutPath refuses what needs the path or the method of requests, for a proxy that doesn't send them, and a route whose origin
// isn't configured.
func (r *Route) checkWithoutPath(by string) {
	complain := func(b *strict.Block, key, why string) {
		b.Complain(key, "%s asks at a listener (forward_auth), and %s", by, why)
	}
	if len(r.Route.Hosts) == 0 || r.Route.PublicURL == "" {
		complain(r.block, "public_url", "its questions don't say the scheme that the client used: write hosts and public_url")
	}
	if !slices.Equal(r.Route.Paths, []string{"/"}) {
		complain(r.block, "paths", "its questions don't have the path of the request: write [/], or forward_auth: nginx")
	}
	for n := range r.Rules {
		rule := &r.Rules[n]
		for key, bad := range map[string]bool{
			"paths": len(rule.Paths) > 0, "methods": len(rule.Methods) > 0, "allow": authz.ReadsRequest(rule.Allow),
		} {
			if bad {
				complain(rule.block, key, "its questions don't have the path and the method of the request: take it out, "+
					"or write forward_auth: nginx")
			}
		}
	}
}

// checkAnswerHeaders refuses headers for the client that the proxy doesn't pass on, or that it takes for those of the upstream of any
// route: it copies the same names from all answers.
func (r *Route) checkAnswerHeaders(by string, can *forwardauth.Dialect, forUpstream func(string) bool) {
	if !r.HasOIDC {
		return
	}
	for _, sent := range r.OIDC.Headers.SentDownstream() {
		name := strings.ToLower(sent.Name)
		switch {
		case name == "":
		case can.NoHeaders:
			r.block.Complain(sent.Key, "%s asks at a listener (forward_auth), and it doesn't pass the header on to the client: "+
				"take it out", by)
		case can.OneHeader && (forUpstream(name) || forwardauth.IsReserved(name)):
			r.block.Complain(sent.Key, "%s asks at a listener (forward_auth), and it can't tell the header from one of this name for an "+
				"upstream or for itself: choose another name", by)
		}
	}
}

// sentUpstream returns the names of the headers that any route sends to its upstream.
func (f *File) sentUpstream() (names []string) {
	add := func(all []check.SentHeader) {
		for _, sent := range all {
			if name, _, _ := strings.Cut(sent.Name, ":"); name != "" {
				names = append(names, name)
			}
		}
	}
	for _, r := range f.perIssuer() {
		if r.HasOIDC {
			add(r.OIDC.Headers.SentUpstream())
		}
		for n := range r.Rules {
			add(r.Rules[n].Headers.Sent())
		}
	}
	return names
}

// checkQuestionPath refuses a path of questions that is one of the gate's own paths: a client's request for that would be taken for a
// question, whose answer has what the upstream gets.
func (l *loader) checkQuestionPath(key string, s *forwardauth.Settings) {
	refuse := func(path string) {
		if path == s.Path || s.Proxy == "envoy" && check.PathCovers(s.Path, path) {
			l.process.Complain(key+".path", "%s is the gate's own path %s, or in front of it: choose another, such as /_sallyport/ask",
				check.Quote(s.Path), check.Quote(path))
		}
	}
	for n := range l.file.Routes {
		for _, e := range l.file.Routes[n].endpoints() {
			refuse(e.Path)
		}
	}
	if path := l.file.Keys.PublicPath; path != "" {
		refuse(path)
	}
}
