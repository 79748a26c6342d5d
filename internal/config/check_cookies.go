package config

import (
	"net/url"
	"reflect"
	"slices"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/flow"
	"sallyport/internal/oidc"
)

// A cookieUse is one session cookie that a route reads and sets.
type cookieUse struct {
	part   *Route // the route with the oidc block of one issuer
	name   string
	client string
}

// checkSessionCookies judges routes whose session cookies a browser takes for one: a cookie holds one login, and all that
// read it keep it in one store, for the same time and in the same way, or one route would end what another keeps alive.
func checkSessionCookies(routes []Route) {
	var uses []cookieUse
	for i := range routes {
		for _, part := range routes[i].parts() {
			if !part.HasOIDC || part.OIDC.Flow.Client.Issuer == "" || !part.OIDC.Flow.HasSessions() {
				continue
			}
			s := &part.OIDC.Flow
			for n, name := range s.SessionCookieNames(len(routes[i].Issuers) > 0) {
				uses = append(uses, cookieUse{&part, name, oidc.At(s.Client.ClientID, n)})
			}
		}
	}
	before := map[string][]*cookieUse{}
	for i := range uses {
		u := &uses[i]
		for _, o := range before[u.name] {
			if u.meets(o) && u.complain(o) {
				break
			}
		}
		before[u.name] = append(before[u.name], u)
	}
}

// meets reports whether a browser can send both cookies with one request, or one in place of the other.
func (u *cookieUse) meets(other *cookieUse) bool {
	a, b := u.part, other.part
	ours, theirs := a.OIDC.Flow.SessionCookie.Path, b.OIDC.Flow.SessionCookie.Path
	if !check.PathCovers(ours, theirs) && !check.PathCovers(theirs, ours) {
		return false
	}
	return a.cookieReaches(b) || b.cookieReaches(a)
}

// cookieReaches reports whether a browser sends the route's session cookie to a host of the other route.
func (r *Route) cookieReaches(other *Route) bool {
	if domain := r.OIDC.Flow.SessionCookie.Domain; domain != "" {
		return hostsMeet([]string{domain, "*." + domain}, other.browserHosts())
	}
	return hostsMeet(r.browserHosts(), other.browserHosts())
}

// browserHosts are the hosts at which browsers see a route; none is every host.
func (r *Route) browserHosts() []string {
	if u, err := url.Parse(r.Route.PublicURL); err == nil && u.Hostname() != "" {
		return []string{strings.ToLower(u.Hostname())}
	}
	return r.Route.Hosts
}

func hostsMeet(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(x string) bool {
		return slices.ContainsFunc(b, func(y string) bool { return check.HostCovers(x, y) || check.HostCovers(y, x) })
	})
}

// complain reports where two routes with one cookie differ in what they do with it, and whether they do.
func (u *cookieUse) complain(other *cookieUse) bool {
	a, b := &u.part.OIDC.Flow, &other.part.OIDC.Flow
	if oidc.IssuerOf(a.Client.Issuer) != oidc.IssuerOf(b.Client.Issuer) || u.client != other.client {
		u.report(other, "session_cookie_name", "for another issuer or client, and one cookie holds one login: choose another name")
		return true
	}
	differ := false
	for _, c := range sharedBySessions(a, b) {
		if !c.equal {
			differ = true
			u.report(other, c.key, "and another value here: write the same in both, or give one a session_cookie_name of its own")
		}
	}
	return differ
}

// report names both places: of the key, or where it stands beside all routes, of the routes.
func (u *cookieUse) report(other *cookieUse, key, what string) {
	mine, theirs := u.part.block.Find(key), other.part.block.Find(key).Mark
	at := mine.Mark
	if at == theirs {
		at, theirs = u.part.block.Home, other.part.block.Home
	}
	if !mine.Bad {
		u.part.block.Problemf(at, "%s: the route at %s has the session cookie %s, too, %s", key, theirs.From(at), check.Quote(u.name), what)
	}
}

// A comparison is whether two routes have one setting in common.
type comparison struct {
	key   string
	equal bool
}

// sharedBySessions compares what routes with one cookie must have in common.
func sharedBySessions(a, b *flow.Settings) []comparison {
	s, t := &a.Session, &b.Session
	return []comparison{
		{"session_storage", s.Storage == t.Storage},
		{"session_secret", slices.Equal(s.Secret, t.Secret)},
		{"redis", s.Storage != "redis" || t.Storage != "redis" || reflect.DeepEqual(s.Redis, t.Redis)},
		{"session_idling_timeout", s.IdlingTimeout == t.IdlingTimeout},
		{"session_rolling_timeout", s.RollingTimeout == t.RollingTimeout},
		{"session_absolute_timeout", s.AbsoluteTimeout == t.AbsoluteTimeout},
		{"session_cookie_path", a.SessionCookie.Path == b.SessionCookie.Path},
		{"session_cookie_domain", a.SessionCookie.Domain == b.SessionCookie.Domain},
		{"session_cookie_same_site", a.SessionCookie.SameSite == b.SessionCookie.SameSite},
		{"session_cookie_http_only", a.SessionCookie.HTTPOnly == b.SessionCookie.HTTPOnly},
		{"session_cookie_secure", reflect.DeepEqual(a.SessionCookie.Secure, b.SessionCookie.Secure)},
		{"refresh_tokens", a.RefreshTokens == b.RefreshTokens},
	}
}
