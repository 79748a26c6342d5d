package flow

import (
	"errors"
	"fmt"
	"strings"

	"sallyport/internal/auth"
)

// maxToken is the longest access token that is looked at, in bytes.
const maxToken = 16 << 10

// presentedToken returns the access token that a request carries (RFC 6750 §2.1), or an error that wraps
// auth.ErrNoCredential. A header that begins with our scheme and goes on wrongly is refused, and so are two of them.
func presentedToken(r *auth.Request) (string, error) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return "", auth.ErrNoCredential
	}
	if len(values) > 1 {
		return "", auth.InvalidRequest("authorization_twice", errors.New("more than one Authorization header"))
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", fmt.Errorf("another scheme than Bearer: %w", auth.ErrNoCredential)
	}
	if token = strings.Trim(token, " "); token == "" || len(token) > maxToken {
		return "", errMalformed
	}
	return token, nil
}

// errMalformed is final, and the same for whatever is wrong with the header.
var errMalformed = auth.InvalidToken("authorization_malformed", errors.New("expected one token of RFC 6750 §2.1 after Bearer"))

// token68 is b64token of RFC 6750 §2.1.
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

// unjudged stands where no flow of the route judges access tokens: a request that brings one is refused, rather than
// sent to log in as if it had brought nothing.
type unjudged struct{}

func (unjudged) Authenticate(r *auth.Request) (*auth.Result, error) {
	token, err := presentedToken(r)
	switch {
	case err != nil:
		return nil, err
	case !token68(token):
		return nil, errMalformed
	}
	return nil, auth.InvalidToken("token_not_accepted", errors.New("auth_methods names no flow that judges access tokens"))
}
