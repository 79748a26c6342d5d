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

// refreshAhead is how long before its expiry an access token is refreshed, besides the leeway, so that it does not expire on the
// way to the upstream.
const refreshAhead = 5 * time.Second

// sessionRefresh refreshes the tokens of sessions.
type sessionRefresh struct {
	clients        *clients
	on             bool // refresh_tokens
	leeway         time.Duration
	tokenParam     string // revocation_token_param_name
	searchUserinfo bool   // whether a refresh repeats the userinfo request
	now            func() time.Time
	log            *slog.Logger
	audit          *audit.Log
	route          string
}

// ensureFresh returns the session with a valid access token. It refreshes a token that is about to expire. A session whose
// token is still valid continues while the authorization server is unavailable.
func (f *sessionRefresh) ensureFresh(ctx context.Context, store sessionStore, opened *session.Opened) (*session.Session, error) {
	l := &opened.Session.Login
	if !f.due(l) {
		return opened.Session, nil
	}
	expired := !f.now().Before(l.Identity.Tokens.Expiry)
	if !f.on || l.Identity.Tokens.RefreshToken == "" {
		if expired {
			return nil, errors.Join(errAccessTokenExpired, store.EndIfUnchanged(ctx, opened.ID, opened.Session))
		}
		return opened.Session, nil
	}
	renewed, err := store.Update(ctx, opened.ID, f.renew, f.revoke)
	switch {
	case err == nil:
		return renewed, nil
	case !expired && (errors.Is(err, oidc.ErrUnavailable) || errors.Is(err, session.ErrUnavailable)) && !errors.Is(err, session.ErrEnded):
		return opened.Session, nil
	}
	return nil, err
}

// errAccessTokenExpired ends a session whose access token has expired and cannot be refreshed.
var errAccessTokenExpired = fmt.Errorf("%w: its access token has expired and can't be refreshed", session.ErrEnded)

// due reports whether the access token has expired or is about to, or is bound to a certificate that was replaced. The leeway makes a
// refresh due earlier. A short-lived token is refreshed after a quarter of its life at the earliest: otherwise it would be refreshed at
// every request.
func (f *sessionRefresh) due(l *session.Login) bool {
	if f.certificateReplaced(l) {
		return true
	}
	exp := l.Identity.Tokens.Expiry
	life := max(0, exp.Sub(l.Obtained))
	ahead := min(refreshAhead, life/4) + min(f.leeway, life/2)
	if l.RefreshFailed {
		ahead = 0
	}
	return !exp.IsZero() && !f.now().Add(ahead).Before(exp)
}

// rebindAfter is the least time between two refreshes of a session for another certificate: replicas may read it at different times.
const rebindAfter = 10 * time.Second

// certificateReplaced reports whether the tokens were requested with another client certificate than the current one. Then the access token
// may be bound to the one before (RFC 8705 §3), which upstreams don't see any more.
func (f *sessionRefresh) certificateReplaced(l *session.Login) bool {
	client := f.clients.byID(l.ClientID)
	if client == nil || l.RefreshFailed || l.Identity.Presented || l.Identity.Tokens.Certificate == client.Certificate() {
		return false
	}
	return f.now().Sub(l.Obtained) >= rebindAfter
}

// renew refreshes the tokens of a login (RFC 6749 §6, OIDC Core §12). The session store calls it once for all concurrent
// requests of a session.
func (f *sessionRefresh) renew(ctx context.Context, current *session.Session) (*session.Session, error) {
	l := current.Login
	client := f.clients.byID(l.ClientID)
	if client == nil {
		return nil, session.ErrNotFound
	}
	if !f.due(&l) {
		return current, nil // another request refreshed them
	}
	t, err := client.Refresh(ctx, l.Identity.Tokens)
	if err != nil {
		return f.refreshError(current, err)
	}
	identity, err := client.Reissued(ctx, l.Identity, t.Tokens)
	switch {
	case oidc.IsOutage(err):
		return nil, err
	case err != nil: // the tokens may be about another subject (OIDC Core §12.2)
		f.log.Warn("session ended: the refreshed tokens don't verify", "issuer", l.Issuer, "sub", l.Subject, "error", err)
		return nil, f.ended(&l, err)
	}
	identity.Session = true
	if l.Identity, err = f.renewUserinfo(ctx, client, identity); err != nil {
		return nil, err
	}
	l.Obtained, l.RefreshFailed = f.now(), false
	return current.With(l), nil
}

