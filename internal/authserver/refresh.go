package authserver

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sallyport/internal/auth"
)

var errRefresh = refuse("invalid_grant", "The refresh token is unknown, expired, used already, or another client's.")

// refresh exchanges a refresh token for an access token and the next refresh token (RFC 6749 §6). Each is used once, except that for a
// grace time after its first use it gives the same next refresh token again: a client may have lost the response, or refresh on two
// machines at once. If one is used again after that, it was stolen, and one of the two requests is an attacker's. The server can't know
// which, so it revokes all tokens of the authorization (RFC 9700 §4.14.2).
func (s *Site) refresh(r *auth.Request, v auth.Visitor, c *client, p params) (*tokenAnswer, error) {
	if p["refresh_token"] == "" {
		return nil, refuse("invalid_request", "The refresh_token is missing.")
	}
	h, ok := s.mint.parse(refreshHandle, p["refresh_token"])
	if !ok {
		return nil, errRefresh
	}
	for range maxTries {
		began := s.now()
		was, again, err := s.usableFamily(r, c, h)
		if err != nil {
			return nil, err
		}
		was, err = s.recheck(r, c, was)
		switch {
		case errors.Is(err, errChanged):
			continue
		case errors.Is(err, ErrUnknown):
			return nil, errRefresh.because("the tokens were revoked while the provider was asked")
		case err != nil:
			return nil, err
		}
		if d := h.digest(); again == nil && !bytes.Equal(was.Current, d[:]) { // another request used it while the provider was asked
			if again = was.successorOf(d, began); again == nil {
				return nil, errRefresh.because("the refresh token was used while the provider was asked")
			}
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
		if again != nil {
			next, fresh = next.unrotated(was), again
		}
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

// refreshGrace is how long after its first use a refresh token gives the same successor again.
const refreshGrace = 10 * time.Second

// maxUses bounds the uses that a family remembers. A client that refreshes faster has a shorter grace time.
const maxUses = 32

// usableFamily returns the family of a refresh token, if the token is the family's current one or was used within the grace time; then
// again is its successor.
func (s *Site) usableFamily(r *auth.Request, c *client, h handle) (was *record, again *handle, err error) {
	was, err = s.familyOf(r, c, h)
	if err != nil {
		return nil, nil, err
	}
	if d := h.digest(); !bytes.Equal(was.Current, d[:]) {
		if again = was.successorOf(d, s.now()); again == nil {
			return nil, nil, s.endReused(r, c, h) // the mint made it, so it was valid once
		}
	}
	if was.expired(s.now()) {
		return nil, nil, errRefresh.because("the refresh token has expired")
	}
	return was, again, nil
}

// successorOf returns the refresh token that took the place of one that was used within the grace time, or nil.
func (r *record) successorOf(token digest, now time.Time) *handle {
	for _, u := range r.Uses {
		if bytes.Equal(u.Token, token[:]) && now.Sub(time.UnixMilli(u.Time)) < refreshGrace {
			return &handle{kind: refreshHandle, family: r.Family, tag: tagOf(r.Family), text: u.Successor}
		}
	}
	return nil
}

// familyOf returns the family of a refresh token.
func (s *Site) familyOf(r *auth.Request, c *client, h handle) (*record, error) {
	was, err := s.store.family(r.Context(), h.family)
	switch {
	case errors.Is(err, ErrUnknown):
		return nil, errRefresh.because("the refresh token is not stored: it has expired or was revoked")
	case err != nil:
		return nil, err
	case was.ClientID != c.ClientID:
		return nil, errRefresh.because("the refresh token is another client's")
	}
	return was, nil
}

// checkExchange returns nil if a code or a refresh token may be exchanged here: this route has issued it, and its policy still allows the
// user. Otherwise the error is refused, with a reason. The code or token is not spent, so it works again when the policy allows the user
// again. An error that is not about the user, such as an unreachable server, is returned as it is, so that the client keeps its tokens
// and tries again.
func (s *Site) checkExchange(r *auth.Request, v auth.Visitor, was *record, refused *refusal) error {
	switch {
	case was.Resource != "" && was.Resource != s.Route.URL(r):
		return refused.because(fmt.Sprintf("it was issued for %s, and this is %s", was.Resource, s.Route.URL(r)))
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
func (s *Site) endReused(r *auth.Request, c *client, h handle) error {
	if err := s.endFamily(r.Context(), h.family); err != nil {
		return err
	}
	s.log.Warn("a refresh token was used twice: all tokens of its authorization are revoked", "request_id", r.ID, "client_id", c.ClientID)
	return errRefresh.because("the refresh token was used twice")
}

// narrowedScope returns the scope of the next access token: the granted scope, or the requested part of it (RFC 6749 §6). Scopes that the
// client is no longer allowed are removed.
func (s *Site) narrowedScope(c *client, was *record, asked string) (string, error) {
	left := stillAllowed(was.Scope, s.allowedScopes(c))
	if s.Route.On {
		asked = stillAllowed(asked, s.allowedScopes(c))
	}
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
