package authserver

import (
	"errors"
	"net/http"

	"sallyport/internal/auth"
)

// authenticate finds out which client a request is from (RFC 6749 §2.3, §3.2.1): client_secret_basic, client_secret_post,
// or client_id alone for public clients. An assertion is read by nobody here, whatever it holds, so a request with one has not
// authenticated (RFC 7521 §4.2). The error is a *refusal or wraps ErrUnavailable.
func (s *site) authenticate(r *auth.Request, p params) (*client, error) {
	id, secret, basic, err := basicPair(r.Header)
	switch {
	case err != nil:
		return nil, errClient(true, err.Error())
	case p["client_assertion"] != "" || p["client_assertion_type"] != "":
		return nil, errClient(basic, "a client_assertion, by which no client authenticates here")
	case basic && p["client_secret"] != "":
		return nil, refuse("invalid_request", "The client authenticates in two ways (RFC 6749 §2.3).")
	case basic && p["client_id"] != "" && p["client_id"] != id:
		return nil, refuse("invalid_request", "The client_id in the form is another than that in the header.")
	case !basic:
		id, secret = p["client_id"], p["client_secret"]
	}
	if id == "" || len(id) > maxClientID {
		return nil, errClient(basic, "no client_id, or one that is too long")
	}
	c := s.clients[id]
	if secret == "" {
		if c == nil || !c.Public {
			return nil, errClient(basic, "no client_secret, and no public client of this client_id")
		}
		return c, nil
	}
	if err := s.compare(r, c, id, secret); err != nil {
		if errors.Is(err, errWrongSecret) {
			return nil, errClient(basic, err.Error())
		}
		return nil, err
	}
	return c, nil
}

// compare compares a client's secret, and counts how often somebody was wrong.
func (s *site) compare(r *auth.Request, c *client, id, secret string) error {
	guess, wait := s.kept.guesses.begin(r.ClientAddr, id)
	if wait > 0 {
		return tooMany(wait)
	}
	err := s.secrets.check(r.Context(), c, id, secret)
	switch {
	case err == nil:
		guess.right()
	case errors.Is(err, errBusy): // but who goes away before the answer comes has guessed
		guess.takeBack()
	}
	return err
}

// confidential authenticates a client that has a secret.
func (s *site) confidential(r *auth.Request, p params) (*client, error) {
	c, err := s.authenticate(r, p)
	if err == nil && c.Public {
		return nil, errClient(false, "a public client")
	}
	return c, err
}

// errClient is the same whatever was wrong (RFC 6749 §5.2). 401 goes with a challenge (RFC 9110 §15.5.2), which a client
// gets that tried Basic; a browser shows nobody a password dialogue for the others.
func errClient(basic bool, reason string) error {
	e := refuse("invalid_client", "The client is unknown, or didn't authenticate as it must.").because(reason)
	if basic {
		e.status, e.basic = http.StatusUnauthorized, true
	}
	return e
}
