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

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// A logoutEndpoint ends a session here and then at the provider (OpenID Connect RP-Initiated Logout 1.0).
type logoutEndpoint struct {
	LogoutSettings
	sessions   *sessions
	path       string
	home       string // where a person can go on
	loginCount cookie // that counts logins: see checkLoop
	log        *slog.Logger
}

// A sessionFlow is the sessions with the endpoints of their logout.
type sessionFlow struct {
	*sessions
	logout *logoutEndpoint
}

func newSessionFlow(b *base, s *sessions) *sessionFlow {
	return &sessionFlow{s, &logoutEndpoint{
		LogoutSettings: *of[LogoutSettings](b.view), sessions: s, path: logoutPath(b.Base), home: b.Base, loginCount: wholeSiteCookie(newLoginCookie(b)), log: b.Log,
	}}
}

func (f *sessionFlow) Endpoints() []auth.Endpoint { return f.logout.endpoints() }

// endpoints are the gate's own path for it, and the triggers that the settings name.
func (l *logoutEndpoint) endpoints() []auth.Endpoint {
	all := []auth.Endpoint{{Name: "logout", Path: l.path, Serve: l.serve}}
	if l.LogoutQueryArg+l.LogoutPostArg+l.LogoutURISuffix != "" {
		all = append(all, auth.Endpoint{Name: "logout", Matches: l.isTrigger, Serve: l.serveTrigger})
	}
	return all
}

// maxLogoutForm bounds the form that is read for logout_post_arg, in bytes.
const maxLogoutForm = 64 << 10

// triggered reports whether a request with a session is one of the configured logouts.
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

func (l *logoutEndpoint) serve(r *auth.Request) (*auth.Result, error) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return nil, methodNotAllowed("GET, POST")
	}
	return l.serveTrigger(r)
}

func (l *logoutEndpoint) serveTrigger(r *auth.Request) (*auth.Result, error) {
	if !r.MayChange() { // another site, a script or a prefetch must not log anybody out
		return &auth.Result{Answer: &auth.Answer{Status: http.StatusOK, Page: &auth.Page{
			Kind: auth.PageLogout, Title: "Log out?", Text: "You are about to log out.", Link: l.path, Action: "Log out", Post: true,
		}}}, nil
	}
	identity, header, err := l.end(r)
	if err != nil {
		return nil, err
	}
	if header == nil {
		header = http.Header{}
	}
	if name := l.loginCount.fullName(r) + loginCountSuffix; len(r.CookieValues(name)) > 0 { // who logs out and in is in no loop
		l.loginCount.set(header, r, name, "", -1)
	}
	answer := l.next(r, identity)
	if identity == nil {
		answer.Reason = "logout_without_session"
	}
	return &auth.Result{Header: header, Answer: answer}, nil
}

// end ends the route's sessions that the request brings, and returns whose the first was (nil if there was none) and the
// header that clears their cookies.
func (l *logoutEndpoint) end(r *auth.Request) (first *auth.Identity, header http.Header, err error) {
	f := l.sessions
	for n := range f.cookies {
		identity, err := l.endLogin(r, n)
		if err != nil {
			return nil, nil, err
		}
		if first == nil {
			first = identity
		}
		if len(f.cookies) == 1 || len(r.CookieValues(f.cookies[n].fullName(r))) > 0 {
			header = auth.MergeHeader(header, f.clearCookie(r, n))
		}
	}
	return first, header, nil
}

// endOne ends the login of one client.
func (l *logoutEndpoint) endLogin(r *auth.Request, n int) (*auth.Identity, error) {
	f := l.sessions
	id, ok := f.id(r, n)
	if !ok {
		return nil, nil
	}
	opened, err := f.store.Open(r.Context(), id)
	if errors.Is(err, session.ErrNotFound) {
		return nil, nil
	}
	if err == nil {
		err = f.store.End(context.WithoutCancel(r.Context()), opened.ID)
	}
	if err != nil {
		return nil, auth.Unavailable("session_store_unavailable", err)
	}
	if !f.matches(n, opened.Session) {
		return nil, nil
	}
	login := &opened.Session.Login
	l.log.Info("logout", "request_id", r.ID, "issuer", login.Issuer, "sub", login.Subject)
	l.revoke(r, login.Identity)
	return login.Identity, nil
}

