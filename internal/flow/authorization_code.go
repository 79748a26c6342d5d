package flow

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
)

// AuthorizationCodeSettings are the authorization request's parameters and the login cookie's.
type AuthorizationCodeSettings struct {
	RedirectURI                    []string       `yaml:"redirect_uri" group:"issuer" per_client:"true"` // default: oauth2/callback under the route's first path
	ResponseType                   []string       `yaml:"response_type" group:"issuer" default:"[code]" enum:"code"`
	ResponseMode                   string         `yaml:"response_mode" group:"issuer" default:"query" enum:"query,form_post"`
	MaxAge                         *time.Duration `yaml:"max_age" group:"issuer"`
	AuthorizationQueryArgsNames    []string       `yaml:"authorization_query_args_names" group:"issuer"`
	AuthorizationQueryArgsValues   []string       `yaml:"authorization_query_args_values" group:"issuer"`
	AuthorizationQueryArgsClient   []string       `yaml:"authorization_query_args_client" group:"issuer"`     // copied from the client's query
	RequireProofKeyForCodeExchange *bool          `yaml:"require_proof_key_for_code_exchange" group:"issuer"` // only false switches PKCE off

	AuthorizationCookieName     string         `yaml:"authorization_cookie_name" default:"authorization"`
	AuthorizationCookie         CookieSettings `yaml:",inline" prefix:"authorization_cookie_"`
	AuthorizationRollingTimeout time.Duration  `yaml:"authorization_rolling_timeout" default:"600" min:"1s"` // how long a login may take

	VerifyNonce       bool `yaml:"verify_nonce" default:"true"`         // false is insecure: a stolen ID token could be slipped in
	AllowInsecureHTTP bool `yaml:"allow_insecure_http" default:"false"` // logins over plain http to a host that isn't loopback
}

// authorizationCode logs a person in with the authorization code flow (RFC 6749 §4.1, OIDC Core §3.1): its challenge sends
// the browser to the provider, its redirection endpoint begins the session.
type authorizationCode struct {
	settings      AuthorizationCodeSettings
	request       oidc.TokenRequestSettings // scopes and audience
	clients       *clients
	sessions      *sessions
	keyring       *keyring.Keyring
	cookie        cookie
	paths         []string // of the redirection endpoints
	home          string
	action        loginAction
	hidden        []string // arguments of the page that were for the gate
	beginsSession bool
	response      responseHeaders
	userinfo      *userinfo // nil: userinfo isn't asked
	now           func() time.Time
	log           *slog.Logger
}

var authorizationCodeKind = Kind{
	Name: "authorization_code", new: func(b *base, _ *Kind) auth.Flow { return b.login }, role: logsIn, on: true, beginsSession: true,
	asks: oidc.Examination{Login: true}, check: checkAuthorizationCode,
	paths: func(s *Settings, base string) (all []OwnPath) {
		key := "paths"
		if len(s.RedirectURI) > 0 {
			key = "redirect_uri"
		}
		for _, path := range redirectPaths(s.RedirectURI, base) {
			all = append(all, OwnPath{Endpoint: "callback", Path: path, Key: key})
		}
		return all
	},
}

func newAuthorizationCode(b *base) *authorizationCode {
	f := &authorizationCode{
		settings: b.AuthorizationCodeSettings, request: b.Settings.Client.TokenRequestSettings, clients: b.clients, sessions: b.sessions,
		keyring: b.Keyring, cookie: loginCookie(b), paths: redirectPaths(b.RedirectURI, b.Base), home: b.Base, action: newLoginAction(b),
		response: newResponseHeaders(b, &authorizationCodeKind), now: b.Now, log: b.Log,
		beginsSession: b.mayBeginSession(&authorizationCodeKind),
	}
	if b.Several {
		f.hidden = []string{b.LoginIssuerArg}
	}
	if b.SearchUserInfo {
		f.userinfo = b.userinfo
	}
	return f
}

// redirectPaths returns where the redirection endpoints are: the paths of redirect_uri, or oauth2/callback below the route.
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

// registeredRedirectURI returns the redirect URI that the issuer must know; empty if neither redirect_uri nor origin, which is
// public_url, says it.
func (s *Settings) registeredRedirectURI(base, origin string) string {
	configured := oidc.At(s.RedirectURI, 0)
	switch {
	case configured != "" && !strings.HasPrefix(configured, "/"):
		return configured
	case origin != "":
		return origin + redirectPaths(s.RedirectURI, base)[0]
	}
	return ""
}

