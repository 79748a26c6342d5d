package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// sessions proves who a request is for by the session that a login began: one cookie holds one login, so each client of the
// route has a cookie.
type sessions struct {
	*sessionCookies
	refresh        sessionRefresh
	reverify       bool // tokens are verified at each request
	trustedOrigins []string
	now            func() time.Time
	log            *slog.Logger
}

var sessionKind = Kind{
	Name: "session", role: roleSession, defaultOn: true, exchangeable: true,
	check: checkSession,
	paths: func(_ view, base string) []OwnPath {
		return []OwnPath{{Endpoint: "logout", Path: logoutPath(base), Key: "paths", Shared: true}}
	},
}

func newSessions(b *base) *sessions {
	s, id := of[SessionSettings](b.view), loginIDOf(b.view)
	return &sessions{
		sessionCookies: &sessionCookies{
			clients: b.clients, store: b.Sessions, keyring: b.Keyring, cookies: newSessionCookies(s, id, b.MultiIssuer), audience: id.audience,
		},
		refresh: sessionRefresh{
			clients: b.clients, store: b.Sessions, on: s.RefreshTokens, leeway: of[oidc.IssuerSettings](b.view).Leeway,
			searchUserinfo: b.searchUserinfo != nil, now: b.Now, log: b.Log,
		},
		reverify: s.Reverify, trustedOrigins: s.TrustedOrigins, now: b.Now, log: b.Log,
	}
}

// Authenticate tries the login of the client that the request chooses, then those of the others.
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

// authenticate judges the cookie of one client's login.
func (f *sessions) authenticate(r *auth.Request, n int) (*auth.Result, error) {
	id, ok := f.id(r, n)
	if !ok {
		return nil, f.noSession(r, n)
	}
	for range maxResumes {
		res, err := f.resume(r, n, id)
		if !errors.Is(err, session.ErrChanged) {
			return res, err
		}
	}
	return nil, auth.Unavailable("session_store_unavailable", session.ErrChanged)
}

// attempts is how often a session is judged again that another request has changed while it was judged.
const maxResumes = 3

// judge judges a session. ErrChanged says that it is no longer what was judged.
func (f *sessions) resume(r *auth.Request, n int, id session.ID) (*auth.Result, error) {
	opened, err := f.store.Open(r.Context(), id)
	if err == nil && !f.matches(n, opened.Session) {
		err = errForeign
	}
	if err != nil {
		return nil, f.sessionError(r, n, err)
	}
	if err := checkUpgrade(r, f.trustedOrigins); err != nil {
		return nil, err
	}
	current, err := f.refresh.ensureFresh(r.Context(), opened)
	if err == nil {
		err = f.checkTokens(r.Context(), opened.ID, current)
	}
	if err != nil {
		return nil, f.sessionError(r, n, err)
	}
	res := &auth.Result{Identity: current.Login.Identity}
	if opened.Rotated {
		res.Header, err = f.setCookie(r, n, opened.ID)
	}
	if err != nil {
		return nil, err
	}
	return res, nil
}

// errForeign says that a cookie of ours holds a login that isn't this route's: it was set on another host, or before the
// settings changed.
var errForeign = errors.New("the session is of another issuer, client or session_audience")

// none returns the error for a request without a session. A cookie that doesn't open is cleared.
func (f *sessions) noSession(r *auth.Request, n int) error {
	if len(r.CookieValues(f.cookies[n].fullName(r))) == 0 {
		return auth.ErrNoCredential
	}
	return auth.WithHeader(fmt.Errorf("the session cookie doesn't open: %w", auth.ErrNoCredential), f.clearCookie(r, n))
}

// ended turns the end of a session into the search for another credential, and a store or issuer that is away into a 503:
// a session that can't be read is not a session that is over.
//
// The cookie is cleared where this request has proved it worthless. Browsers clear by name, so a request that was under way
// while a login or a rotation set the cookie anew would delete the new one: the store remembers for longer than requests are
// under way that an ID was replaced, and then nothing is cleared. Nothing is lost: the browser has the new cookie.
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

// checkTokens ends a session whose tokens the issuer's keys don't verify any more, where that is asked for: if the store still
// has the tokens that were judged, and not those of a refresh since then.
func (f *sessions) checkTokens(ctx context.Context, id session.ID, current *session.Session) error {
	if !f.reverify {
		return nil
	}
	identity := current.Login.Identity
	err := f.clients.forIdentity(identity).Reverify(ctx, identity)
	if err == nil || errors.Is(err, oidc.ErrUnavailable) {
		return err
	}
	ended := f.store.EndIfUnchanged(context.WithoutCancel(ctx), id, current)
	if ended == nil {
		f.log.Info("session ended, because its tokens don't verify any more", "issuer", identity.Issuer, "sub", identity.Subject, "error", err)
	}
	return errors.Join(session.ErrEnded, ended)
}
