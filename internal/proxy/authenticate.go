package proxy

import (
	"errors"
	"net/http"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// authenticate asks the endpoint that was matched, else the route's chain. Without a credential a rule with auth: optional
// goes on with nobody, any other with the chain's challenge.
func (d *Decision) authenticate(e *boundEndpoint) (*auth.Result, error) {
	if e != nil {
		d.Endpoint = e.Name
		return e.Serve(&d.Request)
	}
	res, err := d.Route.Chain.Authenticate(&d.Request)
	if !errors.Is(err, auth.ErrNoCredential) {
		return res, err
	}
	if d.Rule.Auth == authz.Optional {
		return res, nil
	}
	answer, err := d.Route.Chain.Challenge(&d.Request)
	if errors.Is(err, auth.ErrNoCredential) {
		err = errNoCredential
	}
	res.Answer = answer
	return res, err
}

// errNoCredential is the refusal of a request that brought nothing: its challenge has no error code (RFC 6750 §3.1).
var errNoCredential = &auth.Error{Status: http.StatusUnauthorized, Description: "Please log in, or send an access token.", Reason: "no_credential"}