// Authenticate finds no credential: a code is only taken at the redirection endpoint.
func (f *authorizationCode) Authenticate(*auth.Request) (*auth.Result, error) {
	return nil, auth.ErrNoCredential
}

func (f *authorizationCode) Endpoints() []auth.Endpoint {
	var all []auth.Endpoint
	for _, path := range f.paths {
		all = append(all, auth.Endpoint{Name: "callback", Path: path, Serve: f.callback})
	}
	return all
}

// Challenge begins a login, if a person is there to log in.
func (f *authorizationCode) Challenge(r *auth.Request, want auth.Login) (*auth.Answer, error) {
	if !r.Navigation(want.Always) {
		return nil, auth.ErrNoCredential
	}
	if !r.Secure() && !auth.Loopback(r.Origin) && !f.settings.AllowInsecureHTTP {
		return nil, &auth.Error{Status: http.StatusBadRequest, Reason: "login_insecure_http", Title: "Login needs https",
			Description: "Logging in needs https, so that nobody on the way can read along.",
			Err:         fmt.Errorf("%s isn't https: end TLS here, list the proxy that does in trusted_proxies, or set public_url", r.Origin)}
	}
	if a := f.atPublicURL(r); a != nil {
		return a, nil
	}
	if err := f.checkLoop(r, want); err != nil {
		return nil, err
	}
	n := f.clients.index(r)
	redirectURI, err := f.redirectURI(r, n)
	if err != nil {
		return nil, err
	}
	client := f.clients.list[n]
	login := newLogin(r, f.hidden, client.ID, want.StepUp, f.now())
	address, err := client.AuthorizationURL(r.Context(), f.authorizationRequest(r, login, redirectURI))
	if err != nil {
		return nil, issuerError(err)
	}
	header := f.boundLogins(r)
	switch err := f.remember(header, r, login); {
	case errors.Is(err, errLongReturn):
		return nil, tooLong(r, f.home)
	case err != nil:
		return nil, err
	}
	header.Set("Location", address)
	header.Set("Cache-Control", "no-store")
	return &auth.Answer{Status: http.StatusFound, Header: header}, nil
}

// redirectURI returns the client's redirect URI on this request's origin. A login begins and ends on one origin, because its
// cookie does.
func (f *authorizationCode) redirectURI(r *auth.Request, n int) (string, error) {
	configured := oidc.At(f.settings.RedirectURI, n)
	if configured == "" || strings.HasPrefix(configured, "/") {
		path := configured
		if path == "" {
			path = f.paths[0]
		}
		return r.Origin + (&url.URL{Path: path}).EscapedPath(), nil
	}
	if u, err := url.Parse(configured); err != nil || u.Scheme+"://"+u.Host != r.Origin {
		return "", &auth.Error{Status: http.StatusBadRequest, Reason: "login_other_origin", Title: "Another address",
			Link:        configured[:strings.Index(configured, u.Host)+len(u.Host)] + f.home,
			Description: "Logging in works at another address of this service.",
			Err: fmt.Errorf("the request's origin is %s, redirect_uri is %s: they must be one; behind a proxy set trusted_proxies or public_url",
				r.Origin, configured)}
	}
	return configured, nil
}

// authorizationRequest returns the authorization request of a login.
func (f *authorizationCode) authorizationRequest(r *auth.Request, l *login, redirectURI string) oidc.AuthorizationRequest {
	s := &f.settings
	args := url.Values{}
	for _, name := range s.AuthorizationQueryArgsClient {
		if v := r.Query().Get(name); v != "" {
			args.Set(name, v)
		}
	}
	for i, name := range s.AuthorizationQueryArgsNames {
		args.Add(name, s.AuthorizationQueryArgsValues[i])
	}
	for _, a := range f.request.Audience {
		args.Add("audience", a)
	}
	if age := l.maxAge(s.MaxAge); age != nil {
		args.Set("max_age", strconv.Itoa(int(age.Seconds())))
	}
	if len(l.ACRValues) > 0 {
		args.Set("acr_values", strings.Join(l.ACRValues, " "))
	}
	req := oidc.AuthorizationRequest{RedirectURI: redirectURI, State: l.state(), Nonce: l.nonce(), Scopes: f.request.Scopes, Args: args}
	if s.ResponseMode != "query" {
		req.ResponseMode = s.ResponseMode
	}
	if f.pkce() {
		req.CodeChallenge = oauth2.S256ChallengeFromVerifier(l.verifier())
	}
	return req
}

func (f *authorizationCode) pkce() bool {
	required := f.settings.RequireProofKeyForCodeExchange
	return required == nil || *required
}
