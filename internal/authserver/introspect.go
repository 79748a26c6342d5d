package authserver

import (
	"errors"
	"net/http"

	"sallyport/internal/auth"
)

// introspect is the introspection endpoint (RFC 7662), for clients that can prove who they are: others could try tokens.
// Of whatever is no live access token it says that it isn't active, and nothing else (§2.2). So it does of refresh tokens: a
// resource server that asks must not take one for an access token.
func (s *site) introspect(r *auth.Request) (*auth.Result, error) {
	p, err := readForm(r)
	if err != nil {
		return nil, err
	}
	if _, err := s.confidential(r, p); err != nil {
		return nil, err
	}
	if p["token"] == "" {
		return nil, refuse("invalid_request", "The token is missing.")
	}
	identity, err := s.Verify(r.Context(), p["token"])
	switch {
	case errors.Is(err, ErrUnknown):
		return answerJSON(http.StatusOK, auth.Claims{"active": false}), nil
	case err != nil:
		return nil, err
	}
	return answerJSON(http.StatusOK, identity.Introspection), nil
}
