package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/auth"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// sessions authenticates a request by the session of an earlier login. A cookie holds the login of one client, so each
// client of the route has a cookie.
type sessions struct {
	*sessionCookies
	refresh        sessionRefresh
	route, home    string // the name and the first path of the route
	reverify       bool   // verify the tokens at each request
	closeStreams   bool   // a stream ends with its session
	sameSubject    bool   // session_enforce_same_subject
	tokens         *tokenFinder
	bind           binding
	possession     *possession
	properties     bool   // results have the properties of the session
	configured     string // session_audience as it is configured
	trustedOrigins []string
	now            func() time.Time
	log            *slog.Logger
	audit          *audit.Log
}

var sessionKind = Kind{
	Name: "session", role: roleSession, defaultOn: true, exchangeable: true, bindable: true,
	check: checkSession,
	paths: func(_ view, base string) []OwnPath {
		return []OwnPath{
			{Endpoint: "logout", Path: logoutPath(base), Key: "paths", Shared: true},
			{Endpoint: backchannelName, Path: backchannelPath(base), Key: "paths", Shared: true},
			{Endpoint: frontchannelName, Path: frontchannelPath(base), Key: "paths", Shared: true},
		}
	},
}

func newSessions(b *base) *sessions {
	s, id := of[SessionSettings](b.view), loginIDOf(b.view)
	return &sessions{
		sessionCookies: &sessionCookies{
			clients: b.clients, store: b.Sessions, carried: b.Sessions.Cookies(), keyring: b.Keyring,
			cookies: newSessionCookies(s, id, b.MultiIssuer), remember: newRememberCookies(b, s, id), audience: id.audience,
		},
		refresh: sessionRefresh{
			clients: b.clients, on: s.refreshes(of[session.Settings](b.view)), leeway: of[oidc.IssuerSettings](b.view).Leeway,
			tokenParam: of[LogoutSettings](b.view).RevocationTokenParamName, searchUserinfo: b.searchUserinfo != nil,
			now: b.Now, log: b.Log, audit: b.Audit, route: b.Route,
		},
		route: b.Route, home: b.Base,
		sameSubject: s.EnforceSameSubject, bind: s.Bind, possession: b.possession, tokens: b.tokens,
		properties: b.SendsSession, configured: of[session.Settings](b.view).Audience,
		reverify: s.Reverify, closeStreams: s.CloseStreams, trustedOrigins: s.TrustedOrigins, now: b.Now, log: b.Log,
		audit: b.Audit,
	}
}

// Authenticate tries the cookie of the client that the request chooses, then those of the other clients.
func (f *sessions) Authenticate(r *auth.Request) (*auth.Result, error) {
	chosen := f.clients.chosenIndex(r)
	res, err := f.authenticate(r, chosen)
	for n := range f.cookies {
		if n == chosen || !errors.Is(err, auth.ErrNoCredential) {
			continue
		}
		header := auth.HeaderOf(err)
		if res, err = f.authenticate(r, n); err != nil {
			err = auth.WithHeader(err, header)
			continue
		}
		out := *res
		out.Header = auth.MergeHeader(header.Clone(), res.Header)
		res = &out
	}
	return res, err
}

// authenticate tries the cookie of one client's login.
func (f *sessions) authenticate(r *auth.Request, n int) (*auth.Result, error) {
	store, id, ok := f.find(r, n)
	for range maxResumes {
		var res *auth.Result
		var err error
		if ok {
			res, err = f.resume(r, n, store, id)
		} else {
			res, err = f.resumeRemembered(r, n, f.noSession(r, n))
		}
		if !errors.Is(err, session.ErrChanged) {
			return res, err
		}
	}
	return nil, auth.Unavailable("session_store_unavailable", session.ErrChanged)
}

// maxResumes limits the attempts to resume a session that other requests change at the same time.
const maxResumes = 3

// resume returns the identity of a session. Its error is session.ErrChanged if another request changed the session
// meanwhile.
func (f *sessions) resume(r *auth.Request, n int, store sessionStore, id session.ID) (*auth.Result, error) {
	opened, err := store.OpenIf(r.Context(), id, func(s *session.Session) error { return f.mayUse(r, n, s) })
	if errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrReplaced) {
		return f.resumeRemembered(r, n, f.sessionError(r, n, err))
	}
	if err != nil {
		return nil, f.sessionError(r, n, err)
	}
	return f.result(r, n, store, opened)
}

