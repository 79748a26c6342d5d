package flow

import (
	"slices"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// SessionSettings are the attributes of the session cookie, and what sessions do in addition to authentication.
type SessionSettings struct {
	SessionCookieName  string         `yaml:"session_cookie_name"` // default: session_ and 8 hex digits of issuer, client and audience
	SessionCookie      CookieSettings `yaml:",inline" prefix:"session_cookie_"`
	RememberCookieName string         `yaml:"session_remember_cookie_name" default:"remember"` // a digest of the cookie's name is appended
	RefreshTokens      bool           `yaml:"refresh_tokens" default:"true"`
	Reverify           bool           `yaml:"reverify" default:"false"`             // verify the tokens of a session at each request
	CloseStreams       bool           `yaml:"session_close_streams" default:"true"` // a stream ends with its session
	DisableSession     []Method       `yaml:"disable_session"`                      // flows whose success begins no session
	// Bind has the attributes in which a request must equal the one that began the session.
	Bind []string `yaml:"session_bind" enum:"ip,scheme,user-agent"`
	// EnforceSameSubject says that a login ends the browser's logins of other subjects at the same issuer.
	EnforceSameSubject bool `yaml:"session_enforce_same_subject" default:"false"`
	// TrustedOrigins may, in addition to the request's own origin, send an Upgrade that a cookie or Basic authenticates.
	TrustedOrigins []string `yaml:"trusted_origins"`
}

// defaultAudience is the default of session_audience.
const defaultAudience = "default"

// A loginID distinguishes the logins of a part from those of other parts.
type loginID struct {
	issuer   string
	clients  []string // client_id
	audience string   // session_audience, with a mark if tokens are not verified
}

// loginIDOf returns the loginID of settings. On a route that does not verify tokens anyone can create a token, so its logins
// must not count on routes that do.
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
// differ in issuer, client or session_audience have cookies of different names: the default name ends with a digest of the
// three. So does a configured name if the settings distinguish more than one login. multiIssuer says whether the route has a
// list of issuers.
func (s *SessionSettings) cookieNames(id loginID, multiIssuer bool) []string {
	base, withDigest := s.SessionCookieName, multiIssuer || len(id.clients) > 1 || id.audience != defaultAudience
	if base == "" {
		base, withDigest = "session", true
	}
	names := make([]string, max(1, len(id.clients)))
	for n := range names {
		names[n] = base
		if withDigest {
			names[n] += "_" + loginDigest(id.issuer, oidc.At(id.clients, n), id.audience)
		}
	}
	return names
}

// refreshes reports whether the tokens of sessions are refreshed. With storage cookie a refresh needs a single process, because each
// process would use the refresh token in the cookie.
func (s *SessionSettings) refreshes(storage *session.Settings) bool {
	return s.RefreshTokens && (storage.Storage != "cookie" || storage.CookieSingleProcess)
}

func newSessionCookies(s *SessionSettings, id loginID, multiIssuer bool) (all []cookie) {
	for _, name := range s.cookieNames(id, multiIssuer) {
		all = append(all, newCookie(name, s.SessionCookie))
	}
	return all
}

// rememberNames returns the names of a route's remember cookies without their prefix, by the index of client_id: each has the digest of the
// session cookie to which it belongs. It returns nil if sessions aren't remembered.
func (s *SessionSettings) rememberNames(v view, id loginID, multiIssuer bool) (names []string) {
	if !of[session.Settings](v).Remember {
		return nil
	}
	for n, name := range s.cookieNames(id, multiIssuer) {
		names = append(names, s.RememberCookieName+"_"+loginDigest(id.issuer, oidc.At(id.clients, n), id.audience+"\x00"+name))
	}
	return names
}

// checkSession reports mistakes in the settings of sessions and logouts.
func checkSession(v view, c check.Checker, x *kindContext) {
	s, login := of[SessionSettings](v), of[AuthorizationCodeSettings](v)
	c.Must("disable_session", x.loginsBeginSession || of[LoginSettings](v).LoginAction != "redirect",
		"without a session every page would begin a new login: take authorization_code out, or write login_action: response or upstream")
	c.One("session_cookie_name", s.SessionCookieName, check.CookieName)
	c.Must("session_cookie_name", s.SessionCookieName == "" || s.SessionCookieName != login.AuthorizationCookieName,
		"the login cookie has this name too: choose another one")
	c.Must("session_enforce_same_subject", !s.EnforceSameSubject || of[session.Settings](v).Storage != "cookie",
		"other logins in cookies can't be ended: write session_storage: redis or memory")
	c.One("session_remember_cookie_name", s.RememberCookieName, check.CookieName)
	s.SessionCookie.check(c, "session_cookie_", &x.Route)
	if c.IsSet("refresh_tokens") && s.RefreshTokens && !s.refreshes(of[session.Settings](v)) {
		c.Warn("refresh_tokens", "with session_storage: cookie tokens are refreshed only with session_cookie_single_process: true, "+
			"so a session ends with its access token")
	}
	if s.SessionCookie.SameSite == "Strict" {
		c.Warn("session_cookie_same_site", "with Strict a browser sends no session when a link, "+
			"or the provider after a login, leads it here: Lax is safe, too")
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

// checkCookieReach reports a session cookie that browsers do not send to the route, so that each page would begin another
// login.
func (s *SessionSettings) checkCookieReach(c check.Checker, r *check.Route) {
	const key = "session_cookie_path"
	reached := slices.ContainsFunc(r.Paths, func(path string) bool {
		return s.SessionCookie.reaches(path) || check.PathCovers(path, s.SessionCookie.Path)
	})
	c.Must(key, reached, "a browser doesn't send the cookie to %s, so each page would begin another login: write / or a path above that",
		strings.Join(r.Paths, ", "))
	if logout := logoutPath(r.Paths[0]); reached && !s.SessionCookie.reaches(logout) {
		c.Warn(key, "a browser doesn't send the cookie to %s, so users can't log out there: write / or a path above that", logout)
	}
}
