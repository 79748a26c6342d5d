package flow

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/audit"
	"sallyport/internal/auth"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// A logoutEndpoint ends the session here and then at the provider (OpenID Connect RP-Initiated Logout 1.0).
type logoutEndpoint struct {
	LogoutSettings
	sessions   *sessions
	path       string
	home       string // the path of the link on the page after a logout
	loginCount cookie // the cookie that counts logins: see loginLoop
	returns    *logoutReturn
	log        *slog.Logger
	audit      *audit.Log
	route      string
}

// A sessionFlow is the sessions of a part with their logout endpoints.
type sessionFlow struct {
	*sessions
	base   *base
	logout *logoutEndpoint
}

func newSessionFlow(b *base, s *sessions) *sessionFlow {
	return &sessionFlow{s, b, &logoutEndpoint{
		LogoutSettings: *of[LogoutSettings](b.view), sessions: s, path: logoutPath(b.Base), home: b.Base,
		loginCount: wholeSiteCookie(newLoginCookie(b)), returns: newLogoutReturn(b), log: b.Log, audit: b.Audit, route: b.Route,
	}}
}

func (f *sessionFlow) Endpoints() []auth.Endpoint { return sharedLogout{f}.Endpoints() }

// endpoints returns the gate's logout path, and an endpoint for the triggers in the settings.
func (l *logoutEndpoint) endpoints() []auth.Endpoint {
	all := []auth.Endpoint{{Name: "logout", Path: l.path, Serve: l.serve}}
	if l.LogoutQueryArg+l.LogoutPostArg+l.LogoutURISuffix != "" {
		all = append(all, auth.Endpoint{Name: "logout", Matches: l.isTrigger, Serve: l.serveTrigger})
	}
	return all
}

// maxLogoutForm is the longest form that is read for logout_post_arg, in bytes.
const maxLogoutForm = 64 << 10

// isTrigger reports whether a request with a session cookie triggers a logout.
func (l *logoutEndpoint) isTrigger(r *auth.Request) bool {
	if !slices.Contains(l.LogoutMethods, r.Method) || !l.sessions.sentBy(r) {
		return false
	}
	switch {
	case l.LogoutURISuffix != "" && strings.HasSuffix(r.Path, l.LogoutURISuffix):
		return true
	case l.LogoutQueryArg != "" && r.Query().Has(l.LogoutQueryArg):
		return true
	case l.LogoutPostArg == "" || r.ContentLength <= 0 || r.ContentLength > maxLogoutForm:
		return false
	}
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if strings.TrimSpace(kind) != "application/x-www-form-urlencoded" {
		return false
	}
	form, err := r.Form(maxLogoutForm)
	return err == nil && form.Values.Has(l.LogoutPostArg)
}

// serve handles the gate's logout path.
func (l *logoutEndpoint) serve(r *auth.Request) (*auth.Result, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return nil, methodNotAllowed("GET, POST")
	}
	return l.serveTrigger(r)
}

// serveTrigger ends the sessions of the request, or asks the user to confirm.
func (l *logoutEndpoint) serveTrigger(r *auth.Request) (*auth.Result, error) {
	if !r.MayChange() { // no other site, script or prefetch may log a user out
		return &auth.Result{Answer: &auth.Answer{Status: http.StatusOK, Page: &auth.Page{
			Kind: auth.PageLogout, Title: "Log out?", Text: "You are about to log out.", Link: l.path, Action: "Log out", Post: true,
		}}}, nil
	}
	identity, header, err := l.end(r)
	if err != nil {
		return nil, auth.WithHeader(err, header)
	}
	if header == nil {
		header = http.Header{}
	}
	// A user who logs out and in repeatedly is in no loop.
	if name := l.loginCount.fullName(r) + loginCountSuffix; len(r.CookieValues(name)) > 0 {
		l.loginCount.set(header, r, name, "", -1)
	}
	answer := l.next(r, identity)
	if identity == nil {
		answer.Reason = "logout_without_session"
	}
	return &auth.Result{Header: header, Answer: answer}, nil
}

// end ends the route's sessions of a request. It returns the identity of the first, or nil, and the header that clears their
// cookies, also with an error: the browser forgets the login even if the store can't be reached.
func (l *logoutEndpoint) end(r *auth.Request) (first *auth.Identity, header http.Header, err error) {
	f := l.sessions
	for n := range f.cookies {
		identity, failed := l.endLogin(r, n)
		if err == nil {
			err = failed
		}
		identity, failed = l.endRemembered(r, n, identity)
		if err == nil {
			err = failed
		}
		if first == nil {
			first = identity
		}
		if len(f.cookies) == 1 || f.has(r, n) {
			header = auth.MergeHeader(header, f.clearCookie(r, n))
		}
		header = f.clearRemember(header, r, n)
	}
	return first, header, err
}

