package config

import (
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/authserver"
	"sallyport/internal/check"
	"sallyport/internal/flow"
	"sallyport/internal/mcp"
	"sallyport/internal/strict"
)

// mcpRoute decodes the mcp block of a route.
func (l *loader) mcpRoute(r *Route, p *strict.Pair) {
	v := l.mapping("mcp", p)
	if v == nil {
		return
	}
	r.block.Entries["mcp"] = &strict.Entry{Mark: p.Mark, Set: true}
	r.mcpBlock = strict.NewBlock(l.Report, p.Mark)
	r.MCP = &mcp.Settings{}
	r.mcpBlock.Decode("mcp", v, r.MCP)
	if !r.block.IsSet("upstream.response_header_timeout") {
		r.Route.Upstream.ResponseHeaderTimeout = toolTimeout
	}
}

// toolTimeout is the default of response_header_timeout for an MCP server, which may answer when a tool is done.
const toolTimeout = 10 * time.Minute

// applyMCP gives the settings of an oidc block that aren't written the values that an MCP server needs: its clients send tokens of the
// authorization server and nothing else, and those tokens are not for the server behind the gate. The logins of its users serve the
// authorization endpoint alone, and their refresh tokens belong to the grants.
func applyMCP(b *strict.Block, s *mcp.Settings, o *OIDC) {
	if s == nil {
		return
	}
	set := func(key, value string) {
		if f := oidcShape.ByName[key]; !b.IsSet(key) {
			f.Set(reflect.ValueOf(o).Elem().FieldByIndex(f.Index), value)
		}
	}
	if !b.IsSet("upstream_access_token_header") && o.Flow.Client.TokenExchange == nil {
		o.Headers.UpstreamAccessTokenHeader = nil
	}
	if !b.IsSet("auth_methods") {
		o.Flow.AuthMethods = flow.MCPMethods(s.ByGate())
	}
	if !s.ByGate() {
		return
	}
	set("session_audience", "mcp")
	set("refresh_tokens", "false")
}

// completeMCP completes what the routes that are MCP servers need of the rest of the configuration. It is called when all is decoded, and
// before it is checked.
func (l *loader) completeMCP() {
	f := l.file
	byGate := slices.ContainsFunc(f.Routes, func(r Route) bool { return r.MCP.ByGate() })
	if byGate && f.OAuth2 == nil {
		f.OAuth2 = &authserver.Settings{}
		strict.NewBlock(l.Report, l.process.Home).Decode("oauth2", strict.NewMapping(l.process.Home), f.OAuth2)
	}
	loopback := !slices.ContainsFunc(f.Listen, func(l Listen) bool {
		host, _, err := net.SplitHostPort(l.Address)
		return err != nil || !auth.Loopback("http://"+net.JoinHostPort(host, "80"))
	})
	for i := range f.Routes {
		r := &f.Routes[i]
		if r.MCP == nil || len(r.Route.Paths) == 0 {
			continue
		}
		m := mcp.Route{Settings: *r.MCP, On: true, Loopback: loopback, Hosts: len(r.Route.Hosts) > 0 || r.Route.PublicURL != ""}
		m.Base, m.AtRoot, m.Known = r.Route.Paths[0], f.isOnlyResource(r), r.knownScopes(f.OAuth2)
		if f.OAuth2 != nil && m.ByGate() {
			m.Issuer = f.OAuth2.Issuer
			f.OAuth2.RouteScopes = append(f.OAuth2.RouteScopes, m.Known...)
		}
		r.OIDC.Flow.MCP = m
		for n := range r.Issuers {
			r.Issuers[n].OIDC.Flow.MCP = m
		}
	}
}

// isOnlyResource reports whether no other route is a protected resource on a host of this one.
func (f *File) isOnlyResource(r *Route) bool {
	return !slices.ContainsFunc(f.Routes, func(other Route) bool {
		isResource := other.MCP != nil || other.OIDC.Flow.ProtectedResourceMetadata != nil
		return other.Place != r.Place && isResource && slices.ContainsFunc(other.hosts(), func(h string) bool {
			return slices.Contains(r.hosts(), h)
		})
	})
}

// knownScopes returns the scopes that a client of an MCP server may get: those of the server, of its rules, and of the authorization
// server.
func (r *Route) knownScopes(s *authserver.Settings) []string {
	all := slices.Concat(r.MCP.Scopes, r.OIDC.Authz.ScopesRequired)
	for n := range r.Rules {
		all = append(all, r.Rules[n].ScopesRequired...)
	}
	if s != nil && r.MCP.ByGate() {
		all = append(all, s.Scopes...)
	}
	return auth.MergeScopes(all...)
}

// requireScopes adds the scopes that every call of an MCP server needs, unless its rule has scopes_required. It is called after the rules
// are checked, because the rule that it adds is nobody's mistake.
func (r *Route) requireScopes() {
	if r.MCP == nil {
		return
	}
	needed := []string{strings.Join(r.MCP.Scopes, " ")}
	for n := range r.Rules {
		if rule := &r.Rules[n]; rule.Auth != "off" && len(rule.ScopesRequired) == 0 {
			rule.ScopesRequired = needed
		}
	}
	rest := Rule{Place: r.mcpBlock.Home.String(), block: r.mcpBlock}
	rest.ScopesRequired = needed
	r.Rules = append(r.Rules, rest)
}

