package flow

import (
	"context"
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
	"sallyport/internal/session"
)

// AuthorizationCodeSettings are the authorization request's parameters and the login cookie's.
type AuthorizationCodeSettings struct {
	RedirectURI                    []string       `yaml:"redirect_uri" group:"issuer"` // default: oauth2/callback under the route's first path
	ResponseType                   []string       `yaml:"response_type" group:"issuer" default:"[code]" enum:"code"`
	ResponseMode                   string         `yaml:"response_mode" group:"issuer" default:"query" enum:"query"`
	Scopes                         []string       `yaml:"scopes" group:"issuer" default:"[openid]"`
	Audience                       []string       `yaml:"audience" group:"issuer"`
	MaxAge                         *time.Duration `yaml:"max_age" group:"issuer"`
	AuthorizationQueryArgsNames    []string       `yaml:"authorization_query_args_names" group:"issuer"`
	AuthorizationQueryArgsValues   []string       `yaml:"authorization_query_args_values" group:"issuer"`
	AuthorizationQueryArgsClient   []string       `yaml:"authorization_query_args_client" group:"issuer"`     // copied from the client's query
	RequireProofKeyForCodeExchange *bool          `yaml:"require_proof_key_for_code_exchange" group:"issuer"` // only false switches PKCE off

	AuthorizationCookieName     string        `yaml:"authorization_cookie_name" default:"authorization"`
	AuthorizationCookiePath     string        `yaml:"authorization_cookie_path" default:"/"`
	AuthorizationCookieDomain   string        `yaml:"authorization_cookie_domain"`
	AuthorizationCookieSameSite string        `yaml:"authorization_cookie_same_site" default:"Lax" enum:"Default,Lax,None,Strict"`
	AuthorizationCookieHTTPOnly bool          `yaml:"authorization_cookie_http_only" default:"true"`
	AuthorizationCookieSecure   *bool         `yaml:"authorization_cookie_secure"`
	AuthorizationRollingTimeout time.Duration `yaml:"authorization_rolling_timeout" default:"600" min:"1s"` // how long a login may take

	AllowInsecureHTTP bool `yaml:"allow_insecure_http" default:"false"` // logins over plain http to a host that isn't loopback
}

// authorizationCode logs a person in with the authorization code flow (RFC 6749 §4.1, OIDC Core §3.1): its challenge sends
// the browser to the provider, its redirection endpoint begins the session.
type authorizationCode struct {
	settings AuthorizationCodeSettings
	client   *oidc.Client
	sessions *sessions
	keyring  *keyring.Keyring
	cookie   cookie
	path     string // of the redirection endpoint
	home     string
	now      func() time.Time
	log      *slog.Logger
}

func newAuthorizationCode(s *Settings, d Deps) auth.Flow {
	return &authorizationCode{
		settings: s.AuthorizationCodeSettings, client: d.Client, sessions: newSession(s, d).(*sessions), keyring: d.Keyring,
		cookie: loginCookie(s, d), path: callbackPath(s, d), home: d.Base, now: d.Now, log: d.Log,
	}
}

// callbackPath is where the redirection endpoint is: the path of redirect_uri, or oauth2/callback below the route.
func callbackPath(s *Settings, d Deps) string {
	if len(s.RedirectURI) > 0 {
		if u, err := url.Parse(s.RedirectURI[0]); err == nil && u.Path != "" {
			return u.Path
		}
	}
	return PathBelow(d.Base, "oauth2/callback")
}

// Authenticate finds no credential: a code is only taken at the redirection endpoint.
func (f *authorizationCode) Authenticate(*auth.Request) (*auth.Result, error) {
	return nil, auth.ErrNoCredential
}

func (f *authorizationCode) Endpoints() []auth.Endpoint {
	return []auth.Endpoint{{Name: "callback", Path: f.path, Serve: f.callback}}
}

// Challenge begins a login, if a person is there to log in.
func (f *authorizationCode) Challenge(r *auth.Request) (*auth.Answer, error) {
	if !r.Navigation() {
		return nil, auth.ErrNoCredential
	}
	if !r.Secure() && !auth.Loopback(r.Origin) && !f.settings.AllowInsecureHTTP {
		return nil, &auth.Error{Status: http.StatusBadRequest, Reason: "login_insecure_http", Title: "Login needs https",
			Description: "Logging in needs https, so that nobody on the way can read along.",
			Err:         fmt.Errorf("%s isn't https: end TLS here, list the proxy that does in trusted_proxies, or set public_url", r.Origin)}
	}
	redirectURI, err := f.redirectURI(r)
	if err != nil {
		return nil, err
	}
	login := newLogin(r, f.now())
	address, err := f.client.AuthorizationURL(r.Context(), f.request(r, login, redirectURI))
	if err != nil {
		return nil, auth.Unavailable("issuer_unavailable", err)
	}
	header := f.boundLogins(r)
	if err := f.remember(header, r, login); err != nil {
		return nil, err
	}
	header.Set("Location", address)
	header.Set("Cache-Control", "no-store")
	return &auth.Answer{Status: http.StatusFound, Header: header}, nil
}

// redirectURI is the redirect URI of this request's origin. A login begins and ends on one origin, because its cookie does.
func (f *authorizationCode) redirectURI(r *auth.Request) (string, error) {
	if len(f.settings.RedirectURI) == 0 || strings.HasPrefix(f.settings.RedirectURI[0], "/") {
		return r.Origin + (&url.URL{Path: f.path}).EscapedPath(), nil
	}
	configured := f.settings.RedirectURI[0]
	if u, err := url.Parse(configured); err != nil || u.Scheme+"://"+u.Host != r.Origin {
		return "", &auth.Error{Status: http.StatusBadRequest, Reason: "login_other_origin", Title: "Another address", Link: configured[:strings.Index(configured, u.Host)+len(u.Host)] + f.home,
			Description: "Logging in works at another address of this service.",
			Err: fmt.Errorf("the request's origin is %s, redirect_uri is %s: they must be one; behind a proxy set trusted_proxies or public_url",
				r.Origin, configured)}
	}
	return configured, nil
}