// endLogin ends the login of one client and returns its identity; nil if there is none. It never rotates the session. A login of another
// route, which a cookie of the same name holds, goes on.
func (l *logoutEndpoint) endLogin(r *auth.Request, n int) (*auth.Identity, error) {
	f := l.sessions
	store, id, ok := f.find(r, n)
	if !ok {
		return nil, nil
	}
	found, err := store.Peek(r.Context(), id)
	if errors.Is(err, session.ErrNotFound) {
		if err := f.store.Forget(context.WithoutCancel(r.Context()), id); err != nil {
			return nil, l.notConfirmed(r, err)
		}
		return nil, nil
	}
	if err == nil && (!f.matches(n, found) || f.checkBinding(r, found) != nil) {
		return nil, nil
	}
	var ended *session.Session
	if err == nil {
		ended, err = store.EndLogin(context.WithoutCancel(r.Context()), id)
	}
	if err != nil {
		return nil, l.notConfirmed(r, err)
	}
	if ended != nil { // it was perhaps refreshed meanwhile, and then has other tokens
		found = ended
	}
	return l.loggedOut(r, found), nil
}

// endRemembered ends the login of one client that the request's remember cookie has. It returns its identity, unless a login ended before.
func (l *logoutEndpoint) endRemembered(r *auth.Request, n int, before *auth.Identity) (*auth.Identity, error) {
	ended, err := l.sessions.endRemembered(r, n)
	if err != nil {
		return before, l.notConfirmed(r, err)
	}
	if ended == nil {
		return before, nil
	}
	return cmp.Or(before, l.loggedOut(r, ended)), nil
}

// loggedOut logs a logout, revokes the tokens and returns the identity.
func (l *logoutEndpoint) loggedOut(r *auth.Request, ended *session.Session) *auth.Identity {
	login := &ended.Login
	l.log.Info("logout", "request_id", r.ID, "issuer", login.Issuer, "sub", login.Subject)
	l.audit.Write(audit.Event{
		Event: audit.Logout, How: audit.ByBrowser, RequestID: r.ID, Client: r.Client(), Route: l.route,
		Issuer: login.Issuer, Subject: login.Subject, ClientID: login.ClientID,
	})
	l.revoke(r, login.Identity)
	return login.Identity
}

// notConfirmed refuses a logout whose login is perhaps not over. The answer clears the cookie all the same, so the link goes on to the
// provider.
func (l *logoutEndpoint) notConfirmed(r *auth.Request, err error) error {
	e := auth.Unavailable("session_store_unavailable", err)
	e.Title, e.Link, e.Action = "Logged out in this browser only", r.Origin+l.path, "Log out at the login service"
	e.Description = "This browser has forgotten your login. The login itself could not be ended, because its store can't be reached: " +
		"a copy of it stays valid until it times out."
	return e
}

// next returns where the browser goes after the session here has ended, or if there was none: to the provider, so that its
// session ends too, or to logout_redirect_uri, or nowhere.
func (l *logoutEndpoint) next(r *auth.Request, identity *auth.Identity) *auth.Answer {
	clients := l.sessions.clients
	n := clients.chosenIndex(r)
	idToken, subject := "", ""
	if identity != nil {
		n = max(clients.indexOf(identity.ClientID), 0)
		idToken, subject = identity.Tokens.IDToken, identity.Subject
	}
	target := oidc.At(l.LogoutRedirectURI, n)
	if strings.HasPrefix(target, "/") {
		target = r.Origin + target
	}
	if !l.followsStandard() {
		request := oidc.LogoutRequest{RedirectURI: target, RedirectParam: l.EndSessionRedirectParamName}
		return cmp.Or(l.toProvider(r, clients.list[n], request, false), l.redirect(r, target))
	}
	hint, posts := "", false
	if len(idToken) > maxIDTokenHint {
		if posts = l.EndSessionMethod == "auto" && r.WantsHTML() && !isScript(r); !posts {
			l.log.Info("the ID token is too long for an address, so the logout request has logout_hint instead",
				"request_id", r.ID, "bytes", len(idToken))
			idToken, hint = "", subject
		}
	}
	state, header, err := l.returns.begin(r, target)
	if err != nil {
		l.log.Error("the logout request has no state", "request_id", r.ID, "error", err)
	}
	answer := l.toProvider(r, clients.list[n], oidc.LogoutRequest{IDToken: idToken, Hint: hint, RedirectURI: target, State: state}, posts)
	if answer == nil {
		return l.redirect(r, target)
	}
	answer.Header = auth.MergeHeader(answer.Header, header)
	return answer
}