// revoke revokes the refresh token of a session that ended while it was refreshed (RFC 7009). Otherwise the token would outlive the logout.
func (f *sessionRefresh) revoke(ctx context.Context, refreshed *session.Session) {
	l := &refreshed.Login
	client := f.clients.byID(l.ClientID)
	if client == nil || l.Identity.Tokens.RefreshToken == "" {
		return
	}
	if err := client.Revoke(ctx, l.Identity.Tokens.RefreshToken, "refresh_token", f.tokenParam); err != nil {
		f.log.Warn("the refresh token of a session that ended during its refresh could not be revoked",
			"issuer", l.Issuer, "sub", l.Subject, "error", err)
	}
}

// refreshError returns the state of a session after a failed refresh. A refusal of the grant ends the session. An error that
// only the operator can fix lets it continue until the access token expires; then the refresh is tried once more. An outage
// changes nothing.
func (f *sessionRefresh) refreshError(current *session.Session, err error) (*session.Session, error) {
	l := current.Login
	switch {
	case errors.Is(err, oidc.ErrRefused):
		f.log.Info("session ended: the authorization server refused the refresh", "issuer", l.Issuer, "sub", l.Subject, "error", err)
	case oidc.IsOutage(err):
		return nil, err
	case f.now().Before(l.Identity.Tokens.Expiry):
		f.log.Error("session can't be refreshed, and continues until its access token expires",
			"issuer", l.Issuer, "sub", l.Subject, "error", err)
		l.RefreshFailed = true
		return current.With(l), nil
	default:
		f.log.Error("session ended: it can't be refreshed", "issuer", l.Issuer, "sub", l.Subject, "error", err)
	}
	return nil, f.ended(&l, err)
}

// ended returns the error that ends a session whose refresh failed for good.
func (f *sessionRefresh) ended(l *session.Login, err error) error {
	f.audit.Write(audit.Event{
		Event: audit.Logout, How: audit.ByRefresh, Route: f.route, Issuer: l.Issuer, Subject: l.Subject, ClientID: l.ClientID,
	})
	return fmt.Errorf("%w: %w", session.ErrEnded, err)
}

// renewUserinfo repeats the userinfo request with the refreshed access token, if search_user_info is on. If the request
// fails, the session keeps the previous claims. A response about another subject ends the session (OIDC Core §5.3.2).
func (f *sessionRefresh) renewUserinfo(ctx context.Context, client *oidc.Client, i *auth.Identity) (*auth.Identity, error) {
	if !f.searchUserinfo || i.Tokens.AccessToken == "" {
		return i, nil
	}
	u, err := client.RefreshedUserinfo(ctx, i.Tokens)
	renewed := *i
	switch {
	case errors.Is(err, oidc.ErrInactive), errors.Is(err, oidc.ErrNoSubject):
		renewed.Userinfo, renewed.UserinfoJWT = nil, ""
	case err != nil:
		f.log.Warn("the userinfo request after a refresh failed, so the session keeps the previous claims",
			"issuer", i.Issuer, "sub", i.Subject, "error", err)
		return i, nil
	case u.Claims.String("sub") != i.Subject:
		f.log.Warn("session ended: userinfo is about another subject", "issuer", i.Issuer, "sub", i.Subject)
		return nil, f.ended(&session.Login{Issuer: i.Issuer, Subject: i.Subject, ClientID: client.ID},
			errors.New("userinfo is about another subject"))
	default:
		renewed.Userinfo, renewed.UserinfoJWT = u.Claims, u.JWT
	}
	return &renewed, nil
}
