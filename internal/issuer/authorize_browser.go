package issuer

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"sallyport/internal/auth"
)

// authorizeBrowser serves a user's browser, which a client sent here: it logs in if need be, asks the user, and sends the
// browser back with a code. Refusals go back too, once it is sure where to; else the user sees them.
func (s *site) authorizeBrowser(r *auth.Request) (*auth.Result, error) {
	p, err := parseParams(r.URL.RawQuery)
	if err != nil {
		return nil, page(err)
	}
	a, err := s.recipient(p)
	if err != nil {
		return nil, page(err)
	}
	res, err := s.ask(r, a, p)
	if target := s.errorResponse(r, a, err); target != "" {
		return seeOther(target), nil
	}
	return res, err
}

// ask finds out who the user is and what the user says.
func (s *site) ask(r *auth.Request, a *authorization, p params) (*auth.Result, error) {
	if err := s.complete(a, p); err != nil {
		return nil, err
	}
	silent, always, err := prompts(p)
	if err != nil {
		return nil, err
	}
	user, err := s.user(r)
	switch {
	case errors.Is(err, auth.ErrNoCredential) && silent:
		return nil, refuse("login_required", "The user isn't logged in.") // OIDC Core §3.1.2.6
	case err != nil:
		return nil, err
	}
	agreed := !a.client.Consent || s.kept.consents.given(user, a) && a.client.sure(a.redirect)
	switch {
	case agreed && !always:
		return s.send(r, a, user)
	case silent:
		return nil, refuse("consent_required", "The user must be asked.")
	}
	return s.consentPage(r, a, user)
}

// user is who is logged in. A token of our own proves no user here, or a client could turn one into more.
func (s *site) user(r *auth.Request) (*auth.Identity, error) {
	if s.who == nil {
		return nil, refuse("access_denied", "Nobody can log in here.").because("no login for the authorization endpoint")
	}
	user, err := s.who(r)
	switch {
	case err != nil:
		return nil, err
	case user == nil || user.Subject == "":
		return nil, fmt.Errorf("%w: no user", auth.ErrNoCredential)
	case user.Flow == Flow:
		return nil, refuse("access_denied", "An access token can't ask for another one.").because("the user came with a token of this issuer")
	}
	return user, nil
}

// send sends the browser back with a code.
func (s *site) send(r *auth.Request, a *authorization, user *auth.Identity) (*auth.Result, error) {
	target, err := s.issueCode(r, a, user.Subject)
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
