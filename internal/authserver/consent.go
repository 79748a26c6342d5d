package authserver

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/auth"
)

// A consentRequest is an authorization request for which the user was asked for consent. It is sealed into the form of the consent page,
// so that the answer belongs to this user and this request (RFC 6749 §10.12).
type consentRequest struct {
	Route      string `json:"rt"` // the URL of the route
	UserIssuer string `json:"i"`
	User       string `json:"u"`
	Client     string `json:"c"`
	Redirect   string `json:"r"`
	Asked      bool   `json:"ra,omitempty"`
	State      string `json:"st,omitempty"`
	Scope      string `json:"s,omitempty"`
	Resource   string `json:"rs,omitempty"`
	Challenge  string `json:"cc,omitempty"`
	Time       int64  `json:"t"` // Unix seconds
}

const (
	consentField   = "consent"
	refuseField    = "refuse"
	consentUse     = "oauth2 consent" // separates its records from the keyring's other ones
	consentTimeout = 10 * time.Minute
)

// consentPage returns the page that asks the user for consent.
func (s *Site) consentPage(r *auth.Request, a *authorization, user *auth.Identity) (*auth.Result, error) {
	sealed, err := s.keyring.SealJSON(consentUse, consentUse, "", consentRequest{
		Route: s.Route.URL(r), UserIssuer: user.Issuer, User: user.Subject, Client: a.client.ClientID, Redirect: a.redirect, Asked: a.asked,
		State: a.state, Scope: a.scope, Resource: a.resource, Challenge: a.challenge, Time: s.now().Unix(),
	})
	if err != nil {
		return nil, err
	}
	return &auth.Result{Answer: &auth.Answer{Status: http.StatusOK, Page: &auth.Page{
		Kind: auth.PageConsent, Title: "Allow access?", Text: consentText(a), Items: strings.Fields(a.scope),
		Link: AuthorizePath(&s.Route), Post: true, Action: "Allow", Refuse: "Don't allow",
		Fields: []auth.Field{{Name: consentField, Value: base64.RawURLEncoding.EncodeToString([]byte(sealed))}},
	}}}, nil
}

// consentText returns the words of the consent page: who asks, for what, and where the user goes on to. A name that a client has given
// itself proves nothing, so the page shows what does: the host of its client_id, and that of the redirect URI.
func consentText(a *authorization) string {
	text := a.client.displayName() + " asks for access in your name"
	u := documentURL(a.client.ClientID)
	switch {
	case u != nil:
		text = fmt.Sprintf("An application of %s, which calls itself %q, asks for access in your name", u.Host, a.client.displayName())
	case a.client.dynamic && a.client.Name != "":
		text = fmt.Sprintf("An application that calls itself %q asks for access in your name", a.client.Name)
	case a.client.dynamic:
		text = "An application that doesn't say its name asks for access in your name"
	}
	if a.resource != "" {
		text += " to " + a.resource
	}
	text += ". If you allow it, you go on to " + destination(a.redirect) + "."
	if a.client.dynamic && leadsToProgram(a.redirect) {
		text += " That is a program on this computer, and any program here can call itself so: " +
			"allow it only if you have just started the connection yourself."
	}
	if a.scope != "" {
		text += " It asks for:"
	}
	return text
}

// destination returns the part of a redirect URI that the consent page shows.
func destination(redirect string) string {
	u, err := url.Parse(redirect)
	if err != nil || u.Host == "" {
		scheme, _, _ := strings.Cut(redirect, ":")
		return "the app of " + scheme
	}
	return u.Scheme + "://" + u.Host
}

// authorizeConsent serves the submitted form of the consent page.
func (s *Site) authorizeConsent(r *auth.Request, user visitor, p params) (*auth.Result, error) {
	if !r.MayChange() {
		return nil, stale("", errors.New("the answer came from another site, or not from the page that asked"))
	}
	q, err := s.openRequest(p[consentField])
	if err != nil {
		return nil, stale("", err)
	}
	if q.Route != s.Route.URL(r) {
		return nil, stale("", errors.New("the answer is for "+q.Route))
	}
	a, err := s.newAuthorization(r, user, params{"client_id": q.Client, "redirect_uri": q.Redirect})
	if err != nil {
		return nil, s.pageError(r, err)
	}
	a.asked, a.state, a.resource, a.challenge = q.Asked, q.State, q.Resource, q.Challenge
	a.scope = stillAllowed(q.Scope, s.allowedScopes(a.client))
	res, err := s.decided(r, a, user, q, p[refuseField] != "")
	if target := s.errorResponse(r, a, err); target != "" {
		return seeOther(target), nil
	}
	return res, err
}

// decided continues a request with the user's decision. It checks that the user is still the one who was asked.
func (s *Site) decided(r *auth.Request, a *authorization, user visitor, q *consentRequest, refused bool) (*auth.Result, error) {
	switch {
	case user.err != nil && !errors.Is(user.err, auth.ErrNoCredential):
		return nil, user.err
	case user.err != nil || user.identity.Subject != q.User || user.identity.Issuer != q.UserIssuer:
		return nil, stale(s.restartURI(r, a), errors.New("the user who was asked isn't logged in any more"))
	case s.now().Sub(time.Unix(q.Time, 0)) > consentTimeout:
		return nil, stale(s.restartURI(r, a), errors.New("the user took longer than 10 minutes"))
	case refused:
		s.process.consents.forget(user.identity, a)
		return nil, refuse("access_denied", "The user doesn't allow it.")
	}
	s.process.consents.give(user.identity, a)
	return s.sendCode(r, a, user.identity)
}

// openRequest opens the sealed field of the form.
func (s *Site) openRequest(sealed string) (*consentRequest, error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return nil, errors.New("the form holds no consent request of this server")
	}
	q := &consentRequest{}
	return q, s.keyring.OpenJSON(consentUse, consentUse, "", string(raw), q)
}

// stale returns the error page for a form that is not valid any more. Its link repeats the authorization request.
func stale(link string, err error) error {
	return &auth.Error{
		Status: http.StatusBadRequest, Code: "invalid_request", Title: "This page is out of date", Reason: "oauth2_consent_stale",
		Description: "You took too long, aren't logged in any more as the user who was asked, " +
			"or the answer didn't come from the page that asked. Nothing has happened.",
		Link: link, Err: err,
	}
}
