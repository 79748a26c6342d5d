package flow

import (
	"slices"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// SessionSettings are the session cookie's attributes and what a session does besides proving who it is.
type SessionSettings struct {
	SessionCookieName string         `yaml:"session_cookie_name"` // default session_ and 8 hex digits of the issuer, client and audience
	SessionCookie     CookieSettings `yaml:",inline" prefix:"session_cookie_"`
	RefreshTokens     bool           `yaml:"refresh_tokens" default:"true"`
	Reverify          bool           `yaml:"reverify" default:"false"` // the tokens of a session are verified at each request
	DisableSession    []Method       `yaml:"disable_session"`          // flows whose success begins no session
	TrustedOrigins    []string       `yaml:"trusted_origins"`          // besides the request's own, for an Upgrade that a cookie or Basic authenticates
}

// defaultAudience is what session_audience is where it isn't written.
const defaultAudience = "default"

// A loginID is what tells the logins of a part apart from those of others.
type loginID struct {
	issuer   string
	clients  []string // client_id
	audience string   // session_audience, and a mark where tokens aren't verified
}

// loginIDOf returns the loginID of settings. Where anybody can write a token, a login that one began proves nothing to routes that
// verify.
func loginIDOf(v view) loginID {
	s := of[oidc.IssuerSettings](v)
	id := loginID{oidc.IssuerOf(s.Issuer), of[oidc.ClientSettings](v).ClientID, of[session.Settings](v).Audience}
	if !s.VerifySignature {
		id.audience += "\x00unsigned"
	}
	if !s.VerifyClaims {
		id.audience += "\x00unjudged"
	}
	return id
}

// cookieNames returns the names of a route's session cookies without their prefix, by the index of client_id. Logins that
// differ in issuer, client or session_audience have cookies of different names: the default name ends with a mark of the
// three, and so does one that is written out where the settings tell more than one login apart. Several says that the route
// has a list of issuers.
func (s *SessionSettings) cookieNames(id loginID, multiIssuer bool) []string {
	base, marked := s.SessionCookieName, multiIssuer || len(id.clients) > 1 || id.audience != defaultAudience
	if base == "" {
		base, marked = "session", true
	}
	names := make([]string, max(1, len(id.clients)))
	for n := range names {
		names[n] = base
		if marked {
			names[n] += "_" + loginDigest(id.issuer, oidc.At(id.clients, n), id.audience)
		}
	}
	return names
}

func newSessionCookies(s *SessionSettings, id loginID, multiIssuer bool) (all []cookie) {
	for _, name := range s.cookieNames(id, multiIssuer) {
		all = append(all, newCookie(name, s.SessionCookie))
	}
	return all
}

// checkSession judges the settings of the session's cookie and of logouts.
func checkSession(v view, c check.Checker, x *kindContext) {
	s, login := of[SessionSettings](v), of[AuthorizationCodeSettings](v)
	c.Must("disable_session", x.loginsBeginSession || of[LoginSettings](v).LoginAction != "redirect",
		"without a session every page would begin a new login: take authorization_code out, or write login_action: response or upstream")
	c.One("session_cookie_name", s.SessionCookieName, check.CookieName)
	c.Must("session_cookie_name", s.SessionCookieName == "" || s.SessionCookieName != login.AuthorizationCookieName,
		"the login cookie has this name, too: choose another one")
	s.SessionCookie.check(c, "session_cookie_", &x.Route)
	if s.SessionCookie.SameSite == "Strict" {
		c.Warn("session_cookie_same_site", "with Strict a browser that comes by a link, or from the provider after a login, "+
			"comes without its session: Lax is safe, too")
	}
	if !s.SessionCookie.HTTPOnly {
		c.Warn("session_cookie_http_only", "scripts of the page can read the session cookie")
	}
	c.Each("trusted_origins", s.TrustedOrigins, check.Origin)
	of[LogoutSettings](v).check(c, &x.Route)
	if x.logsIn && len(x.Paths) > 0 {
		s.checkCookieReach(c, &x.Route)
	}
}

// checkSessionCookieReach refuses a session cookie that browsers never send where it is needed: each page would begin another login.
func (s *SessionSettings) checkCookieReach(c check.Checker, r *check.Route) {
	const key = "session_cookie_path"
	reached := slices.ContainsFunc(r.Paths, func(path string) bool {
		return s.SessionCookie.reaches(path) || check.PathCovers(path, s.SessionCookie.Path)
	})
	c.Must(key, reached, "a browser doesn't send the cookie to %s, so each page would begin another login: write / or a path above that",
		strings.Join(r.Paths, ", "))
	if logout := logoutPath(r.Paths[0]); reached && !s.SessionCookie.reaches(logout) {
		c.Warn(key, "a browser doesn't send the cookie to %s, so nobody can log out there: write / or a path above that", logout)
	}
}
