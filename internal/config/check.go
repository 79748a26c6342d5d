package config

import (
	"fmt"
	"net"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/flow"
	"sallyport/internal/proxy"
)

var (
	routeFields = fields(reflect.TypeFor[proxy.RouteSettings]())
	oidcNames   = append(keys(fields(reflect.TypeFor[OIDC]())), keys(kong)...)
	hostPattern = regexp.MustCompile(`^(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$`)
	token       = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$") // RFC 9110 §5.6.2
	cookieName  = token
)

// checkFile finds what a single value can't tell.
func (r *reader) checkFile(f *File) {
	for _, l := range f.Listen {
		if _, _, err := net.SplitHostPort(l.Address); err != nil && l.Address != "" {
			r.problems = append(r.problems, Problem{File: r.root(f), Line: 1, Text: fmt.Sprintf("listen: expected host:port such as 127.0.0.1:8000, got %q", l.Address)})
		}
	}
	if _, _, err := net.SplitHostPort(f.Admin.Listen); err != nil && f.Admin.Listen != "off" {
		r.problems = append(r.problems, Problem{File: r.root(f), Line: 1, Text: fmt.Sprintf("admin.listen: expected host:port or off, got %q", f.Admin.Listen)})
	}
	for i := range f.Routes {
		r.checkRoute(&f.Routes[i], f)
	}
	r.checkClaims(f.Routes)
}

func (r *reader) root(f *File) string {
	if len(f.Routes) > 0 {
		return r.files[f.Routes[0].route.place]
	}
	return ""
}

func (r *reader) checkRoute(route *Route, f *File) {
	s := &route.Route
	c := checker{r, route.route}
	c.paths("paths", s.Paths)
	c.hosts("hosts", s.Hosts)
	c.url("upstream", s.Upstream.URL, "http", "https", "h2c")
	c.origin("public_url", s.PublicURL)
	for _, rule := range route.Rules {
		c := checker{r, rule.block}
		c.paths("paths", rule.Paths)
		c.hosts("hosts", rule.Hosts)
		for _, m := range rule.Methods {
			c.must("methods", m != "" && strings.ToUpper(m) == m && token.MatchString(m), "expected upper-case methods such as GET, got %q", m)
		}
		c.audience(rule.AudienceRequired)
	}
	if !route.HasOIDC {
		open := slices.ContainsFunc(route.Rules, func(rule Rule) bool {
			return rule.Auth == "off" && len(rule.Paths)+len(rule.Hosts)+len(rule.Methods) == 0
		})
		if !open {
			r.fail(route.route.place, "the route has no oidc: block, so nobody could pass: write oidc: {issuer: ..., client_id: ...}, or, if everybody may, rules: [{auth: off}]")
		}
		return
	}
	r.checkOIDC(route, f)
}

func (r *reader) checkOIDC(route *Route, f *File) {
	c := checker{r, route.oidc}
	o, login := &route.OIDC, &route.OIDC.Flow.AuthorizationCodeSettings
	client := &o.Flow.Client
	if client.Issuer == "" {
		c.must("issuer", false, "is missing: write the issuer's URL")
	} else {
		c.url("issuer", client.Issuer, "https", "http")
		c.must("issuer", !strings.ContainsAny(client.Issuer, "?#"), "expected a URL without query and fragment, got %q", client.Issuer)
	}
	c.must("client_id", len(client.ClientID) > 0, "is missing: write the identifier that the issuer knows this client by")
	c.must("client_id", len(client.ClientID) < 2, "this version takes one client for each route, got %d", len(client.ClientID))
	c.must("client_secret", len(client.ClientSecret) <= len(client.ClientID), "there are more secrets than clients")
	c.must("client_auth", len(client.ClientSecret) > 0 || len(client.ClientAuth) == 0 || client.ClientAuth[0] == "none", "needs client_secret")
	c.aligned("discovery_headers", len(client.DiscoveryHeadersNames), len(client.DiscoveryHeadersValues))
	c.aligned("authorization_query_args", len(login.AuthorizationQueryArgsNames), len(login.AuthorizationQueryArgsValues))
	c.must("upstream_headers_claims", len(o.Headers.UpstreamHeadersClaims) == len(o.Headers.UpstreamHeadersNames), "needs as many entries as upstream_headers_names")
	c.must("auth_methods", !slices.Contains(o.Flow.AuthMethods, "authorization_code") || slices.Contains(o.Flow.AuthMethods, "session"),
		"authorization_code needs session too, or every page would begin a new login: add session")
	for _, name := range append(slices.Clone(client.DiscoveryHeadersNames), o.Headers.UpstreamHeadersNames...) {
		c.header("upstream_headers_names", name)
	}
	c.headers(&o.Headers)
	c.sessions(o)
	c.audience(o.Authz.AudienceRequired)
	for _, uri := range login.RedirectURI {
		if !strings.HasPrefix(uri, "/") {
			c.url("redirect_uri", uri, "https", "http")
		}
	}
	for _, origin := range o.Flow.TrustedOrigins {
		c.origin("trusted_origins", origin)
	}
	r.warnOIDC(route, f)
}

