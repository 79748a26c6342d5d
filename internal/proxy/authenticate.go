package proxy

import (
	"errors"
	"net/http"
	"net/url"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// authenticate asks an endpoint, or the route's chain, whose request it is. Without a credential the result has no identity where the
// rule doesn't need one; elsewhere it is the chain's challenge, such as a redirect to log in.
func (d *Decision) authenticate(ask func(*auth.Request) (*auth.Result, error)) (*auth.Result, error) {
	res, err := ask(&d.Request)
	if !errors.Is(err, auth.ErrNoCredential) {
		return res, err
	}
	header := auth.HeaderOf(err)
	if d.Endpoint == "" && !d.Route.Policy.NeedsCredential(d.Rule.requirements()) {
		return &auth.Result{Header: header}, nil
	}
	answer, err := d.challenge(d.firstLogin())
	switch {
	case errors.Is(err, auth.ErrNoCredential):
		return nil, auth.WithHeader(d.noCredential(), header)
	case err != nil:
		return nil, auth.WithHeader(err, header)
	}
	return &auth.Result{Header: header, Answer: answer}, nil
}

// firstLogin is what the login of a visitor must be: what the rule asks for, so that nobody has to log in twice.
func (d *Decision) firstLogin() *auth.StepUp {
	if d.Rule.ReportOnly {
		return nil
	}
	return d.Rule.StepUp
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

// errNoCredential is shared by all such refusals; nobody writes into it.
var errNoCredential = &auth.Error{Status: http.StatusUnauthorized, Description: "Please log in, or send an access token.", Reason: "no_credential"}

// noCredential is the refusal of a request that brought nothing, for which no login can begin: its challenge has no error code
// (RFC 6750 §3.1). A person who reads it in a browser is shown where to log in without losing what is there.
func (d *Decision) noCredential() *auth.Error {
	if !d.WantsHTML() || !d.Route.LogsIn || d.Rule.OnLogin == authz.LoginNever || d.Endpoint != "" {
		return errNoCredential
	}
	e := new(auth.Error)
	*e = *errNoCredential
	e.Action, e.NewTab = "Log in in a new tab", true
	switch {
	case d.OpenedInFrame():
		e.Link = d.Origin + d.Target()
		e.Description = "This part of the page needs a login. Log in in a new tab, then reload this page."
	case d.Method == http.MethodGet || d.Method == http.MethodHead:
		e.Link = d.Origin + d.Target()
		e.Description = "This page needs a login."
	default:
		e.Link = d.Origin + d.Route.home()
		e.Description = "What you have sent was not taken, because you are not logged in any more. Log in in a new tab, then go back in this one: " +
			"your form is still there, and can be sent again."
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
