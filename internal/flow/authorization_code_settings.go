package flow

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/check"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// AuthorizationCodeSettings are the parameters of the authorization request, and the attributes of the login cookie.
type AuthorizationCodeSettings struct {
	RedirectURI  []string       `yaml:"redirect_uri" group:"issuer" per_client:"true"` // default: oauth2/callback below the route
	ResponseType []string       `yaml:"response_type" group:"issuer" default:"[code]" enum:"code,code id_token"`
	ResponseMode string         `yaml:"response_mode" group:"issuer" default:"query" enum:"query,form_post,jwt,query.jwt,form_post.jwt"`
	MaxAge       *time.Duration `yaml:"max_age" group:"issuer"`

	AuthorizationQueryArgsNames    []string `yaml:"authorization_query_args_names" group:"issuer"`
	AuthorizationQueryArgsValues   []string `yaml:"authorization_query_args_values" group:"issuer"`
	AuthorizationQueryArgsClient   []string `yaml:"authorization_query_args_client" group:"issuer"`     // copied from the client's query
	RequireProofKeyForCodeExchange *bool    `yaml:"require_proof_key_for_code_exchange" group:"issuer"` // PKCE, unless false

	AuthorizationCookieName     string         `yaml:"authorization_cookie_name" default:"authorization"`
	AuthorizationCookie         CookieSettings `yaml:",inline" prefix:"authorization_cookie_"`
	AuthorizationRollingTimeout time.Duration  `yaml:"authorization_rolling_timeout" default:"600" min:"1s"` // of a login

	VerifyNonce       bool `yaml:"verify_nonce" default:"true"`         // false is insecure: it allows injection of a stolen ID token
	AllowInsecureHTTP bool `yaml:"allow_insecure_http" default:"false"` // logins over plain http to a host that isn't loopback
}

// isPosted reports whether authorization responses are posted as a form (OAuth 2.0 Form Post Response Mode, JARM §2.3.3).
func (s *AuthorizationCodeSettings) isPosted() bool {
	return s.ResponseMode == "form_post" || s.ResponseMode == "form_post.jwt"
}

// isJWT reports whether authorization responses are JWTs (JARM §2.3).
func (s *AuthorizationCodeSettings) isJWT() bool { return strings.HasSuffix(s.ResponseMode, "jwt") }

// hasIDToken reports whether authorization responses have an ID token beside the code (OIDC Core §3.3).
func (s *AuthorizationCodeSettings) hasIDToken() bool {
	return oidc.At(s.ResponseType, 0) == "code id_token"
}

// redirectPaths returns the paths of the redirection endpoints: those of redirect_uri, or oauth2/callback below the route's
// first path.
func redirectPaths(redirectURIs []string, base string) []string {
	var all []string
	for _, text := range redirectURIs {
		if u, err := url.Parse(text); err == nil && u.Path != "" && !slices.Contains(all, u.Path) {
			all = append(all, u.Path)
		}
	}
	if len(all) == 0 {
		return []string{PathBelow(base, "oauth2/callback")}
	}
	return all
}

// registeredRedirectURI returns the redirect URI that must be registered at the issuer; empty if neither redirect_uri nor
// origin, which is public_url, determines it.
func registeredRedirectURI(redirectURIs []string, base, origin string) string {
	configured := oidc.At(redirectURIs, 0)
	switch {
	case configured != "" && !strings.HasPrefix(configured, "/"):
		return configured
	case origin != "":
		return origin + redirectPaths(redirectURIs, base)[0]
	}
	return ""
}

// checkAuthorizationCode reports mistakes in the settings of the authorization request and of the login cookie.
func checkAuthorizationCode(v view, c check.Checker, x *kindContext) {
	s := of[AuthorizationCodeSettings](v)
	c.Must("auth_methods", !x.logsIn || x.hasSessions,
		"authorization_code needs session too, or every page would begin a new login: add session")
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
		c.Warn("verify_nonce", "INSECURE: a stolen ID token can be injected into a login")
	}
	s.checkResponse(v, c)
	s.checkCookie(c, x)
	of[PreservePostSettings](v).check(c, of[session.Settings](v).Storage, x.logsIn)
}

