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

	"sallyport/internal/audit"
	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// authorizationCode logs a user in with the authorization code flow (RFC 6749 §4.1, OIDC Core §3.1). Its challenge sends the
// browser to the provider, and its redirection endpoint begins the session.
type authorizationCode struct {
	settings       AuthorizationCodeSettings
	request        oidc.TokenRequestSettings // scopes and audience
	clients        *clients
	sessions       *sessions
	cookies        *loginCookies
	loop           *loginLoop
	forms          *keptForms // nil: preserve_post is off
	paths          []string   // of the redirection endpoints
	home           string
	action         loginAction
	hidden         []string // query parameters for the gate, which the return address omits
	beginsSession  bool
	response       responseHeaders
	searchUserinfo auth.Step // nil: search_user_info is off
	now            func() time.Time
	log            *slog.Logger
	audit          *audit.Log
	route          string
}

var authorizationCodeKind = Kind{
	Name: "authorization_code", role: roleLogin, defaultOn: true, beginsSession: true,
	requires: oidc.Examination{Login: true}, check: checkAuthorizationCode,
	paths: func(v view, base string) (all []OwnPath) {
		key, uris := "paths", of[AuthorizationCodeSettings](v).RedirectURI
		if len(uris) > 0 {
			key = "redirect_uri"
		}
		for _, path := range redirectPaths(uris, base) {
			all = append(all, OwnPath{Endpoint: "callback", Path: path, Key: key})
		}
		if of[PreservePostSettings](v).PreservePost {
			all = append(all, OwnPath{Endpoint: "resume", Path: resumePath(base), Key: "preserve_post", Shared: true})
		}
		return all
	},
}

func newAuthorizationCode(b *base, sessions *sessions) *authorizationCode {
	k, s := &authorizationCodeKind, *of[AuthorizationCodeSettings](b.view)
	f := &authorizationCode{
		settings: s, request: *of[oidc.TokenRequestSettings](b.view), clients: b.clients, sessions: sessions,
		cookies: &loginCookies{newLoginCookie(b), b.Keyring, s.AuthorizationRollingTimeout}, paths: redirectPaths(s.RedirectURI, b.Base),
		home: b.Base, action: newLoginAction(b), response: newResponseHeaders(b, k), searchUserinfo: b.searchUserinfo,
		now: b.Now, log: b.Log, audit: b.Audit, route: b.Route,
		beginsSession: !slices.Contains(of[SessionSettings](b.view).DisableSession, k.Name),
	}
	f.forms = newKeptForms(b, sessions)
	f.loop = &loginLoop{f.cookies, sessions.sessionCookies, f.paths, f.now}
	sessions.loop = f.loop
	if b.MultiIssuer {
		f.hidden = []string{of[IssuersSettings](b.view).LoginIssuerArg}
	}
	return f
}

// Authenticate returns auth.ErrNoCredential: only the redirection endpoint accepts a code.
func (f *authorizationCode) Authenticate(*auth.Request) (*auth.Result, error) {
	return nil, auth.ErrNoCredential
}

func (f *authorizationCode) Endpoints() []auth.Endpoint {
	var all []auth.Endpoint
	for _, path := range f.paths {
		all = append(all, auth.Endpoint{Name: "callback", Path: path, Serve: f.callback})
	}
	if f.forms != nil {
		all = append(all, f.forms.endpoint())
	}
	return all
}

// Challenge begins a login if the request is a navigation of a browser, or a form that is kept across the login.
func (f *authorizationCode) Challenge(r *auth.Request, want auth.Login) (*auth.Answer, error) {
	form := f.forms.find(r, want)
	if form == nil && !r.Navigation(want.Always) {
		return nil, auth.ErrNoCredential
	}
	if !r.Secure() && !auth.Loopback(r.Origin) && !f.settings.AllowInsecureHTTP {
		return nil, &auth.Error{Status: http.StatusBadRequest, Reason: "login_insecure_http", Title: "Login needs https",
			Description: "Logging in needs https, so that no one else can read what is sent.",
			Err: fmt.Errorf("%s isn't https: end TLS here, list the proxy that does in trusted_proxies, or set public_url",
				r.Origin)}
	}
	if form == nil { // a form has named its page's origin
		if a := f.loop.redirectToPublicURL(r); a != nil {
			return a, nil
		}
	}
	if err := f.loop.checkLoop(r, want); err != nil {
		return nil, err
	}
	return f.begin(r, want, form)
}

// begin begins a login. With a form, which it stores, the login ends at the page that asks about the form.
func (f *authorizationCode) begin(r *auth.Request, want auth.Login, form *formToKeep) (*auth.Answer, error) {
	n := f.clients.chosenIndex(r)
	if form != nil {
		n = form.client
	}
	redirectURI, err := f.redirectURI(r, n)
	if err != nil {
		return nil, err
	}
	client := f.clients.list[n]
	login, status := newLogin(r, f.hidden, client.ID, want.StepUp, f.now()), http.StatusFound
	if form != nil {
		login.Return, status = f.forms.link, http.StatusSeeOther
	}
	request := f.authorizationRequest(r, login, redirectURI)
	if request.DPoPKey, err = login.dpopKey(client); err != nil {
		return nil, err
	}
	address, err := client.AuthorizationURL(r.Context(), request, oidc.Caller{Address: r.ClientAddr})
	if err != nil {
		return nil, issuerError(err)
	}
	header := f.cookies.dropOldest(r)
	err = f.cookies.store(header, r, login)
	switch {
	case errors.Is(err, errReturnTooLong):
		return nil, returnTooLong(r, f.home)
	case err != nil:
		return nil, err
	case form != nil && !f.forms.keep(header, r, form):
		return nil, auth.ErrNoCredential
	}
	header.Set("Location", address)
	header.Set("Cache-Control", "no-store")
	return &auth.Answer{Status: status, Header: header}, nil
}

// redirectURI returns the client's redirect URI on the origin of the request. A login must begin and end on one origin,
// because its cookie belongs to one.
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
			Err: fmt.Errorf("the request's origin is %s, and redirect_uri is %s: they must be equal; "+
				"behind a proxy set trusted_proxies or public_url", r.Origin, configured)}
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
	req := oidc.AuthorizationRequest{
		RedirectURI: redirectURI, State: l.state(), Nonce: l.nonce(), Scopes: f.request.Scopes, Args: args,
		ResponseType: oidc.At(s.ResponseType, 0),
	}
	if s.ResponseMode != "query" {
		req.ResponseMode = s.ResponseMode
	}
	if f.pkce() {
		req.CodeChallenge = oauth2.S256ChallengeFromVerifier(l.verifier())
	}
	return req
}

// pkce reports whether authorization requests use PKCE (RFC 7636).
func (f *authorizationCode) pkce() bool {
	required := f.settings.RequireProofKeyForCodeExchange
	return required == nil || *required
}
