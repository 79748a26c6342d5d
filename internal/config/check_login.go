package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// ownParameters of an authorization request are set by the flow itself.
var ownParameters = map[string]string{
	"response_type": "response_type", "response_mode": "response_mode", "client_id": "client_id", "redirect_uri": "redirect_uri",
	"scope": "scopes", "audience": "audience", "max_age": "max_age",
	"state": "", "nonce": "", "code_challenge": "", "code_challenge_method": "", "request": "", "request_uri": "",
}

func checkParameter(name string) error {
	setting, owned := ownParameters[name]
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

func checkScope(text string) error {
	if text == "" || strings.ContainsAny(text, " \t\r\n\"\\") {
		return errors.New("one scope is one element (RFC 6749 §3.3): write [openid, profile]")
	}
	return nil
}

func (r *Route) checkLogin() {
	b, s := r.block, &r.OIDC.Flow
	b.must("auth_methods", !s.LogsIn() || s.HasSessions(),
		"authorization_code needs session beside it, or every page would begin a new login: add session")
	b.each("redirect_uri", s.RedirectURI, r.checkRedirectURI)
	b.each("login_redirect_uri", s.LoginRedirectURI, checkTarget)
	b.each("logout_redirect_uri", s.LogoutRedirectURI, checkTarget)
	b.must("disable_session", !slices.Contains(s.DisableSession, "authorization_code") || s.LoginAction != "redirect",
		"without a session every page would begin a new login: take authorization_code out, or write login_action: response or upstream")
	b.must("login_tokens", s.LoginAction != "upstream" || len(s.LoginTokens) == 0, "login_action: upstream shows no tokens: write response or redirect, or take it out")
	if len(s.LoginTokens) > 0 && s.LoginAction == "redirect" {
		b.warn("login_tokens", "tokens in an address end up in histories, and in query mode in logs")
	}
	b.must("logout_methods", len(s.LogoutMethods) > 0, "it is empty: write POST, or take it out")
	if s.ResponseMode == "form_post" {
		b.must("authorization_cookie_same_site", !b.has("authorization_cookie_same_site") || s.AuthorizationCookieSameSite == "None",
			"response_mode: form_post is a post of another site, for which the cookie must be None: write None, or take it out")
	}
	b.one("logout_query_arg", s.LogoutQueryArg, checkParamName)
	b.one("logout_post_arg", s.LogoutPostArg, checkParamName)
	b.one("login_issuer_arg", s.LoginIssuerArg, checkParamName)
	b.one("logout_uri_suffix", s.LogoutURISuffix, r.checkSuffix)
	b.each("trusted_origins", s.TrustedOrigins, checkOrigin)
	b.each("scopes", s.Client.Scopes, checkScope)
	b.aligned("authorization_query_args_names", len(s.AuthorizationQueryArgsNames), "authorization_query_args_values", len(s.AuthorizationQueryArgsValues))
	b.each("authorization_query_args_names", s.AuthorizationQueryArgsNames, checkParameter)
	b.each("authorization_query_args_client", s.AuthorizationQueryArgsClient, checkParameter)
	b.one("authorization_cookie_name", s.AuthorizationCookieName, checkCookieName)
	b.one("authorization_cookie_path", s.AuthorizationCookiePath, checkCookiePath)
	b.one("authorization_cookie_domain", s.AuthorizationCookieDomain, r.checkDomain)
	b.must("authorization_cookie_same_site", s.AuthorizationCookieSameSite != "Strict",
		"with Strict the browser doesn't send the cookie when the provider sends it back here, so no login would end: write Lax")
	b.sameSite("authorization_cookie", s.AuthorizationCookieSameSite, s.AuthorizationCookieSecure)
	if p := s.RequireProofKeyForCodeExchange; p != nil && !*p {
		b.warn("require_proof_key_for_code_exchange", "without PKCE a stolen authorization code can be used by others")
	}
	if s.AllowInsecureHTTP {
		b.warn("allow_insecure_http", "logins, cookies and tokens may travel in the clear")
	}
}

// checkRedirectURI is for the redirection endpoint, whose path the gate serves itself (RFC 6749 §3.1.2).
func (r *Route) checkRedirectURI(text string) error {
	path := text
	if !strings.HasPrefix(text, "/") {
		u, err := parseURL(text, "https", "http")
		if err != nil {
			return errors.New("expected an absolute URL such as https://app.example.com/oauth2/callback, or a path such as /oauth2/callback")
		}
		if u.RawQuery != "" || u.Fragment != "" || strings.ContainsAny(text, "?#") {
			return errors.New("a redirect URI here has no query and no fragment: write it up to the ? or #")
		}
		if path = u.Path; path == "" {
			return errors.New("it has no path: write one that only logins use, such as /oauth2/callback")
		}
		if public := r.Route.PublicURL; public != "" && public != u.Scheme+"://"+u.Host {
			return fmt.Errorf("a login begins and ends on one origin, and public_url is %s: write %s%s", public, public, path)
		}
		if covers := func(h string) bool { return hostCovers(h, u.Hostname()) }; len(r.Route.Hosts) > 0 && !slices.ContainsFunc(r.Route.Hosts, covers) {
			return errors.New("its host isn't among the hosts of the route: add it there, or write one of those")
		}
	}
	if path == "/" {
		return errors.New("the gate answers this path itself, so it can't be /: write /oauth2/callback")
	}
	if !r.literal("paths") && (pathPattern.MatchString(path) || pathList.MatchString(path)) {
		return errors.New("the issuer sends people to exactly this path, so it is no pattern and no list: write one such as /oauth2/callback")
	}
	return checkPath(path)
}

// checkSuffix is for the end of a path, which is compared as it stands.
func (r *Route) checkSuffix(suffix string) error {
	if !r.literal("paths") && pathPattern.MatchString(suffix) || strings.ContainsAny(suffix, "?#%") || strings.TrimSpace(suffix) != suffix {
		return errors.New("it is the end of a path as it stands, decoded, and no pattern: write one such as /logout")
	}
	return nil
}

// checkDomain is for a cookie's domain: a browser refuses a cookie for a domain that isn't the host's (RFC 6265 §5.3).
func (r *Route) checkDomain(domain string) error {
	if err := checkCookieDomain(domain); err != nil {
		return err
	}
	hosts := r.Route.Hosts
	if u, err := url.Parse(r.Route.PublicURL); err == nil && u.Host != "" {
		hosts = []string{u.Hostname()} // where browsers are
	}
	for _, h := range hosts {
		if h = strings.TrimPrefix(h, "*."); h != domain && !strings.HasSuffix(h, "."+domain) {
			return fmt.Errorf("browsers refuse it from %s: write a domain that all hosts of the route are in", h)
		}
	}
	return nil
}

// sameSite judges SameSite together with Secure (RFC 6265bis §4.1.2.7).
func (b *block) sameSite(cookie, mode string, secure *bool) {
	off := secure != nil && !*secure
	b.must(cookie+"_same_site", mode != "None" || !off, "browsers refuse None without Secure: write Lax, or take %s_secure: false out", cookie)
	if off {
		b.warn(cookie+"_secure", "the cookie travels in the clear where a page is asked for over http")
	}
}
