package authserver

import (
	"errors"
	"net/http"

	"sallyport/internal/auth"
)

// revoke serves the revocation endpoint (RFC 7009). A refresh token, even one that was used already, revokes all tokens of its
// authorization (§2.1). For an unknown token the response is the same as for a revoked one (§2.2).
func (s *Site) revoke(r *auth.Request) (*auth.Result, error) {
	p, err := readForm(r)
	if err != nil {
		return nil, err
	}
	c, err := s.authenticate(r, p)
	if err != nil {
		return nil, err
	}
	if p["token"] == "" {
		return nil, refuse("invalid_request", "The token is missing.")
	}
	if h, ok := s.mint.parse(accessHandle, p["token"]); ok {
		err = s.revokeAccess(r, c, h)
	} else if h, ok := s.mint.parse(refreshHandle, p["token"]); ok {
		err = s.revokeFamily(r, c, h)
	}
	if err != nil && !errors.Is(err, ErrUnknown) {
		return nil, err
	}
	return &auth.Result{Answer: &auth.Answer{Status: http.StatusOK, Header: http.Header{"Cache-Control": {"no-store"}}}}, nil
}

func (s *Site) revokeAccess(r *auth.Request, c *client, h handle) error {
	was, err := s.store.load(r.Context(), h)
	if err == nil {
		err = was.ownedBy(c)
	}
	if err == nil {
		err = s.store.drop(r.Context(), h)
	}
	if err == nil {
		s.process.tokens.revoke(h.digest())
	}
	return err
}

func (s *Site) revokeFamily(r *auth.Request, c *client, h handle) error {
	was, err := s.store.family(r.Context(), h.family)
	if err == nil {
		err = was.ownedBy(c)
	}
	if err == nil {
		err = s.endFamily(r.Context(), h.family)
	}
	return err
}

// ownedBy returns an error if the token was issued to another client (RFC 7009 §2.1).
func (r *record) ownedBy(c *client) error {
	if r.ClientID != c.ClientID {
		return refuse("invalid_grant", "The token was issued to another client.")
	}
	return nil
}
