package authserver

import (
	"errors"
	"net/http"

	"sallyport/internal/auth"
)

// introspect serves the introspection endpoint (RFC 7662) for confidential clients; other clients could use it to guess tokens. For
// anything but a valid access token the response is only that it is not active (§2.2). That includes refresh tokens: a resource server
// must not accept one as an access token.
func (s *Site) introspect(r *auth.Request) (*auth.Result, error) {
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
