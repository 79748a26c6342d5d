package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// SessionSettings are the session cookie's attributes and what a session does besides proving who it is.
type SessionSettings struct {
	SessionCookieName string         `yaml:"session_cookie_name"` // default session_ and 8 hex digits of the issuer, client and audience
	SessionCookie     CookieSettings `yaml:",inline" prefix:"session_cookie_"`
	RefreshTokens     bool           `yaml:"refresh_tokens" default:"true"`
	Reverify          bool           `yaml:"reverify" default:"false"` // the tokens of a session are verified at each request
	DisableSession    []Method       `yaml:"disable_session"`          // flows whose success begins no session
	TrustedOrigins    []string       `yaml:"trusted_origins"`          // besides the request's own, for an Upgrade that a cookie or Basic authenticates
}

const (
	// refreshAhead is how long before its expiry an access token is refreshed, besides the leeway, so that it doesn't
	// expire on its way to the upstream.
	refreshAhead = 5 * time.Second
	maxCookies   = 4 // of the session's name that are tried: a neighbouring host may have set one for the domain
)

// sessions proves who a request is for by the session that a login began: one cookie holds one login, so each client of the
// route has a cookie.
type sessions struct {
	clients  *clients
	store    *session.Sessions
	keyring  *keyring.Keyring
	cookies  []cookie // by the index of client_id
	audience string
	refresh  bool
	leeway   time.Duration
	reverify bool // tokens are verified at each request
	searches bool // userinfo is asked again with refreshed tokens
	trusted  []string
	logout   logout
	now      func() time.Time
	log      *slog.Logger
}

var sessionKind = Kind{
	Name: "session", new: func(b *base, _ *Kind) auth.Flow { return b.sessions }, role: remembers, on: true, exchangeable: true,
	check: checkSession,
	paths: func(_ *Settings, base string) []OwnPath {
		return []OwnPath{{Endpoint: "logout", Path: logoutPath(base), Key: "paths", Shared: true}}
	},
}

func newSessions(b *base) *sessions {
	f := &sessions{
		clients: b.clients, store: b.Sessions, keyring: b.Keyring, cookies: sessionCookies(b.Settings, b.Several), audience: loginName(b.Settings),
		refresh: b.RefreshTokens, leeway: b.Settings.Client.Leeway, reverify: b.Reverify, searches: b.SearchUserInfo, trusted: b.TrustedOrigins,
		now: b.Now, log: b.Log,
	}
	f.logout = logout{
		LogoutSettings: b.LogoutSettings, sessions: f, path: logoutPath(b.Base), home: b.Base, rounds: marker(loginCookie(b)), log: b.Log,
	}
	return f
}

func (f *sessions) Endpoints() []auth.Endpoint {
	return f.logout.endpoints()
}

// Authenticate tries the login of the client that the request chooses, then those of the others.
func (f *sessions) Authenticate(r *auth.Request) (*auth.Result, error) {
	chosen := f.clients.index(r)
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
	id, found := f.id(r, n)
	if !found {
		return nil, f.none(r, n)
	}
	for range attempts {
		res, err := f.judge(r, n, id)
		if !errors.Is(err, session.ErrChanged) {
			return res, err
		}
	}
	return nil, auth.Unavailable("session_store_unavailable", session.ErrChanged)
}

// attempts is how often a session is judged again that another request has changed while it was judged.
const attempts = 3

