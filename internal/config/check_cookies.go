package config

import (
	"net/url"
	"reflect"
	"slices"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/flow"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// A cookieUse is one session cookie that a route reads and sets.
type cookieUse struct {
	part   *Route // the route with the oidc block of one issuer
	name   string
	client string
	chunk  int // with session_storage cookie: a session may take several

	like *cookieUse // the first use of the name that has the same settings
}

// checkSessionCookies checks routes whose session cookies are one cookie to a browser. A cookie holds one login, so all routes that read it
// need the same store, secret, timeouts and attributes. Otherwise one route would end the sessions of another.
func checkSessionCookies(routes []Route) {
	var uses []cookieUse
	for i := range routes {
		for _, part := range routes[i].perIssuer() {
			if !part.HasOIDC || part.OIDC.Flow.Client.Issuer == "" || !part.OIDC.Flow.HasSessions() {
				continue
			}
			s := &part.OIDC.Flow
			for n, name := range s.SessionCookieNames(len(routes[i].Issuers) > 0) {
				for chunk := range s.SessionChunks() {
					uses = append(uses, cookieUse{
						part: &part, name: session.ChunkName(name, chunk), client: oidc.At(s.Client.ClientID, n), chunk: chunk,
					})
				}
			}
		}
	}
	before := map[string]*usedCookies{}
	for i := range uses {
		u := &uses[i]
		if before[u.name] == nil {
			before[u.name] = newUsedCookies()
		}
		for _, o := range before[u.name].add(u) {
			if u.overlaps(o) && u.complain(o) {
				break
			}
		}
	}
}

// overlaps reports whether a browser can send both cookies with one request, or one in place of the other.
func (u *cookieUse) overlaps(other *cookieUse) bool {
	a, b := u.part, other.part
	path, otherPath := a.OIDC.Flow.SessionCookie.Path, b.OIDC.Flow.SessionCookie.Path
	if !check.PathCovers(path, otherPath) && !check.PathCovers(otherPath, path) {
		return false
	}
	return a.cookieReaches(b) || b.cookieReaches(a)
}

// cookieReaches reports whether a browser sends the route's session cookie to a host of the other route.
func (r *Route) cookieReaches(other *Route) bool {
	if domain := r.OIDC.Flow.SessionCookie.Domain; domain != "" {
		return hostsOverlap([]string{domain, "*." + domain}, other.browserHosts())
	}
	return hostsOverlap(r.browserHosts(), other.browserHosts())
}

// browserHosts returns the hosts at which browsers see a route. An empty list is every host.
func (r *Route) browserHosts() []string {
	if u, err := url.Parse(r.Route.PublicURL); err == nil && u.Hostname() != "" {
		return []string{strings.ToLower(u.Hostname())}
	}
	return r.Route.Hosts
}

// hostsOverlap reports whether two lists of hosts have a host in common. An empty list is every host.
func hostsOverlap(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(x string) bool {
		return slices.ContainsFunc(b, func(y string) bool { return check.HostCovers(x, y) || check.HostCovers(y, x) })
	})
}

// complain reports the settings in which two routes with one cookie differ. It returns false if there are none.
func (u *cookieUse) complain(other *cookieUse) bool {
	a, b := &u.part.OIDC.Flow, &other.part.OIDC.Flow
	if u.chunk == other.chunk && u.chunk > 0 {
		return false // their first chunks are compared
	}
	if oidc.IssuerOf(a.Client.Issuer) != oidc.IssuerOf(b.Client.Issuer) || u.client != other.client {
		u.report(other, "session_cookie_name", "for another issuer or client, but a cookie holds one login: choose another name")
		return true
	}
	if u.chunk != other.chunk {
		u.report(other, "session_cookie_name", "for a part of a session: choose another name")
		return true
	}
	differ := false
	for _, c := range sharedBySessions(a, b) {
		if !c.equal {
			differ = true
			u.report(other, c.key, "and another value: write the same in both, or give one a session_cookie_name of its own")
		}
	}
	return differ
}

// report reports a difference in a key, with the places of both values. If both routes inherit one value, it has the places of the routes.
func (u *cookieUse) report(other *cookieUse, key, text string) {
	entry, otherMark := u.part.block.Find(key), other.part.block.Find(key).Mark
	mark := entry.Mark
	if mark == otherMark {
		mark, otherMark = u.part.block.Home, other.part.block.Home
	}
	if !entry.Bad {
		u.part.block.Problemf(mark, "%s: the route at %s has the same session cookie %s %s",
			key, otherMark.From(mark), check.Quote(u.name), text)
	}
}

// A comparison reports whether two routes have equal values of a setting.
type comparison struct {
	key   string
	equal bool
}

// sharedBySessions compares the settings in which routes with one session cookie must agree.
func sharedBySessions(a, b *flow.Settings) []comparison {
	s, t := &a.Session, &b.Session
	return []comparison{
		{"session_storage", s.Storage == t.Storage},
		{"session_secret", slices.Equal(s.Secret, t.Secret)},
		{"redis", s.Storage != "redis" || t.Storage != "redis" || reflect.DeepEqual(s.Redis, t.Redis)},
		{"session_idling_timeout", s.IdlingTimeout == t.IdlingTimeout},
		{"session_rolling_timeout", s.RollingTimeout == t.RollingTimeout},
		{"session_absolute_timeout", s.AbsoluteTimeout == t.AbsoluteTimeout},
		{"session_bind", sameNames(a.SessionSettings.Bind, b.SessionSettings.Bind)},
		{"session_remember", s.Remember == t.Remember},
		{"session_remember_cookie_name", a.RememberCookieName == b.RememberCookieName},
		{"session_remember_rolling_timeout", s.RememberRollingTimeout == t.RememberRollingTimeout},
		{"session_remember_absolute_timeout", s.RememberAbsoluteTimeout == t.RememberAbsoluteTimeout},
		{"session_near_cache", s.NearCache == t.NearCache},
		{"session_cookie_path", a.SessionCookie.Path == b.SessionCookie.Path},
		{"session_cookie_domain", a.SessionCookie.Domain == b.SessionCookie.Domain},
		{"session_cookie_same_site", a.SessionCookie.SameSite == b.SessionCookie.SameSite},
		{"session_cookie_http_only", a.SessionCookie.HTTPOnly == b.SessionCookie.HTTPOnly},
		{"session_cookie_secure", reflect.DeepEqual(a.SessionCookie.Secure, b.SessionCookie.Secure)},
		{"session_cookie_single_process", s.CookieSingleProcess == t.CookieSingleProcess},
		{"refresh_tokens", a.RefreshTokens == b.RefreshTokens},
	}
}

// sameNames reports whether two lists have the same names, in any order.
func sameNames(a, b []string) bool {
	sorted := func(list []string) []string { return slices.Compact(slices.Sorted(slices.Values(list))) }
	return slices.Equal(sorted(a), sorted(b))
}