// next is where the browser goes after the session here has ended, or was over already: to the provider, so that its session ends
// too, else to logout_redirect_uri, else nowhere.
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
	hint, posts := "", false
	if len(idToken) > maxIDTokenHint {
		if posts = l.EndSessionMethod == "auto" && r.WantsHTML() && !isScript(r); !posts {
			l.log.Info("the ID token is too long for an address, so the provider is told who logs out by logout_hint", "request_id", r.ID, "bytes", len(idToken))
			idToken, hint = "", subject
		}
	}
	address, params, err := clients.list[n].EndSession(r.Context(), idToken, hint, target)
	if err != nil {
		l.log.Warn("the provider's session goes on: its end_session_endpoint can't be had", "request_id", r.ID, "error", err)
	}
	switch {
	case address == "":
		return l.redirect(r, target)
	case posts:
		return submitPage(address, params)
	}
	u, err := url.Parse(address)
	if err != nil {
		l.log.Warn("the provider's session goes on: its end_session_endpoint is no URL", "request_id", r.ID, "error", err)
		return l.redirect(r, target)
	}
	query := u.Query()
	for name, values := range params {
		query[name] = values
	}
	u.RawQuery = query.Encode()
	return l.redirect(r, u.String())
}

// maxHint is the longest id_token_hint that is put into an address, in bytes: many servers refuse an address over 8 kB, some over 2.
const maxIDTokenHint = 2000

// goTo sends the browser to an address; without one the person reads that it is done. A script learns the address: it can't follow
// a redirect to another site, but the page can go there.
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

// posting is a page whose form goes to the provider by itself, or by a button where scripts are off: what it sends is too long for an
// address.
func submitPage(address string, params url.Values) *auth.Answer {
	p := &auth.Page{Kind: auth.PageSubmit, Title: "Logging out", Text: "You are logged out here. The login service comes next.", Link: address, Action: "Go on",
		Post: true}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		p.Fields = append(p.Fields, auth.Field{Name: name, Value: params.Get(name)})
	}
	return &auth.Answer{Status: http.StatusOK, Page: p}
}

// byScript reports whether a script of a page sends the request, by what browsers and libraries say.
func isScript(r *auth.Request) bool {
	mode := r.Header.Get("Sec-Fetch-Mode")
	return mode != "" && mode != "navigate" || strings.EqualFold(r.Header.Get("X-Requested-With"), "XMLHttpRequest") ||
		strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}

// leadsAway reports whether an answer takes the browser away, to the provider or to a page of the service.
func continuesAtProvider(a *auth.Answer) bool {
	return a != nil && (a.Status == http.StatusSeeOther || a.Page != nil && a.Page.Kind == auth.PageSubmit || a.Header.Get("Content-Type") == "application/json")
}

// revoke ends the tokens at the authorization server, the refresh token first (RFC 7009 §2.1). The session here is over
// whatever it says.
func (l *logoutEndpoint) revoke(r *auth.Request, i *auth.Identity) {
	if !l.LogoutRevoke {
		return
	}
	client := l.sessions.clients.forIdentity(i)
	for _, t := range []struct {
		on          bool
		token, hint string
	}{{l.LogoutRevokeRefreshToken, i.Tokens.RefreshToken, "refresh_token"}, {l.LogoutRevokeAccessToken, i.Tokens.AccessToken, "access_token"}} {
		if !t.on || t.token == "" {
			continue
		}
		if err := client.Revoke(context.WithoutCancel(r.Context()), t.token, t.hint, l.RevocationTokenParamName); err != nil {
			l.log.Warn("a token could not be revoked at logout", "request_id", r.ID, "token", t.hint, "error", err)
		}
	}
}
