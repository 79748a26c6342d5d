package flow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// SessionSettings are the session cookie's attributes and what a session does besides proving who it is.
type SessionSettings struct {
	SessionCookieName     string   `yaml:"session_cookie_name"` // default session_ and 8 hex digits of the issuer, client and audience
	SessionCookiePath     string   `yaml:"session_cookie_path" default:"/"`
	SessionCookieDomain   string   `yaml:"session_cookie_domain"`
	SessionCookieSameSite string   `yaml:"session_cookie_same_site" default:"Lax" enum:"Default,Lax,None,Strict"`
	SessionCookieHTTPOnly bool     `yaml:"session_cookie_http_only" default:"true"`
	SessionCookieSecure   *bool    `yaml:"session_cookie_secure"`
	RefreshTokens         bool     `yaml:"refresh_tokens" default:"true"`
	Reverify              bool     `yaml:"reverify" default:"false"`                                                                                                                                                                                                            // the tokens of a session are verified at each request
	DisableSession        []string `yaml:"disable_session" default:"[bearer, client_credentials, introspection, kong_oauth2, password, refresh_token, userinfo]" enum:"authorization_code,bearer,client_credentials,introspection,kong_oauth2,password,refresh_token,userinfo"` // flows whose success begins no session
	TrustedOrigins        []string `yaml:"trusted_origins"`                                                                                                                                                                                                                     // besides the request's own, for an Upgrade that a cookie or Basic authenticates
}

const (
	// refreshAhead is how long before its expiry an access token is refreshed, besides the leeway, so that it doesn't
	// expire on its way to the upstream.
	refreshAhead = 5 * time.Second
	maxCookies   = 4 // of the session's name that are tried: a neighbouring host may have set one for the domain
)

// errEnded says that a session's tokens are spent and can't be renewed.
var errEnded = errors.New("the session's access token is spent and can't be refreshed")

// sessions proves who a request is for by the session that a login began.
type sessions struct {
	clients  *clients
	store    *session.Sessions
	keyring  *keyring.Keyring
	cookie   cookie
	audience string
	refresh  bool
	leeway   time.Duration
	again    bool // tokens are verified at each request
	trusted  []string
	logout   logout
	now      func() time.Time
	log      *slog.Logger
}

func newSession(s *Settings, d *Deps) auth.Flow {
	f := &sessions{
		clients: d.clients, store: d.Sessions, keyring: d.Keyring, cookie: sessionCookie(s, d), audience: loginName(s),
		refresh: s.RefreshTokens, leeway: s.Client.Leeway, again: s.Reverify, trusted: s.TrustedOrigins, now: d.Now, log: d.Log,
	}
	f.logout = logout{LogoutSettings: s.LogoutSettings, sessions: f, path: PathBelow(d.Base, "oauth2/logout"), home: d.Base, log: d.Log}
	return f
}

// loginName is what tells logins of one issuer and client apart in a session. Where anybody can write a token, what one has
// begun proves nothing to routes that verify.
func loginName(s *Settings) string {
	name := s.Session.Audience
	if !s.Client.VerifySignature {
		name += "\x00unsigned"
	}
	if !s.Client.VerifyClaims {
		name += "\x00unjudged"
	}
	return name
}

// sessionCookie is the cookie of a route's session. Its default name tells issuers and clients on one host apart.
func sessionCookie(s *Settings, d *Deps) cookie {
	name := s.SessionCookieName
	if name == "" {
		name = "session_" + mark(d.Clients[0], s.Session.Audience)
	}
	return newCookie(name, s.SessionCookiePath, s.SessionCookieDomain, s.SessionCookieSameSite, s.SessionCookieHTTPOnly, s.SessionCookieSecure)
}

// mark is 8 hex digits that stand for an issuer, a client and an audience.
func mark(c *oidc.Client, audience string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{c.Issuer().URL(), c.ID, audience}, "\x00")))
	return hex.EncodeToString(sum[:4])
}

func (f *sessions) Endpoints() []auth.Endpoint {
	return f.logout.endpoints()
}