// judge judges a session. ErrChanged says that it is no longer what was judged.
func (f *sessions) judge(r *auth.Request, n int, id session.ID) (*auth.Result, error) {
	opened, err := f.store.Open(r.Context(), id)
	if err == nil && !f.ours(n, opened.Session) {
		err = errForeign
	}
	if err != nil {
		return nil, f.ended(r, n, err)
	}
	if err := checkUpgrade(r, f.trusted); err != nil {
		return nil, err
	}
	current, err := f.fresh(r.Context(), opened)
	if err == nil {
		err = f.checkTokens(r.Context(), opened.ID, current)
	}
	if err != nil {
		return nil, f.ended(r, n, err)
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

// ours reports whether a session is a login of this route's issuer and audience, for one of its clients.
func (f *sessions) ours(n int, s *session.Session) bool {
	client, l := f.clients.list[n], &s.Login
	return l.Issuer == client.Issuer().URL() && l.ClientID == client.ID && l.Audience == f.audience
}

// none returns the error for a request without a session. A cookie that doesn't open is cleared.
func (f *sessions) none(r *auth.Request, n int) error {
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
func (f *sessions) ended(r *auth.Request, n int, err error) error {
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

// fresh returns the session with an access token that lives, refreshed if it is about to expire. A session whose token is
// still good goes on while the issuer is away.
func (f *sessions) fresh(ctx context.Context, opened *session.Opened) (*session.Session, error) {
	l := &opened.Session.Login
	if !f.due(l) {
		return opened.Session, nil
	}
	expired := !f.now().Before(l.Identity.Tokens.Expiry)
	if !f.refresh || l.Identity.Tokens.RefreshToken == "" {
		if expired {
			return nil, errors.Join(errSpent, f.store.EndIfUnchanged(ctx, opened.ID, opened.Session))
		}
		return opened.Session, nil
	}
	renewed, err := f.store.Update(ctx, opened.ID, f.renew)
	switch {
	case err == nil:
		return renewed, nil
	case !expired && (errors.Is(err, oidc.ErrUnavailable) || errors.Is(err, session.ErrUnavailable)) && !errors.Is(err, session.ErrEnded):
		return opened.Session, nil
	}
	return nil, err
}

// errSpent ends a session whose access token nothing can refresh.
var errSpent = fmt.Errorf("%w: its access token is spent and can't be refreshed", session.ErrEnded)

// checkTokens ends a session whose tokens the issuer's keys don't verify any more, where that is asked for: if the store still
// has the tokens that were judged, and not those of a refresh since then.
func (f *sessions) checkTokens(ctx context.Context, id session.ID, current *session.Session) error {
	if !f.reverify {
		return nil
	}
	identity := current.Login.Identity
	err := f.clients.ofIdentity(identity).Reverify(ctx, identity)
	if err == nil || errors.Is(err, oidc.ErrUnavailable) {
		return err
	}
	ended := f.store.EndIfUnchanged(context.WithoutCancel(ctx), id, current)
	if ended == nil {
		f.log.Info("session ended, because its tokens don't verify any more", "issuer", identity.Issuer, "sub", identity.Subject, "error", err)
	}
	return errors.Join(session.ErrEnded, ended)
}

// due reports whether the access token is expired or about to. The leeway makes that sooner, but by half of the token's life at
// most, or a short one would be refreshed at every request.
func (f *sessions) due(l *session.Login) bool {
	exp := l.Identity.Tokens.Expiry
	ahead := refreshAhead + max(0, min(f.leeway, exp.Sub(l.Obtained)/2))
	if l.RefreshFailed {
		ahead = 0
	}
	return !exp.IsZero() && !f.now().Add(ahead).Before(exp)
}

// renew refreshes the tokens of a login (RFC 6749 §6, OIDC Core §12). Sessions calls it once for all who ask.
func (f *sessions) renew(ctx context.Context, current *session.Session) (*session.Session, error) {
	l := current.Login
	client := f.clients.byID(l.ClientID)
	if client == nil {
		return nil, session.ErrNotFound
	}
	if !f.due(&l) {
		return current, nil // another request was quicker
	}
	t, err := client.Refresh(ctx, l.Identity.Tokens.RefreshToken)
	if err != nil {
		return f.unrefreshed(current, err)
	}
	identity, err := client.Reissued(ctx, l.Identity, t.Tokens)
	switch {
	case oidc.IsOutage(err):
		return nil, err
	case err != nil: // OIDC Core §12.2: it may be about another subject
		f.log.Warn("session ended, because the tokens of its refresh don't verify", "issuer", l.Issuer, "sub", l.Subject, "error", err)
		return nil, fmt.Errorf("%w: %w", session.ErrEnded, err)
	}
	identity.Session = true
	if l.Identity, err = f.renewUserinfo(ctx, client, identity); err != nil {
		return nil, err
	}
	l.Obtained, l.RefreshFailed = f.now(), false
	return current.With(l), nil
}

// unrefreshed is what becomes of a session whose refresh the authorization server didn't grant. A verdict on the grant ends it. What only
// the operator can mend lets it go on while its access token lives, and is tried once more at the end of that. An outage changes nothing.
func (f *sessions) unrefreshed(current *session.Session, err error) (*session.Session, error) {
	l := current.Login
	switch {
	case errors.Is(err, oidc.ErrRefused):
		f.log.Info("session ended, because its refresh was refused", "issuer", l.Issuer, "sub", l.Subject, "error", err)
	case oidc.IsOutage(err):
		return nil, err
	case f.now().Before(l.Identity.Tokens.Expiry):
		f.log.Error("a session can't be refreshed, and goes on until its access token expires", "issuer", l.Issuer, "sub", l.Subject, "error", err)
		l.RefreshFailed = true
		return current.With(l), nil
	default:
		f.log.Error("session ended, because it can't be refreshed", "issuer", l.Issuer, "sub", l.Subject, "error", err)
	}
	return nil, fmt.Errorf("%w: %w", session.ErrEnded, err)
}
