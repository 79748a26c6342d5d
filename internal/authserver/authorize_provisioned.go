package authserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"

	"sallyport/internal/auth"
)

const maxUserID = 1024 // bytes

// authorizeProvisioned serves the external consent page, which has logged the user in and asked for consent. The provision key proves
// that the request comes from that page. The response has the redirect URI to which the page sends the browser, as in Kong: with status
// 200 and a code, or with status 400 and an error for the client. If the key, the client or the redirect URI is not valid, the response
// is an error for the page itself.
func (s *Site) authorizeProvisioned(r *auth.Request, p params) (*auth.Result, error) {
	user, err := s.provisionedUser(r, p)
	if err != nil {
		return nil, err
	}
	a, err := s.newAuthorization(r, visitor{}, p)
	if err != nil {
		return nil, err
	}
	if err = s.complete(r, a, p); err == nil {
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

// provisionedUser returns the user that a request with the provision key names. Wrong keys are counted for each client address.
func (s *Site) provisionedUser(r *auth.Request, p params) (string, error) {
	if s.settings.ProvisionKey == "" {
		return "", refuse("invalid_provision_key", "No provision_key is configured here.")
	}
	attempt, wait := s.process.attempts.Begin(r.ClientAddr, "")
	if wait > 0 {
		return "", tooMany(wait)
	}
	if !equal(p["provision_key"], string(s.settings.ProvisionKey)) {
		return "", refuse("invalid_provision_key", "The provision_key is wrong.")
	}
	attempt.Succeed()
	user := p["authenticated_userid"]
	if user == "" || len(user) > maxUserID {
		return "", refuse("invalid_authenticated_userid", "The authenticated_userid is missing or too long.")
	}
	return user, nil
}

// equal compares two secrets in constant time, which doesn't even depend on their lengths.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}
