package flow

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/auth"
	"sallyport/internal/session"
)

// loginTimes say when a login took place. They can differ where a token response is cached.
type loginTimes struct {
	received time.Time // the token response
	obtained time.Time // the tokens, for this login
}

// begin starts a session with a new ID for a login of the client with index n, and ends the session that the browser had. It
// returns the header that sets the cookie, and the session's properties. The error is an *auth.Error.
func (f *sessions) begin(r *auth.Request, n int, identity *auth.Identity, at loginTimes) (http.Header, *auth.Session, error) {
	if err := f.endOtherSubjects(r, identity); err != nil {
		return nil, nil, err
	}
	if _, err := f.endRemembered(r, n); err != nil {
		return nil, nil, auth.Unavailable("session_store_unavailable", err)
	}
	store, before, err := f.before(r, n)
	if err != nil {
		return nil, nil, storeError(err)
	}
	id, begun, err := store.Start(context.WithoutCancel(r.Context()), before, session.Login{
		Audience: f.audience, Issuer: identity.Issuer, ClientID: f.clients.list[n].ID, Subject: identity.Subject, SID: sid(identity),
		Identity: identity, Route: f.route, Client: r.ClientAddr, Bound: f.bind.of(r), Began: f.began(identity, n, at.received),
		Obtained: at.obtained,
	})
	switch {
	case errors.Is(err, session.ErrLoggedOut):
		return nil, nil, &auth.Error{
			Status: http.StatusUnauthorized, Reason: "logged_out_during_login", Title: "Logged out", Err: err,
			Description: "You were logged out while you were logging in.", Link: r.Origin + f.home, Action: "Log in again",
		}
	case err != nil:
		return nil, nil, storeError(err)
	}
	header, err := f.setCookie(r, n, id, begun)
	if err != nil {
		return nil, nil, storeError(err)
	}
	return header, f.describe(id, begun), nil
}

// before returns where the login begins, and the ID of the session that the browser had, which a login ends. The ID is nil if the request
// may not use that session: who stole a cookie can't end the session of its owner by logging in.
func (f *sessions) before(r *auth.Request, n int) (sessionStore, *session.ID, error) {
	store, id, ok := f.find(r, n)
	if !ok {
		return store, nil, nil
	}
	if len(f.bind) == 0 {
		return store, &id, nil
	}
	s, err := store.Peek(r.Context(), id)
	switch {
	case errors.Is(err, session.ErrUnavailable):
		return nil, nil, err
	case err != nil || f.bind.differs(r, &s.Login) == "":
		return store, &id, nil
	case f.carried != nil:
		return f.carried.Read(f.cookies[n].fullName(r), nil), nil, nil // as if the request had no cookie
	}
	return store, nil, nil
}

// began returns when a login began: the iat of its ID token. Without an ID token, a logout of which the provider's clock says that it came
// after the token response was received ends the login, too.
func (f *sessions) began(identity *auth.Identity, n int, received time.Time) time.Time {
	if iat, ok := identity.IDToken.Time("iat"); ok && !iat.IsZero() {
		return iat
	}
	return received.Add(-f.clients.list[n].Issuer().ClockTolerance())
}

// start returns the step that begins a session after the success of a kind other than the login of a browser.
func (f *sessions) start(k *Kind) auth.Step {
	return func(r *auth.Request, res *auth.Result) (*auth.Result, error) {
		if mayBeForged(r, res.Used) {
			return res, nil
		}
		identity := *res.Identity
		identity.Flow, identity.Session, identity.BuiltIn = string(sessionKind.Name), true, false
		if k.clientRefreshes { // if both the client and the session used the refresh token, the second use would end the grant
			identity.Tokens.RefreshToken = ""
		}
		at := loginTimes{res.Received, f.now()}
		if at.received.IsZero() { // the credential was a token
			at.received = at.obtained
		}
		header, begun, err := f.begin(r, f.clients.chosenIndex(r), &identity, at)
		if err != nil {
			return nil, err
		}
		f.audit.Write(audit.Event{
			Event: audit.Login, How: audit.ByCredential, RequestID: r.ID, Client: r.Client(), Route: f.route, Flow: string(k.Name),
			Issuer: identity.Issuer, Subject: identity.Subject, ClientID: f.clients.list[f.clients.chosenIndex(r)].ID,
		})
		out := *res
		out.Session = begun
		out.Header = auth.MergeHeader(header, res.Header)
		return &out, nil
	}
}

// mayBeForged reports whether another site could have made a browser send the request with this credential (login CSRF): a
// link or a form sets query and body, another host of the domain sets cookies, and a URL with a user's name
// (https://name:password@host) sets a Basic header. A session begun by such a request would be the attacker's, in the
// browser of the victim.
func mayBeForged(r *auth.Request, used []auth.Param) bool {
	for _, p := range used {
		if p.In != auth.InHeader {
			return true
		}
	}
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	basic := slices.Contains(used, authorization) && strings.EqualFold(scheme, "Basic")
	site := r.Header.Get("Sec-Fetch-Site")
	return len(used) == 0 || basic && (site == "cross-site" || site == "same-site")
}

// sid returns the provider's session ID, by which its back-channel logout finds the session here (OIDC Back-Channel Logout
// §2.1).
func sid(identity *auth.Identity) string { return identity.IDToken.String("sid") }
