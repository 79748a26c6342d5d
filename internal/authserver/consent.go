package authserver

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"sallyport/internal/auth"
)

// A question is what the user was asked: the whole authorization request, sealed into the page's form, so that nobody else
// can answer, and no other request be meant (RFC 6749 §10.12).
type question struct {
	UserIssuer string `json:"i"`
	User       string `json:"u"`
	Client     string `json:"c"`
	Redirect   string `json:"r"`
	Asked      bool   `json:"ra,omitempty"`
	State      string `json:"st,omitempty"`
	Scope      string `json:"s,omitempty"`
	Challenge  string `json:"cc,omitempty"`
	Time       int64  `json:"t"` // Unix seconds
}

const (
	consentField = "consent"
	refuseField  = "refuse"
	consentUse   = "oauth2 consent"
	questionLife = 10 * time.Minute
)

// consentPage asks the user.
func (s *site) consentPage(r *auth.Request, a *authorization, user *auth.Identity) (*auth.Result, error) {
	plain, err := json.Marshal(question{
		UserIssuer: user.Issuer, User: user.Subject, Client: a.client.ClientID, Redirect: a.redirect, Asked: a.asked,
		State: a.state, Scope: a.scope, Challenge: a.challenge, Time: s.now().Unix(),
	})
	if err != nil {
		return nil, err
	}
	sealed, err := s.keyring.SealRecord(consentUse, consentUse, "", plain)
	if err != nil {
		return nil, err
	}
	text := a.client.shown() + " asks for access in your name. If you allow it, you go on to " + destination(a.redirect) + "."
	if a.scope != "" {
		text += " It asks for:"
	}
	return &auth.Result{Answer: &auth.Answer{Status: http.StatusOK, Page: &auth.Page{
		Kind: auth.PageConsent, Title: "Allow access?", Text: text, Items: strings.Fields(a.scope), Link: s.base + authorizePath, Post: true, Action: "Allow",
		Fields: []auth.Field{{Name: consentField, Value: base64.RawURLEncoding.EncodeToString([]byte(sealed))}}, Refuse: "Don't allow",
	}}}, nil
}

// destination is what a user is shown of a redirect URI.
func destination(redirect string) string {
	u, err := url.Parse(redirect)
	if err != nil || u.Host == "" {
		scheme, _, _ := strings.Cut(redirect, ":")
		return "the app of " + scheme
	}
	return u.Scheme + "://" + u.Host
}

// authorizeConsent takes the user's answer.
func (s *site) authorizeConsent(r *auth.Request, user visitor, p params) (*auth.Result, error) {
	if !r.MayChange() {
		return nil, stale("", errors.New("the answer came from another site, or not from the page that asked"))
	}
	q, err := s.opened(p[consentField])
	if err != nil {
		return nil, stale("", err)
	}
	a, err := s.recipient(params{"client_id": q.Client, "redirect_uri": q.Redirect})
	if err != nil {
		return nil, page(err)
	}
	a.asked, a.state, a.challenge = q.Asked, q.State, q.Challenge
	a.scope = stillAllowed(q.Scope, a.client.Scopes)
	res, err := s.answered(r, a, user, q, p[refuseField] != "")
	if target := s.errorResponse(r, a, err); target != "" {
		return seeOther(target), nil
	}
	return res, err
}

// answered goes on with a request after the user's answer, if it is that of the user who was asked.
func (s *site) answered(r *auth.Request, a *authorization, user visitor, q *question, refused bool) (*auth.Result, error) {
	switch {
	case user.err != nil && !errors.Is(user.err, auth.ErrNoCredential):
		return nil, user.err
	case user.err != nil || user.identity.Subject != q.User || user.identity.Issuer != q.UserIssuer:
		return nil, stale(s.again(r, a), errors.New("the user who was asked isn't logged in any more"))
	case s.now().Sub(time.Unix(q.Time, 0)) > questionLife:
		return nil, stale(s.again(r, a), errors.New("the user took longer than 10 minutes"))
	case refused:
		s.kept.consents.forget(user.identity, a)
		return nil, refuse("access_denied", "The user doesn't allow it.")
	}
	s.kept.consents.give(user.identity, a)
	return s.send(r, a, user.identity)
}

func (s *site) opened(sealed string) (*question, error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return nil, errors.New("the form holds no question of ours")
	}
	plain, err := s.keyring.OpenRecord(consentUse, consentUse, "", string(raw))
	if err != nil {
		return nil, err
	}
	q := &question{}
	return q, json.Unmarshal(plain, q)
}

// stale is the answer to an answer that nobody waits for. The link begins anew.
func stale(link string, err error) error {
	return &auth.Error{Status: http.StatusBadRequest, Code: "invalid_request", Title: "This page is out of date", Reason: "oauth2_consent_stale", Link: link, Err: err,
		Description: "You took too long, aren't logged in any more as the one who was asked, " +
			"or the answer didn't come from the page that asked. Nothing has happened."}
}