// toProvider returns the answer that sends the browser to the provider's end_session_endpoint; nil if it has none that can be used.
func (l *logoutEndpoint) toProvider(r *auth.Request, c *oidc.Client, request oidc.LogoutRequest, posts bool) *auth.Answer {
	address, params, err := c.EndSession(r.Context(), request)
	if err != nil {
		l.log.Warn("the provider's session continues: its end_session_endpoint is unknown", "request_id", r.ID, "error", err)
	}
	switch {
	case address == "":
		return nil
	case posts:
		return submitPage(address, params)
	}
	u, err := url.Parse(address)
	if err != nil {
		l.log.Warn("the provider's session continues: its end_session_endpoint is not a URL", "request_id", r.ID, "error", err)
		return nil
	}
	query := u.Query()
	for name, values := range params {
		query[name] = values
	}
	u.RawQuery = query.Encode()
	return l.redirect(r, u.String())
}

// maxIDTokenHint is the longest id_token_hint in a URL, in bytes: many servers refuse URLs over 8 kB, some over 2 kB.
const maxIDTokenHint = 2000

// redirect sends the browser to a URL, or without one shows that the user is logged out. A script receives the URL as JSON:
// it cannot follow a redirect to another site, but its page can go there.
func (l *logoutEndpoint) redirect(r *auth.Request, address string) *auth.Answer {
	switch {
	case isScript(r):
		body, err := json.Marshal(map[string]string{"location": cmp.Or(address, r.Origin+l.home)})
		if err != nil {
			panic(err) // a string
		}
		return &auth.Answer{Status: http.StatusOK, Body: append(body, '\n'), Header: http.Header{"Content-Type": {"application/json"}}}
	case address != "":
		return &auth.Answer{Status: http.StatusSeeOther, Header: http.Header{"Location": {address}}}
	}
	return &auth.Answer{Status: http.StatusOK, Page: &auth.Page{
		Kind: auth.PageLoggedOut, Title: "Logged out", Text: "You are logged out.", Link: r.Origin + l.home, Action: "Log in again",
	}}
}

// submitPage returns a page whose form submits itself to the provider, or has a button where scripts are off, because the
// parameters are too long for a URL.
func submitPage(address string, params url.Values) *auth.Answer {
	p := &auth.Page{
		Kind: auth.PageSubmit, Title: "Logging out", Text: "You are logged out here. The login service comes next.",
		Link: address, Action: "Go on", Post: true,
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		p.Fields = append(p.Fields, auth.Field{Name: name, Value: params.Get(name)})
	}
	return &auth.Answer{Status: http.StatusOK, Page: p}
}

// isScript reports, from headers that browsers and libraries set, whether a script sent the request.
func isScript(r *auth.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return mode != "" && mode != "navigate" || strings.EqualFold(r.Header.Get("X-Requested-With"), "XMLHttpRequest") ||
		strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}

// continuesAtProvider reports whether an answer sends the browser to another page: to the provider, or to
// logout_redirect_uri.
func continuesAtProvider(a *auth.Answer) bool {
	return a != nil && (a.Status == http.StatusSeeOther || a.Page != nil && a.Page.Kind == auth.PageSubmit ||
		a.Header.Get("Content-Type") == "application/json")
}

// revoke revokes the tokens at the authorization server, the refresh token first (RFC 7009 §2.1). The session here has
// ended, whatever the response.
func (l *logoutEndpoint) revoke(r *auth.Request, i *auth.Identity) {
	if !l.LogoutRevoke {
		return
	}
	client := l.sessions.clients.forIdentity(i)
	for _, t := range []struct {
		on          bool
		token, hint string
	}{
		{l.LogoutRevokeRefreshToken, i.Tokens.RefreshToken, "refresh_token"},
		{l.LogoutRevokeAccessToken, i.Tokens.AccessToken, "access_token"},
	} {
		if !t.on || t.token == "" {
			continue
		}
		if err := client.Revoke(context.WithoutCancel(r.Context()), t.token, t.hint, l.RevocationTokenParamName); err != nil {
			l.log.Warn("a token could not be revoked at logout", "request_id", r.ID, "token", t.hint, "error", err)
		}
	}
}