func (f *sessions) Authenticate(r *auth.Request) (*auth.Result, error) {
	id, found := f.id(r)
	if !found {
		return f.none(r)
	}
	opened, err := f.store.Open(r.Context(), id)
	if err != nil {
		return f.gone(r, err)
	}
	audience := f.ours(r, opened.Session)
	if audience == nil { // a live session of another client that shares the cookie's name: not ours, not ours to clear
		return nil, auth.ErrNoCredential
	}
	if err := checkUpgrade(r, f.trusted); err != nil {
		return nil, err
	}
	identity, err := f.fresh(r.Context(), opened.ID, audience)
	if err != nil {
		return f.gone(r, err)
	}
	if err := f.reverify(r.Context(), opened.ID, identity); err != nil {
		return f.gone(r, err)
	}
	res := &auth.Result{Identity: identity}
	if opened.Renewed {
		res.Header, err = f.setCookie(r, opened.ID)
	}
	return res, err
}

// ours is the login in a session that is of this route's issuer and client: of the client that the request chooses, else
// of any.
func (f *sessions) ours(r *auth.Request, s *session.Session) *session.Audience {
	issuer := f.clients.first().Issuer().URL()
	if a := s.Audience(f.audience, issuer, f.clients.of(r).ID); a != nil {
		return a
	}
	for _, client := range f.clients.list {
		if a := s.Audience(f.audience, issuer, client.ID); a != nil {
			return a
		}
	}
	return nil
}

// id returns the session ID of the request's cookie.
func (f *sessions) id(r *auth.Request) (id session.ID, found bool) {
	name := f.cookie.fullName(r)
	values := r.CookieValues(name)
	for _, value := range values[:min(len(values), maxCookies)] {
		if id, ok := f.keyring.OpenID(name, value); ok {
			return id, true
		}
	}
	return id, false
}

// none is the answer to a request without a session. A cookie that doesn't open is cleared.
func (f *sessions) none(r *auth.Request) (*auth.Result, error) {
	if len(r.CookieValues(f.cookie.fullName(r))) == 0 {
		return nil, auth.ErrNoCredential
	}
	return &auth.Result{Header: f.clearCookie(r)}, fmt.Errorf("the session cookie doesn't open: %w", auth.ErrNoCredential)
}

// gone turns the end of a session into the search for another credential, and a store or issuer that is away into a 503:
// a session that can't be read is not a session that is over.
func (f *sessions) gone(r *auth.Request, err error) (*auth.Result, error) {
	switch {
	case errors.Is(err, session.ErrNotFound), errors.Is(err, errEnded):
		return &auth.Result{Header: f.clearCookie(r)}, fmt.Errorf("%w: %w", auth.ErrNoCredential, err)
	case errors.Is(err, session.ErrUnavailable):
		return nil, auth.Unavailable("session_store_unavailable", err)
	case errors.Is(err, oidc.ErrUnavailable):
		return nil, auth.Unavailable("issuer_unavailable", err)
	}
	return nil, err
}

// fresh returns the identity with an access token that lives, refreshed if it is about to expire. A session whose token is
// still good goes on while the issuer is away.
func (f *sessions) fresh(ctx context.Context, id session.ID, a *session.Audience) (*auth.Identity, error) {
	identity := a.Identity
	if !f.due(a) {
		return identity, nil
	}
	expired := !f.now().Before(identity.Tokens.Expiry)
	if !f.refresh || identity.Tokens.RefreshToken == "" {
		if expired {
			return nil, errors.Join(errEnded, f.store.End(ctx, id))
		}
		return identity, nil
	}
	renewed, err := f.update(ctx, id, a)
	switch {
	case err == nil:
		return renewed.Identity, nil
	case errors.Is(err, errEnded):
		return nil, errors.Join(err, f.store.End(context.WithoutCancel(ctx), id))
	case !expired && (errors.Is(err, oidc.ErrUnavailable) || errors.Is(err, session.ErrUnavailable)):
		return identity, nil
	}
	return nil, err
}

// update refreshes the tokens of a login. An update of the session that was under way already may have been for another login
// in it: then it asks again.
func (f *sessions) update(ctx context.Context, id session.ID, a *session.Audience) (*session.Audience, error) {
	for range 3 {
		s, err := f.store.Update(ctx, id, func(ctx context.Context, current *session.Session) (*session.Session, error) {
			return f.renew(ctx, current, a.Issuer, a.ClientID)
		})
		if err != nil {
			return nil, err
		}
		next := s.Audience(f.audience, a.Issuer, a.ClientID)
		switch {
		case next == nil:
			return nil, session.ErrNotFound
		case next.Updated.After(a.Updated) || !f.due(next):
			return next, nil
		}
	}
	return nil, fmt.Errorf("%w: other logins in the session kept being refreshed", session.ErrUnavailable)
}

