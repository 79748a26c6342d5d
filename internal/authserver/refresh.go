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

// refresh exchanges a refresh token for an access token and the next refresh token (RFC 6749 §6). Each is used once. If one is used again,
// it was stolen, and one of the two requests is an attacker's. The server can't know which, so it revokes all tokens of the authorization
// (RFC 9700 §4.14.2). There is no grace time for a client that lost the response: an attacker could use it as well, and the client loses
// only one login.
func (s *routeServer) refresh(r *auth.Request, v auth.Visitor, c *client, p params) (*tokenAnswer, error) {
	if p["refresh_token"] == "" {
		return nil, refuse("invalid_request", "The refresh_token is missing.")
	}
	h, ok := s.mint.parse(refreshHandle, p["refresh_token"])
	if !ok {
		return nil, errRefresh
	}
	for range maxTries {
		was, err := s.currentFamily(r, c, h)
		if err != nil {
			return nil, err
		}
		if err := s.checkExchange(r, v, was, errRefresh); err != nil {
			return nil, err
		}
		scope, err := s.narrowedScope(c, was, p["scope"])
		if err != nil {
			return nil, err
		}
		resource, err := s.exchanged(r, was, p)
		if err != nil {
			return nil, err
		}
		next, fresh := s.newIssuance(c, was, scope, resource)
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

// currentFamily returns the family of a refresh token, if the token is the family's current one.
func (s *routeServer) currentFamily(r *auth.Request, c *client, h handle) (*record, error) {
	was, err := s.store.family(r.Context(), h.family)
	d := h.digest()
	switch {
	case errors.Is(err, ErrUnknown):
		return nil, errRefresh.because("the refresh token is not stored: it has expired or was revoked")
	case err != nil:
		return nil, err
	case was.ClientID != c.ClientID:
		return nil, errRefresh.because("the refresh token is another client's")
	case !bytes.Equal(was.Current, d[:]): // the mint made it, so it was valid once
		return nil, s.endReused(r, c, h)
	case was.expired(s.now()):
		return nil, errRefresh.because("the refresh token has expired")
	}
	return was, nil
}

// checkExchange returns nil if a code or a refresh token may be exchanged here: this route has issued it, and its policy still allows the
// user. Otherwise the error is refused, with a reason. The code or token is not spent, so it works again when the policy allows the user
// again. An error that is not about the user, such as an unreachable server, is returned as it is, so that the client keeps its tokens
// and tries again.
func (s *routeServer) checkExchange(r *auth.Request, v auth.Visitor, was *record, refused *refusal) error {
	switch {
	case was.Issuer != s.issuer(r):
		return refused.because(fmt.Sprintf("it was issued as %s, and this is %s", was.Issuer, s.issuer(r)))
	case was.User == nil: // the external consent page named the user: the policy judges the access token when it is used
		return nil
	}
	err := v.Authorize(was.User)
	if err == nil || !isVerdict(err) {
		return err
	}
	return refused.because("the route refuses its user: " + err.Error())
}

// isVerdict reports whether an error of a policy refuses the user, with status 401 or 403.
func isVerdict(err error) bool {
	status := auth.AsError(err).Status
	return status == http.StatusForbidden || status == http.StatusUnauthorized
}

// endReused revokes all tokens of a refresh token's family, and returns the error for the request.
func (s *routeServer) endReused(r *auth.Request, c *client, h handle) error {
	if err := s.endFamily(r.Context(), h.family); err != nil {
		return err
	}
	s.log.Warn("a refresh token was used twice: all tokens of its authorization are revoked", "request_id", r.ID, "client_id", c.ClientID)
	return errRefresh.because("the refresh token was used twice")
}

// narrowedScope returns the scope of the next access token: the granted scope, or the requested part of it (RFC 6749 §6). Scopes that the
// client is no longer allowed are removed.
func (s *routeServer) narrowedScope(c *client, was *record, asked string) (string, error) {
	left := stillAllowed(was.Scope, c.Scopes)
	if asked == "" {
		if left == "" && was.Scope != "" {
			return "", refuse("invalid_scope", "The client is no longer allowed any of the granted scopes.")
		}
		return left, nil
	}
	scope, ok := grantedScope(asked, strings.Fields(left))
	if !ok {
		return "", refuse("invalid_scope", "The scope exceeds the granted one.")
	}
	return scope, nil
}
