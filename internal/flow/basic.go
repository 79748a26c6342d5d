package flow

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"sallyport/internal/auth"
)

// A pair is a name and a secret, and where the request carries them.
type pair struct {
	name   string
	secret auth.Secret
	at     []auth.Param
	basic  bool // they are Basic credentials, which look alike for users and clients
}

// pair returns the name and the secret of a request: from an Authorization header with Basic (RFC 7617), or from two
// parameters of query or body. Its error wraps auth.ErrNoCredential if either is missing. Two pairs are refused.
func (p *places) pair(r *auth.Request, nameParam, secretParam string) (pair, error) {
	var all []pair
	if p.header {
		basic, err := basicPair(r)
		if err == nil && r.Header.Get("Origin") != "" { // browsers send cached Basic credentials with requests from any page
			err = checkUpgrade(r, p.trustedOrigins)
		}
		switch {
		case err == nil:
			all = append(all, basic)
		case !errors.Is(err, auth.ErrNoCredential):
			return pair{}, err
		}
	}
	if p.query || p.body {
		names, err := p.params(r, nameParam)
		if err != nil {
			return pair{}, err
		}
		secrets, err := p.params(r, secretParam)
		if err != nil {
			return pair{}, err
		}
		name, hasName, err := single(names)
		secret, hasSecret, errSecret := single(secrets)
		if err := errors.Join(err, errSecret); len(names)*len(secrets) > 0 && err != nil {
			return pair{}, errTwice
		}
		if hasName && hasSecret {
			all = append(all, pair{name: name.value, secret: auth.Secret(secret.value), at: paramsOf(name, secret)})
		}
	}
	switch len(all) {
	case 0:
		return pair{}, auth.ErrNoCredential
	case 1:
		return all[0], nil
	}
	return pair{}, errTwice
}

// basicPair returns the name and the secret of an Authorization header with Basic (RFC 7617 §2). A malformed one is refused.
func basicPair(r *auth.Request) (pair, error) {
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return pair{}, auth.ErrNoCredential
	}
	if len(values) > 1 {
		return pair{}, auth.InvalidRequest("authorization_twice", errors.New("more than one Authorization header"))
	}
	if scheme, _, _ := strings.Cut(values[0], " "); !strings.EqualFold(scheme, "Basic") {
		return pair{}, auth.ErrNoCredential
	}
	if len(values[0]) > maxToken {
		return pair{}, errCredentials("credentials_too_long", fmt.Errorf("the Authorization header is longer than %d bytes", maxToken))
	}
	name, secret, ok := (&http.Request{Header: r.Header}).BasicAuth()
	if !ok || name == "" {
		return pair{}, errCredentials("authorization_malformed", errors.New("expected base64 of name:password after Basic (RFC 7617 §2)"))
	}
	return pair{name: name, secret: auth.Secret(secret), at: inAuthorization, basic: true}, nil
}