// A checker notes problems at a block's keys.
type checker struct {
	*reader
	block
}

func (c checker) must(key string, holds bool, format string, args ...any) {
	if !holds {
		c.fail(c.at(key), "%s: %s", key, fmt.Sprintf(format, args...))
	}
}

func (c checker) paths(key string, paths []string) {
	for _, p := range paths {
		switch {
		case !strings.HasPrefix(p, "/"):
			c.must(key, false, "expected a path that begins with /, got %q", p)
		case strings.ContainsAny(p, "*?#%\\;"):
			c.must(key, false, "expected a plain path, got %q: a path is a prefix of whole segments, written decoded", p)
		case strings.Contains(p, "//") || slices.ContainsFunc(strings.Split(p, "/"), func(s string) bool { return s == "." || s == ".." }):
			c.must(key, false, "expected a path without empty and dot segments, got %q", p)
		}
	}
}

func (c checker) hosts(key string, hosts []string) {
	for _, h := range hosts {
		ip := net.ParseIP(h) != nil
		c.must(key, ip || hostPattern.MatchString(h), "expected a lower-case host without port, such as app.example.com or *.example.com, got %q", h)
	}
}

func (c checker) url(key, value string, schemes ...string) {
	u, err := url.Parse(value)
	if value == "" {
		return
	}
	c.must(key, err == nil && slices.Contains(schemes, u.Scheme) && u.Host != "", "expected a URL such as %s://host/, got %q", schemes[0], value)
	if err == nil {
		c.must(key, u.User == nil, "expected a URL without user information")
	}
}

func (c checker) origin(key, value string) {
	if value == "" {
		return
	}
	u, err := url.Parse(value)
	c.must(key, err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && strings.Trim(u.Path, "/") == "" && u.RawQuery == "" && u.User == nil && strings.ToLower(u.Host) == u.Host,
		"expected scheme://host such as https://app.example.com, got %q", value)
}

func (c checker) aligned(what string, names, values int) {
	c.must(what+"_names", names == values, "needs as many entries as %s_values", what)
}