// checkResponse reports mistakes in the settings of the authorization response.
func (s *AuthorizationCodeSettings) checkResponse(v view, c check.Checker) {
	c.Must("response_type", len(s.ResponseType) <= 1, "a login has one response type: write one")
	if s.hasIDToken() {
		c.Must("response_type", s.isPosted(),
			"code id_token needs response_mode: form_post or form_post.jwt, because browsers don't send fragments to a server: "+
				"write one of them")
		c.Must("response_type", slices.Contains(of[oidc.TokenRequestSettings](v).Scopes, "openid"),
			"code id_token needs the scope openid: add it to scopes")
	}
	encrypted := of[oidc.EncryptionSettings](v).AuthorizationEncryptedResponseAlg
	c.Must("authorization_encrypted_response_alg", encrypted == "" || s.isJWT(),
		"only a JWT is encrypted: write response_mode: jwt, query.jwt or form_post.jwt")
	for i, name := range s.AuthorizationQueryArgsNames {
		if oidc.IsJSONParameter(name) && i < len(s.AuthorizationQueryArgsValues) {
			c.Must(fmt.Sprintf("authorization_query_args_values[%d]", i), json.Valid([]byte(s.AuthorizationQueryArgsValues[i])),
				"%s isn't JSON: correct it", name)
		}
	}
	if signed := of[oidc.AuthorizationSettings](v).RequireSignedRequestObject; signed != nil && *signed {
		c.Each("authorization_query_args_names", s.AuthorizationQueryArgsNames, oidc.CheckRequestParameter)
		c.Each("authorization_query_args_client", s.AuthorizationQueryArgsClient, oidc.CheckRequestParameter)
	}
}

// checkCookie reports mistakes in the settings of the login cookie, which browsers must send to the redirection endpoint.
func (s *AuthorizationCodeSettings) checkCookie(c check.Checker, x *kindContext) {
	const prefix = "authorization_cookie_"
	c.One(prefix+"name", s.AuthorizationCookieName, check.CookieName)
	s.AuthorizationCookie.check(c, prefix, &x.Route)
	c.Must(prefix+"same_site", s.AuthorizationCookie.SameSite != "Strict",
		"with Strict the browser doesn't send the cookie when the provider redirects it back here, so no login would complete: write Lax")
	if s.isPosted() {
		c.Must(prefix+"same_site", !c.IsSet(prefix+"same_site") || s.AuthorizationCookie.SameSite == "None",
			"response_mode: "+s.ResponseMode+" is a POST from another site, for which the cookie must be None: write None, or take it out")
	}
	if !x.logsIn || len(x.Paths) == 0 {
		return
	}
	for _, path := range redirectPaths(s.RedirectURI, x.Paths[0]) {
		c.Must(prefix+"path", s.AuthorizationCookie.reaches(path),
			"a browser doesn't send the cookie to %s, where logins end: write / or a path above that", path)
	}
}

// authorizationArgs maps the parameters of authorization requests that the flow sets itself to their setting; empty if they
// have none.
var authorizationArgs = map[string]string{
	"response_type": "response_type", "response_mode": "response_mode", "client_id": "client_id", "redirect_uri": "redirect_uri",
	"scope": "scopes", "audience": "audience", "max_age": "max_age",
	"state": "", "nonce": "", "code_challenge": "", "code_challenge_method": "", "request": "", "request_uri": "", "dpop_jkt": "",
	"client_secret": "", "client_assertion": "", "client_assertion_type": "", // they authenticate the client of a pushed request
}

// checkAuthorizationArg checks the name of an additional parameter of authorization requests.
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