// result returns the identity of an opened session, whose tokens it refreshes and verifies where that is due.
func (f *sessions) result(r *auth.Request, n int, store sessionStore, opened *session.Opened) (*auth.Result, error) {
	current, err := f.refresh.ensureFresh(r.Context(), store, opened)
	if err == nil {
		err = f.checkTokens(r.Context(), store, opened.ID, current)
	}
	if err != nil {
		return nil, f.sessionError(r, n, err)
	}
	header, err := f.resumed(r, n, opened, current)
	if err != nil {
		return nil, err
	}
	if current.Login.Identity.Presented {
		header = auth.MergeHeader(header, f.possession.nonce(r))
	}
	return &auth.Result{
		Identity: current.Login.Identity, Header: header, Session: f.describe(opened.ID, current), Watcher: f.watcher(opened),
	}, nil
}

// mayUse returns an error if a request may not use a session.
func (f *sessions) mayUse(r *auth.Request, n int, s *session.Session) error {
	if !f.matches(n, s) {
		return errForeign
	}
	if err := checkUpgrade(r, f.trustedOrigins); err != nil {
		return err
	}
	if err := f.checkBinding(r, s); err != nil {
		return err
	}
	return f.checkPossession(r, s.Login.Identity)
}

// checkPossession checks the binding of the token that began a session: the session is bound as the token was. If the request carries an
// access token, another flow judges that, as if there were no session.
func (f *sessions) checkPossession(r *auth.Request, i *auth.Identity) error {
	if !i.Presented {
		return nil
	}
	err := f.possession.checkSession(r, i)
	if err == nil {
		return nil
	}
	if _, none := f.tokens.read(r); !errors.Is(none, auth.ErrNoCredential) {
		return fmt.Errorf("%w: %w", auth.ErrNoCredential, err)
	}
	return err
}

// watcher returns what watches the session for a stream. It is nil for a session in cookies: no store knows when that ends.
func (f *sessions) watcher(opened *session.Opened) auth.Watcher {
	switch {
	case f.carried != nil:
		return nil
	case f.closeStreams:
		return opened
	}
	return keptOpen{opened}
}

// A keptOpen watches a session for a stream that goes on after its end (session_close_streams: false).
type keptOpen struct{ *session.Opened }

func (o keptOpen) Watch(used func() bool, _ func()) (stop func()) {
	return o.Opened.Watch(used, func() {})
}

// errForeign means that a valid cookie holds a login of another route: it was set on another host, or before the settings
// changed.
var errForeign = errors.New("the session belongs to another issuer, client or session_audience")

// noSession returns the error for a request without a session. It clears an invalid cookie.
func (f *sessions) noSession(r *auth.Request, n int) error {
	if !f.has(r, n) {
		return auth.ErrNoCredential
	}
	return auth.WithHeader(fmt.Errorf("the session cookie is invalid: %w", auth.ErrNoCredential), f.clearCookie(r, n))
}

// sessionError returns the error for a session that cannot be resumed. If the session has ended, the error wraps
// auth.ErrNoCredential, so that the chain tries other credentials. If the store or the authorization server is unavailable,
// it is a 503, because the session may be valid.
//
// The error clears the cookie only if this request proved that it is useless. Browsers clear cookies by name: a request that
// began before a login or a rotation set a new cookie would delete the new one. The store remembers that an ID was replaced
// for longer than requests last, and then the cookie stays.
func (f *sessions) sessionError(r *auth.Request, n int, err error) error {
	switch {
	case errors.Is(err, session.ErrChanged):
		return err
	case errors.Is(err, session.ErrReplaced):
		return fmt.Errorf("%w: %w", auth.ErrNoCredential, err)
	case errors.Is(err, session.ErrNotFound), errors.Is(err, session.ErrEnded), errors.Is(err, errForeign):
		return auth.WithHeader(fmt.Errorf("%w: %w", auth.ErrNoCredential, err), f.clearCookie(r, n))
	case errors.Is(err, session.ErrUnavailable):
		return auth.Unavailable("session_store_unavailable", err)
	case errors.Is(err, oidc.ErrUnavailable):
		return issuerError(err)
	}
	return err
}

// checkTokens ends a session whose tokens the issuer's keys no longer verify, if reverify is on. It does not end a
// session whose tokens were refreshed meanwhile.
func (f *sessions) checkTokens(ctx context.Context, store sessionStore, id session.ID, current *session.Session) error {
	if !f.reverify {
		return nil
	}
	identity := current.Login.Identity
	err := f.clients.forIdentity(identity).Reverify(ctx, identity)
	if err == nil || errors.Is(err, oidc.ErrUnavailable) {
		return err
	}
	ended := store.EndIfUnchanged(context.WithoutCancel(ctx), id, current)
	if ended == nil {
		f.log.Info("session ended: its tokens no longer verify", "issuer", identity.Issuer, "sub", identity.Subject, "error", err)
		f.audit.Write(audit.Event{
			Event: audit.Logout, How: audit.ByVerification, Route: f.route,
			Issuer: identity.Issuer, Subject: identity.Subject, ClientID: current.Login.ClientID,
		})
	}
	return errors.Join(session.ErrEnded, ended)
}
