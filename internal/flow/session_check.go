package flow

import (
	"slices"
	"strings"

	"sallyport/internal/check"
)

// checkSession judges the settings of the session's cookie and of logouts.
func checkSession(s *Settings, c check.Checker, x *kindContext) {
	c.Must("disable_session", x.loginsBeginSession || s.LoginAction != "redirect",
		"without a session every page would begin a new login: take authorization_code out, or write login_action: response or upstream")
	c.One("session_cookie_name", s.SessionCookieName, check.CookieName)
	c.Must("session_cookie_name", s.SessionCookieName == "" || s.SessionCookieName != s.AuthorizationCookieName,
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
	s.LogoutSettings.check(c, &x.Route)
	if x.logsIn && len(x.Paths) > 0 {
		s.checkSessionCookieReach(c, &x.Route)
	}
}

// checkSessionCookieReach refuses a session cookie that browsers never send where it is needed: each page would begin another login.
func (s *Settings) checkSessionCookieReach(c check.Checker, r *check.Route) {
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

// check judges the settings of logouts.
func (s *LogoutSettings) check(c check.Checker, r *check.Route) {
	c.Each("logout_redirect_uri", s.LogoutRedirectURI, check.Target)
	c.Must("logout_methods", len(s.LogoutMethods) > 0, "it is empty: write POST, or take it out")
	c.One("logout_query_arg", s.LogoutQueryArg, check.ParamName)
	c.One("logout_post_arg", s.LogoutPostArg, check.ParamName)
	c.One("logout_uri_suffix", s.LogoutURISuffix, r.CheckSuffix)
	c.One("revocation_token_param_name", s.RevocationTokenParamName, check.ParamName)
}