// checkMCP checks the mcp blocks of the routes, and what the rest of the configuration says about them.
func (l *loader) checkMCP() {
	issuers := map[string]*Route{} // by oauth2.issuer
	for i := range l.file.Routes {
		r := &l.file.Routes[i]
		for n := range r.Rules {
			r.Rules[n].block.Checker().Must("mcp_tools", r.MCP != nil || len(r.Rules[n].MCPTools) == 0,
				"the route isn't an MCP server: write mcp: {scopes: [...]} beside route:, or take it out")
		}
		if r.MCP == nil {
			continue
		}
		c := r.mcpBlock.Checker()
		r.MCP.Check(c)
		if !r.HasOIDC {
			r.block.Complain("mcp", "its users need a provider: write oidc: {issuer: ..., client_id: ...}")
			continue
		}
		r.block.Checker().Must("paths", len(r.Route.Paths) == 1,
			"mcp: a server has one address, by which its clients know it: write one path, and a route for each other one")
		r.block.Checker().Must("protected_resource_metadata", r.OIDC.Flow.ProtectedResourceMetadata == nil,
			"mcp: publishes the metadata of the route: take one of them out")
		if !r.MCP.ByGate() {
			continue
		}
		for _, part := range r.perIssuer() {
			l.checkLogins(&part)
			part.block.Checker().Must("token_exchange", part.OIDC.Flow.Client.TokenExchange == nil,
				"the provider doesn't know the tokens of this server, so they can't be exchanged there: take it out, or write "+
					"mcp: {authorization_server: provider}")
			for _, method := range flow.MCPMethods(true) {
				part.block.Checker().Must("auth_methods", slices.Contains(part.OIDC.Flow.AuthMethods, method),
					"mcp: needs %s in it: add it, or take auth_methods out", method)
			}
		}
		if issuer := l.file.OAuth2.Issuer; issuer != "" {
			r.checkDiscovery(issuer)
			if first := issuers[issuer]; first != nil {
				r.block.Complain("mcp", "the route at %s has the issuer %s too, and clients would find the endpoints of one of them only: "+
					"take oauth2.issuer out, then each route is an issuer of its own", first.block.Find("mcp").Mark.From(r.block.Find("mcp").Mark),
					issuer)
			}
			issuers[issuer] = r
		}
		if !r.OIDC.Flow.MCP.Hosts && (!r.OIDC.Flow.MCP.Loopback || len(l.file.TrustedProxies) > 0) {
			r.block.Warn("mcp", "the route has no hosts, so only calls to localhost pass: any name could lead to this address "+
				"(DNS rebinding); write hosts or public_url")
		}
	}
}

// maxLogin is the longest session of a login for MCP clients.
const maxLogin = 30 * 24 * time.Hour

// checkLogins complains if the refresh token of a login would be used by a session, too: it may be used only once, and belongs to the
// grant of an MCP client.
func (l *loader) checkLogins(part *Route) {
	c, f := part.block.Checker(), &part.OIDC.Flow
	c.Must("refresh_tokens", !f.RefreshTokens,
		"the refresh token of a login belongs to the MCP client that the person has allowed: take it out")
	c.Must("session_absolute_timeout", f.Session.AbsoluteTimeout > 0 && f.Session.AbsoluteTimeout <= maxLogin,
		"a login serves one MCP client, which is remembered for 30 days: write a time of at most that")
	for _, other := range l.file.perIssuer() {
		o := &other.OIDC.Flow
		shared := other.HasOIDC && other.MCP == nil && o.RefreshTokens && o.Client.Issuer == f.Client.Issuer &&
			o.Session.Audience == f.Session.Audience && slices.ContainsFunc(o.Client.ClientID, func(id string) bool {
			return slices.Contains(f.Client.ClientID, id)
		})
		c.Must("session_audience", !shared, "the sessions of the route at %s would be those of this MCP server, and refresh their tokens: "+
			"take it out", other.block.Find("paths").Mark.From(part.block.Find("session_audience").Mark))
	}
}

// checkDiscovery complains if clients that know the issuer don't find its metadata on this route.
func (r *Route) checkDiscovery(issuer string) {
	u, err := url.Parse(issuer)
	if err != nil {
		return // reported at oauth2.issuer
	}
	covers := func(host string) bool { return check.HostCovers(host, u.Hostname()) }
	if len(r.Route.Hosts) > 0 && !slices.ContainsFunc(r.Route.Hosts, covers) {
		r.block.Complain("mcp", "clients look for the metadata of oauth2.issuer at %s, which isn't one of the route's hosts: "+
			"take oauth2.issuer out, or add the host", u.Host)
	}
	if public := strings.TrimSuffix(r.Route.PublicURL, "/"); public != "" && public != u.Scheme+"://"+u.Host {
		r.block.Complain("mcp", "clients look for the metadata of oauth2.issuer at %s://%s, and public_url is %s: "+
			"take oauth2.issuer out, or write the same origin", u.Scheme, u.Host, public)
	}
}
