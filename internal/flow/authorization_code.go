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
)

// AuthorizationCodeSettings are the authorization request's parameters and the login cookie's.
type AuthorizationCodeSettings struct {
	RedirectURI                    []string       `yaml:"redirect_uri" group:"issuer"` // default: oauth2/callback under the route's first path
	ResponseType                   []string       `yaml:"response_type" group:"issuer" default:"[code]" enum:"code"`
	ResponseMode                   string         `yaml:"response_mode" group:"issuer" default:"query" enum:"query,form_post"`
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

	VerifyNonce       bool `yaml:"verify_nonce" default:"true"`         // false is insecure: a stolen ID token could be slipped in
	AllowInsecureHTTP bool `yaml:"allow_insecure_http" default:"false"` // logins over plain http to a host that isn't loopback
}

// authorizationCode logs a person in with the authorization code flow (RFC 6749 §4.1, OIDC Core §3.1): its challenge sends
// the browser to the provider, its redirection endpoint begins the session.
type authorizationCode struct {
	settings AuthorizationCodeSettings
	request  oidc.TokenRequestSettings // scopes and audience
	clients  *clients
	sessions *sessions
	keyring  *keyring.Keyring
	cookie   cookie
	paths    []string // of the redirection endpoints
	home     string
	after    loginAction
	hidden   []string // arguments of the page that were for the gate
	keeps    bool     // a login begins a session
	replay   replay
	search   *userinfo // nil: userinfo isn't asked
	now      func() time.Time
	log      *slog.Logger
}

var authorizationCodeKind = Kind{
	Name: "authorization_code", new: newAuthorizationCode, asks: oidc.Examination{Login: true}, role: logsIn,
}

func newAuthorizationCode(s *Settings, d *Deps) auth.Flow {
	var hidden []string
	if d.Several {
		hidden = []string{s.LoginIssuerArg}
	}
	return &authorizationCode{
		hidden: hidden, settings: s.AuthorizationCodeSettings, request: s.Client.TokenRequestSettings, clients: d.clients, sessions: newSession(s, d).(*sessions),
		keyring: d.Keyring, cookie: loginCookie(s, d), paths: CallbackPaths(s.RedirectURI, d.Base), home: d.Base, after: newLoginAction(s, d),
		replay: newReplay(s, "authorization_code"), search: d.search(s), now: d.Now, log: d.Log,
		keeps: !slices.Contains(s.DisableSession, "authorization_code"),
	}
}

// CallbackPaths are where the redirection endpoints are: the paths of redirect_uri, or oauth2/callback below the route.
func CallbackPaths(redirectURIs []string, base string) []string {
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

// redirectURI is the client's redirect URI on this request's origin. A login begins and ends on one origin, because its
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
		return "", &auth.Error{Status: http.StatusBadRequest, Reason: "login_other_origin", Title: "Another address", Link: configured[:strings.Index(configured, u.Host)+len(u.Host)] + f.home,
			Description: "Logging in works at another address of this service.",
			Err: fmt.Errorf("the request's origin is %s, redirect_uri is %s: they must be one; behind a proxy set trusted_proxies or public_url",
				r.Origin, configured)}
	}
	return configured, nil
}

// authorizationRequest is the authorization request of a login.
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

// callback is the redirection endpoint (RFC 6749 §3.1.2): it takes the authorization response, once, from the browser that
// began the login.
func (f *authorizationCode) callback(r *auth.Request) (*auth.Result, error) {
	response, err := f.response(r)
	if err != nil {
		return nil, err
	}
	if !r.Opened() { // what a script, a frame or a prefetch asks spends no code and begins no session
		return nil, f.stale(r, f.home, errors.New("the browser didn't open the redirection endpoint as a page"))
	}
	login, name, err := f.recall(r, response)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	f.cookie.set(header, r, name, "", -1) // a login is good for one response
	res, err := f.redeemOnce(r, login, response)
	if err != nil {
		err = f.explain(r, login, err)
		if auth.AsError(err).Status == http.StatusServiceUnavailable {
			header = nil // the same response may work later
		}
		return &auth.Result{Header: header}, err
	}
	var begun http.Header
	if f.keeps {
		begun, err = f.sessions.begin(r, f.clients.indexOf(login.Client), res.Identity)
	}
	if err == nil {
		err = f.countRound(header, r)
	}
	if err != nil { // the code is spent: only a new login helps
		away := auth.Unavailable("session_store_unavailable", err)
		away.Link = r.Origin + login.Return
		return &auth.Result{Header: header}, away
	}
	f.log.Info("login", "request_id", r.ID, "issuer", res.Identity.Issuer, "sub", res.Identity.Subject, "client", r.Client())
	for _, h := range []http.Header{header, begun} {
		res.Header = auth.MergeHeader(res.Header, h)
	}
	return f.after.finish(r, login, res), nil
}

