package authserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"

	"sallyport/internal/auth"
)

const maxUserID = 1024 // bytes

// authorizeProvisioned serves a consent page elsewhere, which has logged the user in and asked: who has the provision key is
// believed about both. It answers where the page is to send the browser, as Kong does: 200 with a code, 400 with an error
// for the client. Without the key, or without a client to go to, the error is for the page alone.
func (s *site) authorizeProvisioned(r *auth.Request, p params) (*auth.Result, error) {
	user, err := s.provisionedUser(r, p)
	if err != nil {
		return nil, err
	}
	a, err := s.recipient(p)
	if err != nil {
		return nil, err
	}
	if err = s.complete(a, p); err == nil {
		var target string
		if target, err = s.issueCode(r, a, user, nil); err == nil {
			return answerRedirect(http.StatusOK, target), nil
		}
	}
	if target := s.errorResponse(r, a, err); target != "" {
		return answerRedirect(http.StatusBadRequest, target), nil
	}
	return nil, err
}

func answerRedirect(status int, target string) *auth.Result {
	return answerJSON(status, map[string]string{"redirect_uri": target})
}

// provisionedUser is the user whom somebody names who has the provision key. Wrong keys are counted for each client address.
func (s *site) provisionedUser(r *auth.Request, p params) (string, error) {
	if s.settings.ProvisionKey == "" {
		return "", refuse("invalid_provision_key", "There is no provision_key here.")
	}
	guess, wait := s.kept.guesses.begin(r.ClientAddr, "")
	if wait > 0 {
		return "", tooMany(wait)
	}
	if !equal(p["provision_key"], string(s.settings.ProvisionKey)) {
		return "", refuse("invalid_provision_key", "The provision_key is wrong.")
	}
	guess.right()
	user := p["authenticated_userid"]
	if user == "" || len(user) > maxUserID {
		return "", refuse("invalid_authenticated_userid", "The authenticated_userid is missing or too long.")
	}
	return user, nil
}

// equal compares two secrets in a time that says nothing, not even about their lengths.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
