package authserver

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"sallyport/internal/auth"
)

var errRefresh = refuse("invalid_grant", "The refresh token is unknown, expired, used already, or another client's.")

// refresh exchanges a refresh token for an access token and the next refresh token (RFC 6749 §6). Each is good once: one
// that comes again was stolen from the client, or by it, and nobody can tell which; so all that came of the authorization
// ends (RFC 9700 §4.14.2). There is no grace for a client that lost the answer: it would be the thief's as well, and what
// the client loses is one login.
func (s *site) refresh(r *auth.Request, v auth.Visitor, c *client, p params) (*tokenAnswer, error) {
	if p["refresh_token"] == "" {
		return nil, refuse("invalid_request", "The refresh_token is missing.")
	}
	h, ok := s.mint.parse(refreshHandle, p["refresh_token"])
	if !ok {
		return nil, errRefresh
	}
	for range attempts {
		was, err := s.current(r, c, h)
		if err != nil {
			return nil, err
		}
		if err := s.renews(r, v, was, errRefresh); err != nil {
			return nil, err
		}
		scope, err := s.narrowed(c, was, p["scope"])
		if err != nil {
			return nil, err
		}
		next, fresh := s.next(c, was, scope)
		err = s.store.rotate(r.Context(), was, next)
		if err == nil {
			return answerOf(next, fresh), nil
		}
		if !errors.Is(err, errChanged) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: the tokens kept changing", ErrUnavailable)
}

// current returns the family of a refresh token that is its current one.
func (s *site) current(r *auth.Request, c *client, h handle) (*record, error) {
	was, err := s.store.family(r.Context(), h.family)
	d := h.digest()
	switch {
	case errors.Is(err, ErrUnknown):
		return nil, errRefresh.because("the refresh token is not kept: it expired, or was ended")
	case err != nil:
		return nil, err
	case was.ClientID != c.ClientID:
		return nil, errRefresh.because("the refresh token is another client's")
	case !bytes.Equal(was.Current, d[:]): // our check is on it, so it was good once
		return nil, s.reused(r, c, h)
	case was.expired(s.now()):
		return nil, errRefresh.because("the refresh token has expired")
	}
	return was, nil
}

// renews returns nil if a code or a refresh token may be exchanged here: this route has issued it, and its policy still lets
// the user pass. Else the error is refused, for a reason. Nothing is spent by it: the tokens work again once the configuration
// lets the user in again. An error that says nothing of the user, such as a server that can't be reached, stays what it is, so
// that the client tries again and keeps its tokens.
func (s *site) renews(r *auth.Request, v auth.Visitor, was *record, refused *refusal) error {
	switch {
	case was.Issuer != s.issuer(r):
		return refused.because(fmt.Sprintf("it was issued as %s, and this is %s", was.Issuer, s.issuer(r)))
	case was.User == nil: // a trusted page named the user: what is known stands in the access token, and is judged with it
		return nil
	}
	err := v.Authorize(was.User)
	if err == nil || !isVerdict(err) {
		return err
	}
	return refused.because("the route refuses its user: " + err.Error())
}

// isVerdict reports whether an error of a policy is its judgement of the user: 401 or 403.
func isVerdict(err error) bool {
	status := auth.AsError(err).Status
	return status == http.StatusForbidden || status == http.StatusUnauthorized
}

func (s *site) reused(r *auth.Request, c *client, h handle) error {
	if err := s.endFamily(r.Context(), h.family); err != nil {
		return err
	}
	s.log.Warn("a refresh token was used twice: all tokens of its authorization have ended", "request_id", r.ID, "client_id", c.ClientID)
	return errRefresh.because("the refresh token was used twice")
}

// narrowed is the scope of the next access token: what was granted, or less. It can't be widened (RFC 6749 §6), and what
// the client is no longer allowed is gone.
func (s *site) narrowed(c *client, was *record, asked string) (string, error) {
	left := stillAllowed(was.Scope, c.Scopes)
	if asked == "" {
		if left == "" && was.Scope != "" {
			return "", refuse("invalid_scope", "The client may have none of what was granted any more.")
		}
		return left, nil
	}
	scope, ok := grantedScope(asked, strings.Fields(left))
	if !ok {
		return "", refuse("invalid_scope", "A refresh token can't give more than was granted.")
	}
	return scope, nil
}
