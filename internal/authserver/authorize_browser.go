package authserver

import (
	"errors"
	"net/http"
	"net/url"

	"sallyport/internal/auth"
)

// authorizeBrowser serves a user's browser, which a client sent here: it logs in if need be, asks the user, and sends the
// browser back with a code. Refusals go back too, once it is sure where to; else the user sees them.
func (s *site) authorizeBrowser(r *auth.Request, user visitor) (*auth.Result, error) {
	p, err := parseParams(r.URL.RawQuery)
	if err != nil {
		return nil, page(err)
	}
	if !r.Opened() && !(p["prompt"] == "none" && r.OpenedInFrame()) { // clients ask in a hidden frame (OIDC Core §3.1.2.1)
		return nil, page(refuse("invalid_request",
			"A browser must open this address as a page: a script, a picture, a frame or a prefetch gets no code."))
	}
	a, err := s.recipient(p)
	if err != nil {
		return nil, page(err)
	}
	res, err := s.ask(r, a, user, p)
	if target := s.errorResponse(r, a, err); target != "" {
		return seeOther(target), nil
	}
	return res, err
}

// ask finds out who the user is and what the user says.
func (s *site) ask(r *auth.Request, a *authorization, user visitor, p params) (*auth.Result, error) {
	if err := s.complete(a, p); err != nil {
		return nil, err
	}
	silent, always, err := prompts(p)
	if err != nil {
		return nil, err
	}
	switch {
	case errors.Is(user.err, auth.ErrNoCredential) && silent:
		return nil, refuse("login_required", "The user isn't logged in.") // OIDC Core §3.1.2.6
	case user.err != nil && silent:
		return nil, silently(user.err)
	case user.err != nil:
		return nil, user.err
	}
	agreed := !a.client.Consent || s.kept.consents.given(user.identity, a) && a.client.sure(a.redirect)
	switch {
	case agreed && !always:
		return s.send(r, a, user.identity)
	case silent:
		return nil, refuse("consent_required", "The user must be asked.")
	}
	return s.consentPage(r, a, user.identity)
}

// silently returns the error response for a user whom the route refuses, where prompt=none forbids to show a page (OIDC Core
// §3.1.2.1). It says no more than that the user may not do this, or that a login is needed.
func silently(err error) error {
	e := auth.AsError(err)
	switch {
	case e.StepUp != nil:
		return refuse("login_required", "Another login is needed.").because(e.Error())
	case e.Status == http.StatusForbidden:
		return refuse("access_denied", "The user may not do this.").because(e.Error())
	}
	return err
}

// send sends the browser back with a code.
func (s *site) send(r *auth.Request, a *authorization, user *auth.Identity) (*auth.Result, error) {
	target, err := s.issueCode(r, a, user.Subject, user)
	if err != nil {
		return nil, err
	}
	return seeOther(target), nil
}

// page turns a refusal into a page for the user, who can't repair it and is told whose fault it is.
func page(err error) error {
	var refused *refusal
	if !errors.As(err, &refused) {
		return err
	}
	return &auth.Error{Status: http.StatusBadRequest, Code: refused.code, Title: "This link can't be followed", Reason: "oauth2_authorization_request",
		Description: "The application that sent you here asked in a way that isn't allowed: " + refused.description, Err: errors.New(refused.Error())}
}

// again is the address at which an authorization request begins anew.
func (s *site) again(r *auth.Request, a *authorization) string {
	v := url.Values{"response_type": {"code"}, "client_id": {a.client.ClientID}}
	for name, value := range map[string]string{"state": a.state, "scope": a.scope, "code_challenge": a.challenge} {
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
	return r.Origin + s.base + authorizePath + "?" + v.Encode()
}
