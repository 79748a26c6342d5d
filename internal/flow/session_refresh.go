package flow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sallyport/internal/auth"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
	"time"
)

const (
	// refreshAhead is how long before its expiry an access token is refreshed, besides the leeway, so that it doesn't
	// expire on its way to the upstream.
	refreshAhead = 5 * time.Second
)

// sessionRefresh refreshes the tokens of sessions.
type sessionRefresh struct {
	clients        *clients
	store          *session.Sessions
	on             bool // refresh_tokens
	leeway         time.Duration
	searchUserinfo bool // userinfo is asked again with refreshed tokens
	now            func() time.Time
	log            *slog.Logger
}

// fresh returns the session with an access token that lives, refreshed if it is about to expire. A session whose token is
// still good goes on while the issuer is away.
func (f *sessionRefresh) ensureFresh(ctx context.Context, opened *session.Opened) (*session.Session, error) {
	l := &opened.Session.Login
	if !f.due(l) {
		return opened.Session, nil
	}
	expired := !f.now().Before(l.Identity.Tokens.Expiry)
	if !f.on || l.Identity.Tokens.RefreshToken == "" {
		if expired {
			return nil, errors.Join(errAccessTokenExpired, f.store.EndIfUnchanged(ctx, opened.ID, opened.Session))
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
var errAccessTokenExpired = fmt.Errorf("%w: its access token is spent and can't be refreshed", session.ErrEnded)

// due reports whether the access token is expired or about to. The leeway makes that sooner, but by half of the token's life at
// most, or a short one would be refreshed at every request.
func (f *sessionRefresh) due(l *session.Login) bool {
	exp := l.Identity.Tokens.Expiry
	ahead := refreshAhead + max(0, min(f.leeway, exp.Sub(l.Obtained)/2))
	if l.RefreshFailed {
		ahead = 0
	}
	return !exp.IsZero() && !f.now().Add(ahead).Before(exp)
}

// renew refreshes the tokens of a login (RFC 6749 §6, OIDC Core §12). Sessions calls it once for all who ask.
func (f *sessionRefresh) renew(ctx context.Context, current *session.Session) (*session.Session, error) {
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
		return f.refreshError(current, err)
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
func (f *sessionRefresh) refreshError(current *session.Session, err error) (*session.Session, error) {
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

// renewUserinfo asks userinfo with the access token of a refresh, where search_user_info asks it at all. While it can't be asked, the
// answer before stays; one about another subject ends the session (OIDC Core §5.3.2).
func (f *sessionRefresh) renewUserinfo(ctx context.Context, client *oidc.Client, i *auth.Identity) (*auth.Identity, error) {
	if !f.searchUserinfo || i.Tokens.AccessToken == "" {
		return i, nil
	}
	u, err := client.UserinfoAgain(ctx, i.Tokens.AccessToken)
	renewed := *i
	switch {
	case errors.Is(err, oidc.ErrInactive), errors.Is(err, oidc.ErrNobody):
		renewed.Userinfo, renewed.UserinfoJWT = nil, ""
	case err != nil:
		f.log.Warn("userinfo can't be asked after a refresh, so what it said before stays", "issuer", i.Issuer, "sub", i.Subject, "error", err)
		return i, nil
	case u.Claims.String("sub") != i.Subject:
		f.log.Warn("session ended, because userinfo is about another subject", "issuer", i.Issuer, "sub", i.Subject)
		return nil, fmt.Errorf("%w: userinfo is about another subject", session.ErrEnded)
	default:
		renewed.Userinfo, renewed.UserinfoJWT = u.Claims, u.JWT
	}
	return &renewed, nil
}
