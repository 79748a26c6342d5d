package proxy

import (
	"errors"
	"net/http"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// authenticate asks the endpoint that was matched, else the route's chain. Without a credential a rule that doesn't need one
// goes on with nobody, any other with the chain's challenge.
func (d *Decision) authenticate(ask func(*auth.Request) (*auth.Result, error)) (*auth.Result, error) {
	res, err := ask(&d.Request)
	if !errors.Is(err, auth.ErrNoCredential) {
		return res, err
	}
	if d.Endpoint == "" && !d.Route.Policy.NeedsCredential(d.Rule.Rule) {
		return res, nil
	}
	if res == nil {
		res = &auth.Result{}
	}
	res.Answer, err = d.challenge(nil)
	if errors.Is(err, auth.ErrNoCredential) {
		err = errNoCredential
	}
	return res, err
}

// challenge asks the chain to begin a login, if the rule lets it.
func (d *Decision) challenge(want *auth.StepUp) (*auth.Answer, error) {
	if d.Rule.OnLogin == authz.LoginNever {
		return nil, auth.ErrNoCredential
	}
	login := auth.Login{StepUp: want, Always: d.Rule.OnLogin == authz.LoginAlways, Issuer: d.Rule.LoginIssuer}
	if d.Identity != nil {
		login.Again = d.Identity.Issuer
	}
	return d.Route.Chain.Challenge(&d.Request, login)
}

// stepUp sends a person whose login isn't enough to log in anew. Whoever can't be sent gets the challenge of RFC 9470 §3.
func (d *Decision) stepUp(err error) (*auth.Answer, error) {
	e := auth.AsError(err)
	if e.StepUp == nil {
		return nil, err
	}
	answer, challengeErr := d.challenge(e.StepUp)
	if errors.Is(challengeErr, auth.ErrNoCredential) {
		return nil, err
	}
	return answer, challengeErr
}

// errNoCredential is the refusal of a request that brought nothing: its challenge has no error code (RFC 6750 §3.1).
var errNoCredential = &auth.Error{Status: http.StatusUnauthorized, Description: "Please log in, or send an access token.", Reason: "no_credential"}