// fixedHeaders can't be set by configuration: they belong to the connection or to the message.
var fixedHeaders = []string{"connection", "host", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive", "proxy-connection", "cookie"}

func (c checker) header(key, name string) {
	c.must(key, token.MatchString(name) && !slices.Contains(fixedHeaders, strings.ToLower(name)), "%q can't be set as a header", name)
}

func (c checker) headers(h *proxy.HeaderSettings) {
	for _, m := range h.UpstreamHeaders {
		c.header("upstream_headers", m.Header)
		c.must("upstream_headers", !strings.EqualFold(m.Header, "authorization"), "Authorization carries the access token: see upstream_access_token_header")
	}
	if h.UpstreamIDTokenHeader != "" {
		c.header("upstream_id_token_header", h.UpstreamIDTokenHeader)
	}
	if h.UpstreamAccessTokenHeader != nil {
		name, scheme, found := strings.Cut(*h.UpstreamAccessTokenHeader, ":")
		c.header("upstream_access_token_header", name)
		c.must("upstream_access_token_header", !found || token.MatchString(scheme), "expected header or header:scheme, got %q", *h.UpstreamAccessTokenHeader)
	}
}

func (c checker) sessions(o *OIDC) {
	s, cookies, login := &o.Flow.Session, &o.Flow.SessionSettings, &o.Flow.AuthorizationCodeSettings
	for _, secret := range s.Secret {
		c.must("session_secret", len(secret) >= 32, "expected 32 bytes or more, got %d: write the output of openssl rand -base64 32", len(secret))
	}
	for key, name := range map[string]string{"session_cookie_name": cookies.SessionCookieName, "authorization_cookie_name": login.AuthorizationCookieName} {
		c.must(key, name == "" || cookieName.MatchString(name), "%q is no cookie name (RFC 6265 §4.1.1)", name)
		c.must(key, !strings.HasPrefix(name, "__Host-") && !strings.HasPrefix(name, "__Secure-"), "leave the prefix out: it is added over https")
	}
	insecure := func(b *bool) bool { return b != nil && !*b }
	c.must("session_cookie_same_site", cookies.SessionCookieSameSite != "None" || !insecure(cookies.SessionCookieSecure), "None needs a Secure cookie")
	c.must("authorization_cookie_same_site", login.AuthorizationCookieSameSite != "Strict", "Strict would keep the cookie back when the provider sends the browser here: use Lax")
	_, host := c.keys["redis"]
	c.must("redis", s.Storage == "redis" || !host, "is set, but session_storage is %s: write session_storage: redis", s.Storage)
	c.must("redis", s.Redis.Socket == "" || s.Redis.Host == "127.0.0.1", "write either socket or host")
}

func (c checker) audience(required []string) {
	c.must("audience_required", len(required) < 2 || !slices.Contains(required, "any"), "any stands alone: it switches the check off")
}

// checkClaims refuses two routes that answer for one host and path, the gate's own paths included.
func (r *reader) checkClaims(routes []Route) {
	taken := map[string]*Route{}
	claim := func(route *Route, host, path, key string) {
		k := host + " " + path
		other := taken[k]
		if other == nil {
			taken[k] = route
			return
		}
		if host == "" {
			host = "any host"
		}
		r.fail(route.route.at(key), "%s: %s on %s belongs to the route at %s already: give one of them another host or path", key, path, host, other.Place())
	}
	for i := range routes {
		route := &routes[i]
		hosts := route.Route.Hosts
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		for _, host := range hosts {
			for _, path := range route.Route.Paths {
				claim(route, host, "/"+strings.Trim(path, "/"), "paths")
			}
			if route.HasOIDC && len(route.Route.Paths) > 0 {
				for _, name := range []string{"oauth2/callback", "oauth2/logout"} {
					claim(route, host, flow.PathBelow(route.Route.Paths[0], name), "paths")
				}
			}
		}
	}
}

// warnOIDC notes what works and that one should know.
func (r *reader) warnOIDC(route *Route, f *File) {
	o := &route.OIDC
	warn := func(when bool, key, text string) {
		if n := route.oidc.at(key); when {
			f.warnings = append(f.warnings, Problem{File: r.files[n], Line: n.Line, Text: key + ": " + text})
		}
	}
	pkce := o.Flow.RequireProofKeyForCodeExchange
	warn(pkce != nil && !*pkce, "require_proof_key_for_code_exchange", "without PKCE a stolen authorization code can be used by anybody")
	warn(!o.Flow.Client.SSLVerify, "ssl_verify", "the issuer's certificate isn't verified: anybody on the way can be the issuer")
	warn(o.Flow.AllowInsecureHTTP, "allow_insecure_http", "tokens and cookies travel in the clear")
	warn(o.Errors.DisplayErrors, "display_errors", "inner detail is shown to clients: for debugging only")
	warn(slices.Equal(o.Authz.AudienceRequired, []string{"any"}), "audience_required", "tokens that the issuer made for any other service pass here")
	warn(strings.HasPrefix(o.Flow.Client.Issuer, "http:") && !auth.Loopback(o.Flow.Client.Issuer), "issuer", "is reached without TLS: anybody on the way can be the issuer")
}

// Warnings are what works and that one should know, each with its place.
func (f *File) Warnings() []string {
	var all []string
	for _, w := range f.warnings {
		all = append(all, w.Error())
	}
	for _, p := range f.TrustedProxies {
		if p.Bits() == 0 {
			all = append(all, "trusted_proxies: "+p.String()+" lets every client say who it is")
		}
	}
	return all
}
