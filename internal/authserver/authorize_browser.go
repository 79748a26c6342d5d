package authserver

import (
	"errors"
	"net/http"
	"net/url"

	"sallyport/internal/auth"
)

// authorizeBrowser serves an authorization request from a browser. It redirects the browser to the client with a code or an error, or
// returns the consent page. If the client or the redirect URI is not valid, the user sees the error instead.
func (s *Site) authorizeBrowser(r *auth.Request, user visitor) (*auth.Result, error) {
	p, err := parseParams(r.URL.RawQuery)
	if err != nil {
		return nil, s.pageError(r, err)
	}
	if s.Route.On && s.find(p["client_id"]) == nil { // also for a program that isn't a browser, and asks before it opens one
		return nil, s.pageError(r, s.unknownClient(p["client_id"]))
	}
	if !r.Opened() && !(p["prompt"] == "none" && r.OpenedInFrame()) { // clients ask in a hidden frame (OIDC Core §3.1.2.1)
		return nil, s.pageError(r, refuse("invalid_request",
			"A browser must open this address as a page: a script, a picture, a frame or a prefetch gets no code."))
	}
	a, err := s.newAuthorization(r, user, p)
	if err != nil {
		return nil, s.pageError(r, err)
	}
	if a.client.dynamic && user.err != nil { // anyone can register a client, so no stranger's link leads to its redirect URI without a login
		if p["prompt"] == "none" {
			return nil, s.pageError(r, refuse("login_required", "The user isn't logged in."))
		}
		return nil, user.err
	}
	res, err := s.codeOrConsent(r, a, user, p)
	if target := s.errorResponse(r, a, err); target != "" {
		return seeOther(target), nil
	}
	return res, err
}

// codeOrConsent returns the redirect with a code if the user has given consent, and the consent page otherwise.
func (s *Site) codeOrConsent(r *auth.Request, a *authorization, user visitor, p params) (*auth.Result, error) {
	if err := s.complete(r, a, p); err != nil {
		return nil, err
	}
	silent, always, err := s.prompts(p)
	if err != nil {
		return nil, err
	}
	switch {
	case errors.Is(user.err, auth.ErrNoCredential) && silent:
		return nil, refuse("login_required", "The user isn't logged in.") // OIDC Core §3.1.2.6
	case user.err != nil && silent:
		return nil, silentError(user.err)
	case user.err != nil:
		return nil, user.err
	}
	agreed := !a.client.Consent || s.process.consents.given(user.identity, a) && a.client.exclusive(a.redirect)
	switch {
	case agreed && !always && !s.asksAlways(r, a):
		return s.sendCode(r, a, user.identity)
	case silent:
		return nil, refuse("consent_required", "The user must be asked.")
	}
	return s.consentPage(r, a, user.identity)
}

// silentError returns the error response for a user whom the route refuses, if the request has prompt=none, which forbids a page (OIDC
// Core §3.1.2.1). The client learns only that access is denied, or that a login is needed.
func silentError(err error) error {
	e := auth.AsError(err)
	switch {
	case e.StepUp != nil:
		return refuse("login_required", "Another login is needed.").because(e.Error())
	case e.Status == http.StatusForbidden:
		return refuse("access_denied", "The user may not do this.").because(e.Error())
	}
	return err
}

// sendCode redirects the browser to the client with a code.
func (s *Site) sendCode(r *auth.Request, a *authorization, user *auth.Identity) (*auth.Result, error) {
	target, err := s.issueCode(r, a, user.Subject, user)
	if err != nil {
		return nil, err
	}
	return seeOther(target), nil
}

// pageError returns a refusal as an error page for the user. It says that the application made the mistake. A program that asks here,
// before it opens a browser, gets the OAuth error: so a client learns that it must register anew.
func (s *Site) pageError(r *auth.Request, err error) error {
	var refused *refusal
	if !errors.As(err, &refused) || s.Route.On && !r.WantsHTML() {
		return err
	}
	return &auth.Error{
		Status: http.StatusBadRequest, Code: refused.code, Title: "This link can't be followed", Reason: "oauth2_authorization_request",
		Description: "The application that sent you here asked in a way that isn't allowed: " + refused.description,
		Err:         errors.New(refused.Error()),
	}
}

// restartURI returns the URL that repeats an authorization request.
func (s *Site) restartURI(r *auth.Request, a *authorization) string {
	v := url.Values{"response_type": {"code"}, "client_id": {a.client.ClientID}}
	for name, value := range map[string]string{"state": a.state, "scope": a.scope, "resource": a.resource, "code_challenge": a.challenge} {
		if value != "" {
			v.Set(name, value)
		}
	}
	if a.asked {
		v.Set("redirect_uri", a.redirect)
	}
	if a.challenge != "" {
		v.Set("code_challenge_method", "S256")
	}
	return r.Origin + AuthorizePath(&s.Route) + "?" + v.Encode()
}
