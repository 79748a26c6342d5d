package flow

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/session"
)

// begin starts a session with a new ID for a login of the client with index n, and ends the session that the browser had. It
// returns the header that sets the cookie.
func (f *sessions) begin(r *auth.Request, n int, identity *auth.Identity) (http.Header, error) {
	var before *session.ID
	store, old, ok := f.find(r, n)
	if ok {
		before = &old
	}
	id, s, err := store.Start(context.WithoutCancel(r.Context()), before, session.Login{
		Audience: f.audience, Issuer: identity.Issuer, ClientID: f.clients.list[n].ID, Subject: identity.Subject, SID: sid(identity),
		Identity: identity, Obtained: f.now(),
	})
	if err != nil {
		return nil, err
	}
	return f.setCookie(r, n, id, s)
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
		header, err := f.begin(r, f.clients.chosenIndex(r), &identity)
		if err != nil {
			return nil, storeError(err)
		}
		out := *res
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
