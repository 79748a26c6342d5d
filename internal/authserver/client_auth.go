package authserver

import (
	"errors"
	"net/http"

	"sallyport/internal/auth"
)

// authenticate authenticates the client of a request (RFC 6749 §2.3, §3.2.1) by client_secret_basic, client_secret_post, or client_id
// alone for a public client. Client assertions are not supported, so a request with one is not authenticated (RFC 7521 §4.2). The error
// is a *refusal or wraps ErrUnavailable.
func (s *Site) authenticate(r *auth.Request, p params) (*client, error) {
	id, secret, basic, err := basicPair(r.Header)
	switch {
	case err != nil:
		return nil, errClient(true, err.Error())
	case p["client_assertion"] != "" || p["client_assertion_type"] != "":
		return nil, errClient(basic, "a client_assertion, which is not supported here")
	case basic && p["client_secret"] != "":
		return nil, refuse("invalid_request", "The client authenticates in two ways (RFC 6749 §2.3).")
	case basic && p["client_id"] != "" && p["client_id"] != id:
		return nil, refuse("invalid_request", "The client_id in the form differs from that in the header.")
	case !basic:
		id, secret = p["client_id"], p["client_secret"]
	}
	if id == "" || len(id) > maxClientID {
		return nil, errClient(basic, "no client_id, or one that is too long")
	}
	c := s.find(id)
	if secret == "" {
		if c == nil || !c.Public {
			return nil, errClient(basic, "no client_secret, and no public client of this client_id")
		}
		return c, nil
	}
	if err := s.checkSecret(r, c, id, secret); err != nil {
		if errors.Is(err, errWrongSecret) {
			return nil, errClient(basic, err.Error())
		}
		return nil, err
	}
	return c, nil
}

// checkSecret checks a client's secret, and limits failed attempts.
func (s *Site) checkSecret(r *auth.Request, c *client, id, secret string) error {
	attempt, wait := s.process.attempts.Begin(r.ClientAddr, id)
	if wait > 0 {
		return tooMany(wait)
	}
	err := s.secrets.check(r.Context(), c, id, secret)
	switch {
	case err == nil:
		attempt.Succeed()
	case errors.Is(err, errBusy): // an attempt whose caller gave up still counts as failed
		attempt.Cancel()
	}
	return err
}

// confidential authenticates a confidential client.
func (s *Site) confidential(r *auth.Request, p params) (*client, error) {
	c, err := s.authenticate(r, p)
	if err == nil && c.Public {
		return nil, errClient(false, "a public client")
	}
	return c, err
}

// errClient returns the error for a client that did not authenticate (RFC 6749 §5.2). Its description doesn't depend on the reason. The
// status is always 401, by which a client that registered itself knows that it must register anew. Only a client that tried Basic gets a
// challenge: in a browser that would show a password dialogue.
func errClient(basic bool, reason string) error {
	e := refuse("invalid_client", "The client is unknown, or didn't authenticate as it must.").because(reason)
	e.status, e.basic = http.StatusUnauthorized, basic
	return e
}
