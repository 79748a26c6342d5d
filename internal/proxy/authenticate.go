package proxy

import (
	"errors"
	"net/http"
	"net/url"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// authenticate calls the route's chain or an endpoint. If the request has no credential, it returns a result without an identity where the
// rule allows that. Otherwise it returns the chain's challenge, such as a redirect to log in.
func (d *Decision) authenticate(by func(*auth.Request) (*auth.Result, error)) (*auth.Result, error) {
	res, err := by(&d.Request)
	if !errors.Is(err, auth.ErrNoCredential) {
		return res, err
	}
	header := auth.HeaderOf(err)
	if d.Endpoint == "" && !d.Route.Policy.NeedsCredential(d.Rule.requirements()) {
		return &auth.Result{Header: header}, nil
	}
	answer, err := d.challenge(d.loginRequirements())
	switch {
	case errors.Is(err, auth.ErrNoCredential):
		return nil, auth.WithHeader(d.noCredential(), header)
	case err != nil:
		return nil, auth.WithHeader(err, header)
	}
	return &auth.Result{Header: header, Answer: answer}, nil
}

// loginRequirements returns what the rule requires of a login, so that a user without a session needs one login only.
func (d *Decision) loginRequirements() *auth.StepUp {
	if d.Rule.ReportOnly {
		return nil
	}
	return d.Rule.StepUp
}

// challenge returns the chain's challenge. It wraps auth.ErrNoCredential if the rule has on_unauthenticated: 401.
func (d *Decision) challenge(want *auth.StepUp) (*auth.Answer, error) {
	if d.Rule.OnLogin == authz.LoginNever {
		return nil, auth.ErrNoCredential
	}
	login := auth.Login{StepUp: want, Always: d.Rule.OnLogin == authz.LoginAlways, Issuer: d.Rule.LoginIssuer}
	login.Form = d.endpoint == nil && d.Identity == nil && d.trace == nil && !d.isResumed
	if d.Identity != nil {
		login.LoggedInAt = d.Identity.Issuer
	}
	return d.Route.Chain.Challenge(&d.Request, login)
}

// stepUp returns a redirect to log in again, if err says that the login isn't sufficient. It returns err itself for any other error, and
// for a client that isn't a browser, which gets the challenge of RFC 9470 §3.
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

// errNoCredential refuses a request without a credential. It is shared and must not be changed.
var errNoCredential = &auth.Error{
	Status: http.StatusUnauthorized, Reason: "no_credential", Description: "Please log in, or send an access token.",
}

// noCredential returns the refusal of a request without a credential for which no login can begin. Its challenge has no error code (RFC
// 6750 §3.1). In a browser it links to a login in a new tab, so that the user's input in this one isn't lost. A script receives the address
// of the route's first page: its page can go there to log in, or load itself again. The request doesn't say reliably which page the script
// belongs to, and its own address is no page.
func (d *Decision) noCredential() *auth.Error {
	if !d.Route.LogsIn || d.Rule.OnLogin == authz.LoginNever || d.Endpoint != "" {
		return errNoCredential
	}
	e := new(auth.Error)
	*e = *errNoCredential
	e.Login = d.Origin + d.Route.home()
	if !d.WantsHTML() {
		return e
	}
	e.Action, e.NewTab = "Log in in a new tab", true
	switch {
	case d.OpenedInFrame():
		e.Link = d.Origin + d.Target()
		e.Description = "This part of the page needs a login. Log in in a new tab, then reload this page."
	case d.Method == http.MethodGet || d.Method == http.MethodHead:
		e.Link = d.Origin + d.Target()
		e.Description = "This page needs a login."
	default:
		e.Link = e.Login
		e.Description = "Your form was not submitted, because you are no longer logged in. Log in in a new tab, then go back in " +
			"this one: your form is still there, and you can submit it again."
	}
	return e
}

// home returns the first page of a route.
func (r *Route) home() string {
	if len(r.Paths) == 0 {
		return "/"
	}
	return (&url.URL{Path: r.Paths[0]}).EscapedPath()
}
