package config

import (
	"fmt"
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/forwardauth"
	"sallyport/internal/strict"
)

// checkForwardAuth checks the listeners whose clients are proxies that ask, and that each route works with them. A route needs an upstream
// unless all listeners are such.
func (l *loader) checkForwardAuth() {
	c, forwards := l.process.Checker(), false
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
			for _, r := range l.file.perIssuer() {
				r.checkAsked(listen.ForwardAuth.Proxy, can)
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
		if forwards && decoded && !r.block.IsSet("upstream") {
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
	refuse("upstream_dpop", o.Headers.UpstreamDPoP,
		"the upstream needs a proof for each request, which only the gate could make: take it out")
	r.checkAnswerHeaders(by, can)
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
		for key, bad := range map[string]bool{"paths": len(rule.Paths) > 0, "methods": len(rule.Methods) > 0, "allow": rule.Allow != ""} {
			if bad {
				complain(rule.block, key, "its questions don't have the path and the method of the request: take it out, "+
					"or write forward_auth: nginx")
			}
		}
	}
}

// checkAnswerHeaders refuses headers for the client that the proxy doesn't pass on, or takes for those of the upstream.
func (r *Route) checkAnswerHeaders(by string, can *forwardauth.Dialect) {
	b, up := r.block, r.OIDC.Headers.SentUpstream()
	for _, sent := range r.OIDC.Headers.SentDownstream() {
		switch {
		case sent.Name == "":
		case can.NoHeaders:
			b.Complain(sent.Key, "%s asks at a listener (forward_auth), and it doesn't pass the header on to the client: take it out", by)
		case can.OneHeader && slices.ContainsFunc(up, func(o check.SentHeader) bool { return o.Is(&sent) }):
			b.Complain(sent.Key, "%s asks at a listener (forward_auth), and it can't tell the header from the one of this name "+
				"for the upstream: choose another name", by)
		}
	}
}
