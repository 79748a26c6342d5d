package proxy

import (
	"errors"

	"sallyport/internal/auth"
)

// A userAuthorizer is the auth.Visitor of one request to an endpoint. It authorizes users before the endpoint acts for them: a user that
// the route refuses must not get anything there that would let the user pass elsewhere.
type userAuthorizer struct {
	gate  *Gate
	d     *Decision
	users auth.Flow // nil: requests to the endpoint have no credentials of users
	rule  *rule     // covers the endpoint's path
}

// Identify returns the user of the request, with the exchanged token, if the route's policy lets the user pass.
func (u userAuthorizer) Identify() (*auth.Result, error) {
	if u.users == nil {
		return nil, auth.ErrNoCredential
	}
	res, err := u.users.Authenticate(&u.d.Request)
	if err != nil {
		return nil, err
	}
	header := res.Header
	if res, err = u.d.exchanged(res); err != nil {
		return nil, auth.WithHeader(err, header)
	}
	if res.Identity == nil {
		return res, nil
	}
	u.d.User = res.Identity
	if err := u.Authorize(res.Identity); err != nil {
		return nil, auth.WithHeader(err, header)
	}
	return res, nil
}

// Authorize checks a user against the policy of the user's issuer and the rule that covers the endpoint's path.
func (u userAuthorizer) Authorize(i *auth.Identity) error {
	if _, err := u.d.Route.policyOfUser(i.Issuer); err != nil {
		return err
	}
	_, err := u.gate.allow(u.d, i, u.rule)
	return err
}

// serveWith returns the function that serves requests to the endpoint. If a user's login isn't sufficient, the browser is sent to log in
// again and comes back to the endpoint.
func (e *boundEndpoint) serveWith(u userAuthorizer) func(*auth.Request) (*auth.Result, error) {
	if e.ServeUser == nil {
		return e.Serve
	}
	return func(r *auth.Request) (*auth.Result, error) {
		res, err := e.ServeUser(r, u)
		if err == nil || errors.Is(err, auth.ErrNoCredential) {
			return res, err
		}
		header := auth.HeaderOf(err)
		answer, err := u.d.stepUp(err)
		if err != nil {
			return nil, auth.WithHeader(err, header)
		}
		return &auth.Result{Header: header, Answer: answer}, nil
	}
}