// request is the authorization request of a login.
func (f *authorizationCode) request(r *auth.Request, l *login, redirectURI string) oidc.AuthorizationRequest {
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
	for _, a := range s.Audience {
		args.Add("audience", a)
	}
	if s.MaxAge != nil {
		args.Set("max_age", strconv.Itoa(int(s.MaxAge.Seconds())))
	}
	req := oidc.AuthorizationRequest{RedirectURI: redirectURI, State: l.state(), Nonce: l.nonce(), Scopes: s.Scopes, Args: args}
	if f.pkce() {
		req.CodeChallenge = oauth2.S256ChallengeFromVerifier(l.verifier())
	}
	return req
}

func (f *authorizationCode) pkce() bool {
	required := f.settings.RequireProofKeyForCodeExchange
	return required == nil || *required
}

// callback is the redirection endpoint (RFC 6749 §3.1.2): it takes the authorization response, once, from the browser that
// began the login.
func (f *authorizationCode) callback(r *auth.Request) (*auth.Result, error) {
	if r.Method != http.MethodGet {
		return nil, methodNotAllowed("GET")
	}
	login, name, err := f.recall(r)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	f.cookie.set(header, r, name, "", -1) // a login is good for one response
	identity, err := f.redeem(r, login)
	if err != nil {
		err = f.explain(r, login, err)
		if auth.AsError(err).Status == http.StatusServiceUnavailable {
			header = nil // the same response may work later
		}
		return &auth.Result{Header: header}, err
	}
	begun, err := f.begin(r, identity)
	if err != nil { // the code is spent: only a new login helps
		away := auth.Unavailable("session_store_unavailable", err)
		away.Link = r.Origin + login.Return
		return &auth.Result{Header: header}, away
	}
	f.log.Info("login", "request_id", r.ID, "issuer", identity.Issuer, "sub", identity.Subject, "client", r.ClientAddr.String())
	header = auth.MergeHeader(header, begun)
	header.Set("Location", r.Origin+login.Return)
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer") // the callback's address holds the code
	return &auth.Result{Header: header, Answer: &auth.Answer{Status: http.StatusSeeOther}}, nil
}

// redeem checks the authorization response and exchanges its code for tokens, which are proved here.
func (f *authorizationCode) redeem(r *auth.Request, l *login) (*auth.Identity, error) {
	q := r.Query()
	if err := f.client.CheckResponseIssuer(r.Context(), q["iss"]); err != nil {
		return nil, err
	}
	if code := q.Get("error"); code != "" {
		return nil, &oauth2.RetrieveError{Response: &http.Response{StatusCode: http.StatusFound}, ErrorCode: code, ErrorDescription: q.Get("error_description")}
	}
	if len(q["code"]) != 1 || q.Get("code") == "" {
		return nil, errors.New("the authorization response has no code, or several")
	}
	redirectURI, err := f.redirectURI(r)
	if err != nil {
		return nil, err
	}
	verifier := ""
	if f.pkce() {
		verifier = l.verifier()
	}
	tokens, err := f.client.Code(r.Context(), q.Get("code"), redirectURI, verifier)
	if err != nil {
		return nil, err
	}
	want := oidc.IDTokenWant{MaxAge: f.settings.MaxAge}
	openid := slices.Contains(f.settings.Scopes, "openid")
	if openid {
		want.Nonce = l.nonce()
	}
	return newIdentity(r.Context(), f.client, tokens, want, openid)
}

// begin starts the session under a new ID, whatever ID the browser had before.
func (f *authorizationCode) begin(r *auth.Request, identity *auth.Identity) (http.Header, error) {
	var before *session.ID
	if id, found := f.sessions.id(r); found {
		before = &id
	}
	id, _, err := f.sessions.store.Start(context.WithoutCancel(r.Context()), before, session.Audience{
		Name: f.sessions.audience, Issuer: identity.Issuer, ClientID: identity.ClientID, Subject: identity.Subject, SID: sid(identity),
		Identity: identity, Updated: f.now(),
	})
	if err != nil {
		return nil, err
	}
	return f.sessions.setCookie(r, id)
}

// explain turns a failed login into a page that says so calmly and leads back to where the person wanted to go. It never
// sends the browser there by itself: that could go round for ever.
func (f *authorizationCode) explain(r *auth.Request, l *login, err error) error {
	e := &auth.Error{Status: http.StatusBadRequest, Reason: "login_failed", Title: "Login not completed", Link: r.Origin + l.Return, Err: err,
		Description: "The login could not be completed. Please try again."}
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, new(*auth.Error)):
		return err
	case errors.Is(err, oidc.ErrUnavailable):
		unavailable := auth.Unavailable("issuer_unavailable", err)
		unavailable.Link = e.Link
		return unavailable
	case errors.As(err, &refused) && refused.ErrorCode == "access_denied":
		e.Status, e.Reason, e.Description = http.StatusForbidden, "login_denied", "The login was refused, or you cancelled it."
	case errors.As(err, &refused) && slices.Contains([]string{"temporarily_unavailable", "server_error"}, refused.ErrorCode):
		e.Status, e.Reason, e.RetryAfter = http.StatusServiceUnavailable, "login_server_error", 5*time.Second
		e.Description = "The login service is in trouble at the moment. Please try again in a while."
	}
	return e
}
