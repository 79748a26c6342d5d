package flow

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// maxToken is the longest access token that the flows read, in bytes.
const maxToken = 16 << 10

// errTooLong refuses a longer token. It is final.
var errTooLong = auth.InvalidToken("token_too_long", fmt.Errorf("the token is longer than %d bytes", maxToken))

// errMalformed refuses a malformed token. It is final, and the same for every mistake in the form.
var errMalformed = auth.InvalidToken("authorization_malformed", errors.New("expected one token of RFC 6750 §2.1"))

// token68 reports whether s has the form of b64token (RFC 6750 §2.1).
func token68(s string) bool {
	body := strings.TrimRight(s, "=")
	for i := range len(body) {
		switch c := body[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return body != ""
}

// errCredentials refuses a wrong name or secret with the same answer for both, so that clients cannot test which names
// exist.
func errCredentials(reason string, err error) error {
	e := auth.InvalidToken(reason, err)
	e.Description = "The credentials are wrong."
	return e
}

// tokenError returns the refusal of a token that failed verification, with its status and its reason in the log.
func tokenError(err error) error {
	if errors.As(err, new(*auth.Error)) {
		return err
	}
	if errors.Is(err, oidc.ErrUnavailable) {
		return issuerError(err)
	}
	for _, reason := range []error{
		oidc.ErrExpired, oidc.ErrNotYetValid, oidc.ErrNotAccessToken, oidc.ErrInactive, oidc.ErrNoSubject, oidc.ErrRefused, oidc.ErrIssuer,
	} {
		if errors.Is(err, reason) {
			return auth.InvalidToken(reason.Error(), err)
		}
	}
	return auth.InvalidToken("token_invalid", err)
}

// grantError returns the refusal of a request whose token request failed.
func grantError(reason string, err error) error {
	switch {
	case errors.As(err, new(*auth.Error)):
		return err
	case errors.Is(err, oidc.ErrRefused):
		return errCredentials(reason, err)
	}
	return issuerError(err)
}

// issuerError refuses a request that the authorization server gave no verdict on: with 503 during an outage, with 500 if
// only the operator can fix the cause.
func issuerError(err error) *auth.Error {
	if errors.Is(err, oidc.ErrNotSetUp) {
		return auth.NotSetUp(err)
	}
	return auth.Unavailable("issuer_unavailable", err)
}

// methodNotAllowed refuses a method that an endpoint does not accept.
func methodNotAllowed(allow string) error {
	return &auth.Error{
		Status: http.StatusMethodNotAllowed, Reason: "method_not_allowed", Allow: allow,
		Description: "This address doesn't take that method.",
	}
}