// redeemOnce redeems the code of a login's first response: a browser that keeps the login's cookie makes no second token
// request with it, at whatever replica. A response that the authorization server could not be asked about doesn't count.
func (f *authorizationCode) redeemOnce(r *auth.Request, l *login, response url.Values) (*auth.Result, error) {
	giveBack, first, err := f.sessions.store.MarkUsed(r.Context(), l.Seed, f.settings.AuthorizationRollingTimeout)
	switch {
	case err != nil:
		return nil, auth.Unavailable("session_store_unavailable", err)
	case !first:
		return nil, f.stale(r, l.Return, errors.New("this login has had its authorization response already"))
	}
	res, err := f.redeem(r, l, response)
	if oidc.IsOutage(err) {
		giveBack(context.WithoutCancel(r.Context()))
	}
	return res, err
}

// maxResponse bounds an authorization response that comes as a form, in bytes.
const maxResponse = 64 << 10

// response is the parameters of the authorization response: of the query, or with form_post of the body (OAuth 2.0 Form
// Post Response Mode §2).
func (f *authorizationCode) response(r *auth.Request) (url.Values, error) {
	if f.settings.ResponseMode == "query" {
		if r.Method != http.MethodGet {
			return nil, methodNotAllowed("GET")
		}
		return r.Query(), nil
	}
	if r.Method != http.MethodPost {
		return nil, methodNotAllowed("POST")
	}
	form, err := r.Form(maxResponse)
	if err != nil {
		return nil, err
	}
	return form.Values, nil
}

// redeem checks the authorization response and exchanges its code for tokens, which are proved here.
func (f *authorizationCode) redeem(r *auth.Request, l *login, response url.Values) (*auth.Result, error) {
	n := f.clients.indexOf(l.Client)
	if n < 0 {
		return nil, errors.New("the login's client is no longer one of this route")
	}
	client := f.clients.list[n]
	if err := client.CheckResponseIssuer(r.Context(), response["iss"]); err != nil {
		return nil, err
	}
	if code := response.Get("error"); code != "" {
		return nil, client.ResponseError(code, response.Get("error_description"))
	}
	if len(response["code"]) != 1 || response.Get("code") == "" {
		return nil, errors.New("the authorization response has no code, or several")
	}
	redirectURI, err := f.redirectURI(r, n)
	if err != nil {
		return nil, err
	}
	verifier := ""
	if f.pkce() {
		verifier = l.verifier()
	}
	t, err := client.Code(r.Context(), response.Get("code"), redirectURI, verifier, oidc.Caller{Address: r.ClientAddr})
	if err != nil {
		return nil, err
	}
	want := oidc.IDTokenWant{MaxAge: l.maxAge(f.settings.MaxAge), Expected: slices.Contains(f.request.Scopes, "openid")}
	want.Grant = "authorization_code"
	if want.Expected && f.settings.VerifyNonce {
		want.Nonce = l.nonce()
	}
	answered := *t
	if answered.Identity, err = client.Issued(r.Context(), "session", t.Tokens, want); err != nil {
		return nil, err
	}
	if err := l.checkStrength(answered.Identity); err != nil {
		return nil, err
	}
	res := f.replay.result(&answered, nil)
	if f.search != nil {
		return f.search.search(r, res)
	}
	return res, nil
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
		unanswered := issuerError(err)
		if oidc.IsOutage(err) { // else the link would go round
			unanswered.Link = e.Link
		}
		return unanswered
	case errors.As(err, &refused) && refused.ErrorCode == "access_denied":
		e.Status, e.Reason, e.Description = http.StatusForbidden, "login_denied", "The login was refused, or you cancelled it."
	case errors.As(err, &refused) && slices.Contains([]string{"temporarily_unavailable", "server_error"}, refused.ErrorCode):
		e.Status, e.Reason, e.RetryAfter = http.StatusServiceUnavailable, "login_server_error", 5*time.Second
		e.Description = "The login service is in trouble at the moment. Please try again in a while."
	}
	return e
}
