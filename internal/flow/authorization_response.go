package flow

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/oauth2"

	"sallyport/internal/audit"
	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// callback serves the redirection endpoint (RFC 6749 §3.1.2). It accepts one authorization response for a login, from the
// browser that began it.
func (f *authorizationCode) callback(r *auth.Request) (*auth.Result, error) {
	params, err := f.openedParams(r)
	if err != nil {
		return nil, err
	}
	response, err := f.open(r, params)
	if err != nil {
		return f.goOn(r, nil, http.Header{}, err)
	}
	login, name, err := f.recall(r, response.params)
	if err != nil {
		return f.goOn(r, login, http.Header{}, err)
	}
	header := http.Header{}
	f.cookies.cookie.set(header, r, name, "", -1) // a login accepts one response
	res, err := f.redeemOnce(r, login, response)
	if errors.Is(err, errUsed) {
		return f.goOn(r, login, header, err)
	}
	if err != nil {
		err = f.loginError(r, login, err)
		if auth.AsError(err).Status == http.StatusServiceUnavailable {
			return nil, err // the browser may repeat the same response
		}
		return nil, auth.WithHeader(err, header)
	}
	var begun http.Header
	if f.beginsSession {
		begun, res.Session, err = f.sessions.begin(r, f.clients.indexOf(login.Client), res.Identity, loginTimes{res.Received, res.Received})
	}
	if err == nil {
		err = f.loop.countLogin(header, r, f.landing(login))
	}
	if err != nil { // the code is used, so only a new login helps
		away := *auth.AsError(err)
		away.Link = r.Origin + login.Return
		return nil, auth.WithHeader(&away, header)
	}
	f.log.Info("login", "request_id", r.ID, "issuer", res.Identity.Issuer, "sub", res.Identity.Subject, "client", r.Client())
	f.audit.Write(audit.Event{
		Event: audit.Login, How: audit.ByBrowser, RequestID: r.ID, Client: r.Client(), Route: f.route,
		Flow:   string(authorizationCodeKind.Name),
		Issuer: res.Identity.Issuer, Subject: res.Identity.Subject, ClientID: login.Client,
	})
	for _, h := range []http.Header{header, begun} {
		res.Header = auth.MergeHeader(res.Header, h)
	}
	if f.forms.follows(login) {
		return &auth.Result{Header: res.Header, Answer: seeOther(r, f.forms.link)}, nil
	}
	return f.action.finish(r, login, res), nil
}

// recall returns the login of an authorization response, by its state, and the name of the login's cookie. With the error for a login that
// took too long it returns that login.
func (f *authorizationCode) recall(r *auth.Request, response url.Values) (*login, string, error) {
	states := response["state"]
	if len(states) != 1 || len(states[0]) > 100 {
		return nil, "", staleLogin(r, f.home, errors.New("the authorization response has no state, or more than one"))
	}
	name := f.cookies.cookieName(r, states[0])
	l := f.cookies.unseal(r, name)
	switch {
	case l == nil && len(r.AllCookies()) == 0:
		return nil, "", noLoginCookie(r, f.home)
	case l == nil:
		return nil, "", staleLogin(r, f.home, errors.New("no pending login of this browser has this state: "+
			"the login was used already, began in another browser, or never began"))
	case subtle.ConstantTimeCompare([]byte(l.state()), []byte(states[0])) != 1:
		return nil, "", staleLogin(r, f.home, errors.New("the state is not that of the login in the cookie"))
	case l.Origin != r.Origin:
		return nil, "", staleLogin(r, f.home, fmt.Errorf("the login began at %s and ended at %s", l.Origin, r.Origin))
	case f.now().Sub(time.Unix(l.Started, 0)) > f.settings.AuthorizationRollingTimeout:
		return l, name, staleLogin(r, l.Return, errors.New("the login took longer than authorization_rolling_timeout"))
	}
	return l, name, nil
}

// errUsed means that a login has received an authorization response before.
var errUsed = errors.New("this login has already received its authorization response")

