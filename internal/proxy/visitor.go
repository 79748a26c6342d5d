package proxy

import (
	"errors"

	"sallyport/internal/auth"
)

// A visitor authorizes the users of an endpoint before the endpoint sees them: a user whom the route refuses must get nothing
// at the gate's own paths that would let the user pass elsewhere.
type visitor struct {
	gate  *Gate
	d     *Decision
	users auth.Flow // nil: a request shows no user
	rule  *rule     // that covers the endpoint's path
}

// Identify returns the user that the request is for, judged as if the request were for the upstream: after the exchange of
// the token.
func (v visitor) Identify() (*auth.Result, error) {
	if v.users == nil {
		return nil, auth.ErrNoCredential
	}
	res, err := v.users.Authenticate(&v.d.Request)
	if err != nil {
		return nil, err
	}
	header := res.Header
	if res, err = v.d.exchanged(res); err != nil {
		return nil, auth.WithHeader(err, header)
	}
	if res.Identity == nil {
		return res, nil
	}
	v.d.User = res.Identity
	if err := v.Authorize(res.Identity); err != nil {
		return nil, auth.WithHeader(err, header)
	}
	return res, nil
}

// Authorize judges a user by the policy of the user's issuer and the rule that covers the endpoint's path.
func (v visitor) Authorize(i *auth.Identity) error {
	if _, err := v.d.Route.policyOfUser(i.Issuer); err != nil {
		return err
	}
	_, err := v.gate.allow(v.d, i, v.rule)
	return err
}

// bind returns what serves a request at an endpoint. A person whose login isn't enough is sent to log in anew, and comes back
// to the endpoint.
func (e *boundEndpoint) bind(v visitor) func(*auth.Request) (*auth.Result, error) {
	if e.ServeUser == nil {
		return e.Serve
	}
	return func(r *auth.Request) (*auth.Result, error) {
		res, err := e.ServeUser(r, v)
		if err == nil || errors.Is(err, auth.ErrNoCredential) {
			return res, err
		}
		header := auth.HeaderOf(err)
		answer, err := v.d.stepUp(err)
		if err != nil {
			return nil, auth.WithHeader(err, header)
		}
		return &auth.Result{Header: header, Answer: answer}, nil
	}
}
