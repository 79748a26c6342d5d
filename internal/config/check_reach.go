package config

import (
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/flow"
)

// checkCookieReach refuses cookies that the browser would never send where they are needed: each login would begin another one.
func (r *Route) checkCookieReach() {
	b, s := r.block, &r.OIDC.Flow
	if !s.LogsIn() || len(r.Route.Paths) == 0 {
		return
	}
	for _, own := range s.OwnPaths(r.Route.Paths[0]) {
		b.must("authorization_cookie_path", own.Endpoint != "callback" || s.AuthorizationCookiePath == "/" || pathCovers(s.AuthorizationCookiePath, own.Path),
			"a browser doesn't send the cookie to %s, where logins end: write / or a path above that", own.Path)
	}
	reaches := func(path string) bool {
		return s.SessionCookiePath == "/" || pathCovers(s.SessionCookiePath, path) || pathCovers(path, s.SessionCookiePath)
	}
	b.must("session_cookie_path", slices.ContainsFunc(r.Route.Paths, reaches),
		"a browser doesn't send the cookie to %s, so each page would begin another login: write / or a path above that", strings.Join(r.Route.Paths, ", "))
	logout := flow.PathBelow(r.Route.Paths[0], "oauth2/logout")
	if slices.ContainsFunc(r.Route.Paths, reaches) && !pathCovers(s.SessionCookiePath, logout) {
		b.warn("session_cookie_path", "a browser doesn't send the cookie to %s, so nobody can log out there: write / or a path above that", logout)
	}
	r.checkPublicURL()
}

// checkPublicURL compares the origin that clients see with the hosts and with what makes a browser refuse a cookie there.
func (r *Route) checkPublicURL() {
	b, s := r.block, &r.OIDC.Flow
	u, err := url.Parse(r.Route.PublicURL)
	if err != nil || u.Host == "" {
		return
	}
	for key, secure := range map[string]*bool{"session_cookie_secure": s.SessionCookieSecure, "authorization_cookie_secure": s.AuthorizationCookieSecure} {
		b.must(key, u.Scheme == "https" || secure == nil || !*secure || auth.Loopback(r.Route.PublicURL),
			"browsers refuse Secure cookies at %s: take it out, or write a public_url with https", r.Route.PublicURL)
	}
	found := func(host string) bool { return hostCovers(host, u.Hostname()) }
	if len(r.Route.Hosts) > 0 && !slices.ContainsFunc(r.Route.Hosts, found) {
		b.warn("public_url", "hosts has no %s, so a request that comes with that Host header finds no route: add it, unless the proxy in front sends another",
			u.Hostname())
	}
}