// redeemOnce redeems the code of a login's first response. A browser that keeps the login's cookie causes no second token
// request, at any replica. A response does not count if the authorization server was unavailable.
func (f *authorizationCode) redeemOnce(r *auth.Request, l *login, response *authorizationResponse) (*auth.Result, error) {
	undo, first, err := f.sessions.store.MarkUsed(r.Context(), l.Seed, f.settings.AuthorizationRollingTimeout)
	switch {
	case err != nil:
		return nil, auth.Unavailable("session_store_unavailable", err)
	case !first:
		return nil, staleLogin(r, l.Return, errUsed)
	}
	res, err := f.redeem(r, l, response)
	if oidc.IsOutage(err) {
		undo(context.WithoutCancel(r.Context()))
	}
	return res, err
}

// maxResponse is the longest authorization response that is read from a form, in bytes.
const maxResponse = 64 << 10

// openedParams returns the parameters of the authorization response if the browser opened the redirection endpoint as a page: a script, a
// frame or a prefetch must not use a code or begin a session.
func (f *authorizationCode) openedParams(r *auth.Request) (url.Values, error) {
	params, err := f.params(r)
	if err == nil && !r.Opened() {
		err = staleLogin(r, f.home, errors.New("the browser didn't open the redirection endpoint as a page"))
	}
	return params, err
}

// params returns the parameters of the authorization response: from the query, or with form_post and form_post.jwt from the body
// (OAuth 2.0 Form Post Response Mode §2).
func (f *authorizationCode) params(r *auth.Request) (url.Values, error) {
	if !f.settings.isPosted() {
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

// redeem checks the authorization response, exchanges its code for tokens and verifies them.
func (f *authorizationCode) redeem(r *auth.Request, l *login, response *authorizationResponse) (*auth.Result, error) {
	n := f.clients.indexOf(l.Client)
	if n < 0 {
		return nil, errors.New("this route no longer has the client of the login")
	}
	client := f.clients.list[n]
	code, err := response.code(r.Context(), client)
	if err != nil {
		return nil, err
	}
	front, err := f.frontIDToken(r.Context(), client, l, response.params)
	if err != nil {
		return nil, err
	}
	redirectURI, err := f.redirectURI(r, n)
	if err != nil {
		return nil, err
	}
	verifier := ""
	if f.pkce() {
		verifier = l.verifier()
	}
	key, err := l.dpopKey(client)
	if err != nil {
		return nil, err
	}
	t, err := client.Code(r.Context(), code, redirectURI, verifier, key, oidc.Caller{Address: r.ClientAddr})
	if err != nil {
		return nil, err
	}
	want := oidc.IDTokenWant{MaxAge: l.maxAge(f.settings.MaxAge), Expected: slices.Contains(f.request.Scopes, "openid")}
	want.Grant, want.Front = oidc.GrantAuthorizationCode, front
	if want.Expected && f.settings.VerifyNonce {
		want.Nonce = l.nonce()
	}
	answered := *t
	if answered.Identity, err = client.Issued(r.Context(), t.Tokens, want); err != nil {
		return nil, err
	}
	answered.Identity.Flow, answered.Identity.Session = string(sessionKind.Name), true
	if err := l.checkACR(answered.Identity); err != nil {
		return nil, err
	}
	res := f.response.result(&answered, nil)
	if f.searchUserinfo != nil {
		return f.searchUserinfo(r, res)
	}
	return res, nil
}

// loginError returns the error of a failed login. Its page has a link to the requested page, and does not redirect there:
// redirects could repeat without end.
func (f *authorizationCode) loginError(r *auth.Request, l *login, err error) error {
	e := &auth.Error{Status: http.StatusBadRequest, Reason: "login_failed", Title: "Login not completed",
		Err: err, Link: r.Origin + l.Return,
		Description: "The login could not be completed. Please try again."}
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, new(*auth.Error)):
		return err
	case errors.Is(err, oidc.ErrUnavailable):
		unanswered := issuerError(err)
		if oidc.IsOutage(err) { // otherwise the link would lead to the same error
			unanswered.Link = e.Link
		}
		return unanswered
	case errors.As(err, &refused) && refused.ErrorCode == "access_denied":
		e.Status, e.Reason, e.Description = http.StatusForbidden, "login_denied", "The login was refused, or you cancelled it."
	case errors.As(err, &refused) && slices.Contains([]string{"temporarily_unavailable", "server_error"}, refused.ErrorCode):
		e.Status, e.Reason, e.RetryAfter = http.StatusServiceUnavailable, "login_server_error", 5*time.Second
		e.Description = "The login service has a problem at the moment. Please try again later."
	}
	return e
}
