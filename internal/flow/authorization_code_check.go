package flow

import (
	"errors"

	"sallyport/internal/check"
)

// checkAuthorizationCode judges the settings of the authorization request and of the login's cookie.
func checkAuthorizationCode(s *Settings, c check.Checker, x *kindContext) {
	c.Must("auth_methods", !x.logsIn || x.hasSessions,
		"authorization_code needs session beside it, or every page would begin a new login: add session")
	c.Each("redirect_uri", s.RedirectURI, x.CheckRedirectURI)
	c.Aligned("authorization_query_args_names", len(s.AuthorizationQueryArgsNames),
		"authorization_query_args_values", len(s.AuthorizationQueryArgsValues))
	c.Each("authorization_query_args_names", s.AuthorizationQueryArgsNames, checkAuthorizationArg)
	c.Each("authorization_query_args_client", s.AuthorizationQueryArgsClient, checkAuthorizationArg)
	if p := s.RequireProofKeyForCodeExchange; p != nil && !*p {
		c.Warn("require_proof_key_for_code_exchange", "without PKCE a stolen authorization code can be used by others")
	}
	if s.AllowInsecureHTTP {
		c.Warn("allow_insecure_http", "logins, cookies and tokens may travel in the clear")
	}
	if !s.VerifyNonce {
		c.Warn("verify_nonce", "INSECURE: an ID token that somebody has stolen can be slipped into a login")
	}
	s.checkLoginCookie(c, x)
}

// checkLoginCookie judges the cookie of logins, which browsers must send to the redirection endpoint.
func (s *Settings) checkLoginCookie(c check.Checker, x *kindContext) {
	const prefix = "authorization_cookie_"
	c.One(prefix+"name", s.AuthorizationCookieName, check.CookieName)
	s.AuthorizationCookie.check(c, prefix, &x.Route)
	c.Must(prefix+"same_site", s.AuthorizationCookie.SameSite != "Strict",
		"with Strict the browser doesn't send the cookie when the provider sends it back here, so no login would end: write Lax")
	if s.ResponseMode == "form_post" {
		c.Must(prefix+"same_site", !c.IsSet(prefix+"same_site") || s.AuthorizationCookie.SameSite == "None",
			"response_mode: form_post is a post of another site, for which the cookie must be None: write None, or take it out")
	}
	if !x.logsIn || len(x.Paths) == 0 {
		return
	}
	for _, path := range redirectPaths(s.RedirectURI, x.Paths[0]) {
		c.Must(prefix+"path", s.AuthorizationCookie.reaches(path),
			"a browser doesn't send the cookie to %s, where logins end: write / or a path above that", path)
	}
}

// authorizationArgs are the parameters of an authorization request that the flow sets itself, and the settings of those that have one.
var authorizationArgs = map[string]string{
	"response_type": "response_type", "response_mode": "response_mode", "client_id": "client_id", "redirect_uri": "redirect_uri",
	"scope": "scopes", "audience": "audience", "max_age": "max_age",
	"state": "", "nonce": "", "code_challenge": "", "code_challenge_method": "", "request": "", "request_uri": "",
}

// checkAuthorizationArg judges a parameter that is added to authorization requests.
func checkAuthorizationArg(name string) error {
	setting, owned := authorizationArgs[name]
	switch {
	case name == "":
		return errors.New("it is empty: write a parameter's name")
	case owned && setting != "":
		return errors.New("it has a setting of its own: write " + setting)
	case owned:
		return errors.New("the login sets it itself: take it out")
	}
	return nil
}
