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

// code exchanges a code for tokens (RFC 6749 §4.1.3), once. If a code is used again, one of the requests may be an attacker's, so the
// tokens of the first are revoked (§4.1.2). A code with a wrong redirect_uri or code_verifier may be stolen, so it is deleted.
func (s *Site) code(r *auth.Request, v auth.Visitor, c *client, p params) (*tokenAnswer, error) {
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
		return nil, s.endReplayed(r, c, h)
	case err != nil:
		return nil, err
	case was.ClientID != c.ClientID:
		return nil, errGrant.because("the code is another client's")
	}
	if err := s.checkCode(r, h, was, p); err != nil {
		return nil, err
	}
	if err := s.checkExchange(r, v, was, errGrant); err != nil {
		return nil, err
	}
	resource, err := s.exchanged(r, was, p)
	if err != nil {
		return nil, err
	}
	next, refresh := s.newIssuance(c, was, was.Scope, resource)
	err = s.store.redeem(r.Context(), h, was, next)
	switch {
	case errors.Is(err, errChanged):
		return nil, s.endReplayed(r, c, h)
	case err != nil:
		return nil, err
	}
	return answerOf(next, refresh), nil
}

// checkCode returns an error, and deletes the code, if the token request doesn't match the authorization request: the code may be
// stolen. It is called before the user is authorized, because a refusal of the user doesn't delete the code.
func (s *Site) checkCode(r *auth.Request, h handle, was *record, p params) error {
	reason := was.mismatch(p, s.now().Unix())
	if reason == "" {
		return nil
	}
	if err := s.store.drop(r.Context(), h); err != nil {
		return err
	}
	return errGrant.because(reason)
}

// answerOf returns the response for an issuance; refresh is nil if there is no new refresh token.
func answerOf(next issuance, refresh *handle) *tokenAnswer {
	answer := newTokenAnswer(next.token, next.access)
	if refresh != nil {
		answer.RefreshToken = refresh.text
	}
	return answer
}

// endReplayed returns the error for a code that is not stored. If the code was redeemed before, it revokes all tokens of the
// authorization.
func (s *Site) endReplayed(r *auth.Request, c *client, h handle) error {
	was, err := s.store.family(r.Context(), h.family)
	switch {
	case errors.Is(err, ErrUnknown):
		return errGrant.because("the code is not stored: it has expired, or its tokens have ended")
	case err != nil:
		return err
	case was.ClientID != c.ClientID:
		return errGrant.because("the code is another client's, and used")
	}
	if err := s.endFamily(r.Context(), h.family); err != nil {
		return err
	}
	s.log.Warn("a code was used twice: its tokens are revoked", "request_id", r.ID, "client_id", c.ClientID)
	return errGrant.because("the code was used twice")
}

// The forms of code_verifier (RFC 7636 §4.1), and of a SHA-256 code_challenge in base64url (§4.2).
var (
	verifierForm  = regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`)
	challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
)

// mismatch returns why a code can't be redeemed by a token request, or "" if it can.
func (r *record) mismatch(p params, now int64) string {
	verifier, given := p["code_verifier"]
	switch {
	case now >= r.Expires:
		return "the code has expired"
	case r.RedirectAsked && p["redirect_uri"] != r.RedirectURI, p["redirect_uri"] != "" && p["redirect_uri"] != r.RedirectURI:
		return "redirect_uri differs from the authorization request's (RFC 6749 §4.1.3)"
	case r.Challenge == "" && given:
		return "code_verifier without a code_challenge in the authorization request: a PKCE downgrade (RFC 9700 §4.8.2)"
	case r.Challenge != "" && subtle.ConstantTimeCompare([]byte(challengeOf(verifier)), []byte(r.Challenge)) != 1:
		return "code_verifier doesn't match (RFC 7636 §4.6)"
	}
	return ""
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