// reverify ends a session whose tokens the issuer's keys don't verify any more, where that is asked for.
func (f *sessions) reverify(ctx context.Context, id session.ID, identity *auth.Identity) error {
	if !f.again {
		return nil
	}
	err := f.clients.ofIdentity(identity).Reverify(ctx, identity)
	if err == nil || errors.Is(err, oidc.ErrUnavailable) {
		return err
	}
	f.log.Info("session ended, because its tokens don't verify any more", "issuer", identity.Issuer, "sub", identity.Subject, "error", err)
	return errors.Join(errEnded, f.store.End(context.WithoutCancel(ctx), id))
}

// due reports whether the access token is expired or about to. The leeway makes that sooner, but by half of the token's life at
// most, or a short one would be refreshed at every request.
func (f *sessions) due(a *session.Audience) bool {
	exp := a.Identity.Tokens.Expiry
	ahead := refreshAhead + max(0, min(f.leeway, exp.Sub(a.Updated)/2))
	return !exp.IsZero() && f.now().Add(ahead).After(exp)
}

// renew refreshes the tokens of one login in a session (RFC 6749 §6, OIDC Core §12). Sessions calls it once for all who ask.
func (f *sessions) renew(ctx context.Context, current *session.Session, issuer, clientID string) (*session.Session, error) {
	a, client := current.Audience(f.audience, issuer, clientID), f.clients.byID(clientID)
	if a == nil || client == nil {
		return nil, session.ErrNotFound
	}
	if !f.due(a) {
		return current, nil // somebody else was quicker
	}
	t, err := client.Refresh(ctx, a.Identity.Tokens.RefreshToken, oidc.Extra{})
	if errors.Is(err, oidc.ErrRefused) {
		f.log.Info("session ended, because its refresh was refused", "issuer", a.Issuer, "sub", a.Subject, "error", err)
		return nil, fmt.Errorf("%w: %w", errEnded, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", oidc.ErrUnavailable, err)
	}
	identity, err := client.Reissued(ctx, a.Identity, t.Tokens)
	switch {
	case errors.Is(err, oidc.ErrUnavailable):
		return nil, err
	case err != nil: // OIDC Core §12.2: it may be about somebody else
		f.log.Warn("session ended, because the tokens of its refresh don't verify", "issuer", a.Issuer, "sub", a.Subject, "error", err)
		return nil, fmt.Errorf("%w: %w", errEnded, err)
	}
	next := *a
	next.Identity, next.Updated = identity, f.now()
	return current.With(next), nil
}

// begin starts the session under a new ID, whatever ID the browser had before, as the login of one of our clients. It
// returns the header that sets its cookie.
func (f *sessions) begin(r *auth.Request, clientID string, identity *auth.Identity) (http.Header, error) {
	var before *session.ID
	if id, found := f.id(r); found {
		before = &id
	}
	id, _, err := f.store.Start(context.WithoutCancel(r.Context()), before, session.Audience{
		Name: f.audience, Issuer: identity.Issuer, ClientID: clientID, Subject: identity.Subject, SID: sid(identity),
		Identity: identity, Updated: f.now(),
	})
	if err != nil {
		return nil, err
	}
	return f.setCookie(r, id)
}

// start begins a session after a flow that isn't a login of a browser.
func (f *sessions) start(r *auth.Request, res *auth.Result) (*auth.Result, error) {
	identity := *res.Identity
	identity.Flow = "session"
	if res.Identity.Flow == "refresh_token" {
		identity.Tokens.RefreshToken = "" // the caller has it: of two who use it the second would end the grant
	}
	header, err := f.begin(r, f.clients.of(r).ID, &identity)
	if err != nil {
		return nil, auth.Unavailable("session_store_unavailable", err)
	}
	out := *res
	out.Header = auth.MergeHeader(header, res.Header)
	return &out, nil
}

// sid is the provider's own session (OIDC Back-Channel Logout §2.1), by which a logout elsewhere finds ours.
func sid(identity *auth.Identity) string { return identity.IDToken.String("sid") }

func (f *sessions) setCookie(r *auth.Request, id session.ID) (http.Header, error) {
	name := f.cookie.fullName(r)
	value, err := f.keyring.SignID(name, id)
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	f.cookie.set(h, r, name, value, 0)
	return h, nil
}

func (f *sessions) clearCookie(r *auth.Request) http.Header {
	h := http.Header{}
	f.cookie.set(h, r, f.cookie.fullName(r), "", -1)
	return h
}
