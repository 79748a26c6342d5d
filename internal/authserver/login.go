package authserver

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/auth"
)

// ErrGone means that the provider no longer knows a user: the login was revoked, or the account was locked or deleted.
var ErrGone = errors.New("the provider says that the user is gone")

// The tokens of an MCP client outlive the login from which they came, so that a person needs to log in only once. The grant keeps the
// tokens of that login, and a refresh asks the provider with them whether the person is still there. A refresh token may be used only once,
// so each login serves one grant: the next needs a login of its own, which is mostly silent at the provider.

// loginDigest names the login of an identity, by its ID token, or if it has none by its refresh token.
func loginDigest(i *auth.Identity) digest {
	return sha256.Sum256([]byte("login\x00" + i.Issuer + "\x00" + i.Subject + "\x00" + cmp.Or(i.Tokens.IDToken, i.Tokens.RefreshToken)))
}

// keepsLogins reports whether the grants of this route keep the tokens of a login.
func (s *Site) keepsLogins(i *auth.Identity) bool { return s.Route.On && s.Ask != nil && i != nil }

// withUnused returns the users of a site without those whose login serves another grant: a browser may have a session at another issuer,
// too.
func (s *Site) withUnused(users auth.Chain) auth.Chain {
	if !s.Route.On {
		return users
	}
	users = slices.Clone(users)
	for n := range users {
		users[n].Flow = unusedLogins{users[n].Flow, s}
	}
	return users
}

// unusedLogins is a flow that finds logins, without those that serve another grant.
type unusedLogins struct {
	auth.Flow
	site *Site
}

// Authenticate returns the login of a request that serves no other grant: its error begins a new login if the refresh token belongs to one
// already.
func (u unusedLogins) Authenticate(r *auth.Request) (*auth.Result, error) {
	res, err := u.Flow.Authenticate(r)
	if err != nil || !u.site.keepsLogins(res.Identity) || res.Identity.Tokens.RefreshToken == "" {
		return res, err
	}
	used, err := u.site.store.used(r.Context(), loginDigest(res.Identity))
	if err == nil && used {
		err = fmt.Errorf("%w: the login serves another grant", auth.ErrNoCredential)
	}
	if err != nil {
		return nil, auth.WithHeader(err, res.Header)
	}
	return res, nil
}

// keepLogin adds the tokens of a login to the record of a code.
func (s *Site) keepLogin(ctx context.Context, rec *record, i *auth.Identity) error {
	if !s.keepsLogins(i) {
		return nil
	}
	if i.Tokens.RefreshToken != "" {
		first, err := s.store.use(ctx, loginDigest(i), s.now().Add(loginLife))
		if err == nil && !first {
			err = stale("", errors.New("the login serves another grant already"))
		}
		if err != nil {
			return err
		}
	}
	tokens := i.Tokens
	rec.Login, rec.Checked = &tokens, rec.Issued
	return nil
}

// loginLife is how long a login is remembered as used. A session in which it is found lasts no longer.
const loginLife = 31 * 24 * time.Hour

// recheck asks the provider about the user of a family, if it was not asked for mcp.recheck. It returns the family with what the provider
// says now. Only one of several refreshes asks. If the provider says that the user is gone, all tokens of the family are revoked. If it
// can't be asked nothing changes, and the next refresh asks again.
func (s *Site) recheck(r *auth.Request, c *client, was *record) (*record, error) {
	now := s.now()
	if !s.keepsLogins(was.User) || was.Login == nil || now.Sub(time.Unix(was.Checked, 0)) < s.Route.Recheck {
		return was, nil
	}
	asking := *was
	asking.Checked = now.Unix()
	if err := s.store.replace(r.Context(), was, &asking); err != nil {
		return nil, err
	}
	ctx := context.WithoutCancel(r.Context()) // the answer has tokens that a client that disconnects must not lose
	user := *was.User
	user.Tokens = *was.Login
	answer, err := s.Ask(ctx, &user)
	switch {
	case errors.Is(err, ErrGone):
		if err := s.endFamily(ctx, was.Family); err != nil {
			return nil, err
		}
		s.log.Info("all tokens of an authorization are revoked: its user is gone",
			"request_id", r.ID, "client_id", c.ClientID, "sub", was.Subject, "error", err)
		return nil, errRefresh.because(err.Error())
	case err != nil:
		s.log.Warn("the provider can't be asked whether a user is still there: the next refresh asks again",
			"request_id", r.ID, "client_id", c.ClientID, "sub", was.Subject, "error", err)
		return s.update(ctx, &asking, func(f *record) { f.Checked = was.Checked })
	}
	return s.update(ctx, &asking, func(f *record) {
		tokens := answer.Tokens
		f.Login, f.User = &tokens, withoutTokens(answer)
	})
}

// update changes a family, which other requests may change at the same time.
func (s *Site) update(ctx context.Context, was *record, change func(*record)) (*record, error) {
	for range maxTries {
		next := *was
		change(&next)
		err := s.store.replace(ctx, was, &next)
		if err == nil {
			return &next, nil
		}
		if !errors.Is(err, errChanged) {
			return nil, err
		}
		if was, err = s.store.family(ctx, was.Family); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: the tokens kept changing", ErrUnavailable)
}
