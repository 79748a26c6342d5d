package authserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"regexp"

	"sallyport/internal/auth"
)

var errGrant = refuse("invalid_grant", "The code is unknown, expired, used already, or meant for another request.")

// code exchanges a code for tokens (RFC 6749 §4.1.3), once. One that comes again was stolen or will be: then what it gave
// ends (§4.1.2). So does one that comes with the wrong redirect_uri or code_verifier: whoever has it isn't who asked for it.
func (s *site) code(r *auth.Request, v auth.Visitor, c *client, p params) (*tokenAnswer, error) {
	if p["code"] == "" {
		return nil, refuse("invalid_request", "The code is missing.")
	}
	if v, given := p["code_verifier"]; given && !verifierForm.MatchString(v) {
		return nil, refuse("invalid_request", "The code_verifier isn't 43 to 128 letters, digits and -._~ (RFC 7636 §4.1).")
	}
	h, ok := s.mint.parse(codeHandle, p["code"])
	if !ok {
		return nil, errGrant
	}
	was, err := s.store.load(r.Context(), h)
	switch {
	case errors.Is(err, ErrUnknown):
		return nil, s.replayed(r, c, h)
	case err != nil:
		return nil, err
	case was.ClientID != c.ClientID:
		return nil, errGrant.because("the code is another client's")
	}
	if err := s.fits(r, h, was, p); err != nil {
		return nil, err
	}
	if err := s.renews(r, v, was, errGrant); err != nil {
		return nil, err
	}
	next, refresh := s.next(c, was, was.Scope)
	err = s.store.redeem(r.Context(), h, was, next)
	switch {
	case errors.Is(err, errChanged):
		return nil, s.replayed(r, c, h)
	case err != nil:
		return nil, err
	}
	return answerOf(next, refresh), nil
}

// fits refuses a code that comes with the wrong request, and spends it. Whoever sends that may have stolen the code, so this is
// judged before the user is: a refusal of the user spends nothing.
func (s *site) fits(r *auth.Request, h handle, was *record, p params) error {
	reason := was.misused(p, s.now().Unix())
	if reason == "" {
		return nil
	}
	if err := s.store.drop(r.Context(), h); err != nil {
		return err
	}
	return errGrant.because(reason)
}

func answerOf(next issue, refresh *handle) *tokenAnswer {
	answer := newTokenAnswer(next.token, next.access)
	if refresh != nil {
		answer.RefreshToken = refresh.text
	}
	return answer
}

// replayed is what becomes of a code that isn't kept: if it was redeemed before, all that came of it ends.
func (s *site) replayed(r *auth.Request, c *client, h handle) error {
	was, err := s.store.family(r.Context(), h.family)
	switch {
	case errors.Is(err, ErrUnknown):
		return errGrant.because("the code is not kept: it expired, or what it gave has ended")
	case err != nil:
		return err
	case was.ClientID != c.ClientID:
		return errGrant.because("the code is another client's, and used")
	}
	if err := s.endFamily(r.Context(), h.family); err != nil {
		return err
	}
	s.log.Warn("a code was used twice: what it gave has ended", "request_id", r.ID, "client_id", c.ClientID)
	return errGrant.because("the code was used twice")
}

// verifierForm is code_verifier's (RFC 7636 §4.1), challengeForm that of a SHA-256 in base64url (§4.2).
var (
	verifierForm  = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)
	challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
)

// misused says why a code isn't good for a token request; empty if it is.
func (r *record) misused(p params, now int64) string {
	verifier, given := p["code_verifier"]
	switch {
	case now >= r.Expires:
		return "the code has expired"
	case r.RedirectAsked && p["redirect_uri"] != r.RedirectURI, p["redirect_uri"] != "" && p["redirect_uri"] != r.RedirectURI:
		return "redirect_uri is another than in the authorization request (RFC 6749 §4.1.3)"
	case r.Challenge == "" && given:
		return "code_verifier without a code_challenge before: PKCE was stripped off (RFC 9700 §4.8.2)"
	case r.Challenge != "" && subtle.ConstantTimeCompare([]byte(challengeOf(verifier)), []byte(r.Challenge)) != 1:
		return "code_verifier doesn't match (RFC 7636 §4.6)"
	}
	return ""
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
