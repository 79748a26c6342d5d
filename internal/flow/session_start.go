package flow

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/session"
)

// begin starts the session under a new ID, whatever ID the browser had before, as the login of one of our clients. It
// returns the header that sets its cookie.
func (f *sessions) begin(r *auth.Request, n int, identity *auth.Identity) (http.Header, error) {
	var before *session.ID
	if id, ok := f.id(r, n); ok {
		before = &id
	}
	id, _, err := f.store.Start(context.WithoutCancel(r.Context()), before, session.Login{
		Audience: f.audience, Issuer: identity.Issuer, ClientID: f.clients.list[n].ID, Subject: identity.Subject, SID: sid(identity),
		Identity: identity, Obtained: f.now(),
	})
	if err != nil {
		return nil, err
	}
	return f.setCookie(r, n, id)
}

// start returns the step that begins a session after the success of a kind, which isn't the login of a browser.
func (f *sessions) start(k *Kind) auth.Step {
	return func(r *auth.Request, res *auth.Result) (*auth.Result, error) {
		if mayBeForged(r, res.Used) {
			return res, nil
		}
		identity := *res.Identity
		identity.Flow, identity.Session, identity.BuiltIn = string(sessionKind.Name), true, false
		if k.clientRefreshes { // of two that use a refresh token, the second would end the grant
			identity.Tokens.RefreshToken = ""
		}
		header, err := f.begin(r, f.clients.chosenIndex(r), &identity)
		if err != nil {
			return nil, auth.Unavailable("session_store_unavailable", err)
		}
		out := *res
		out.Header = auth.MergeHeader(header, res.Header)
		return &out, nil
	}
}

// plantable reports whether another site could have put a credential into a request, which a browser then sends: a link or a
// form writes query and body, a neighbouring host a cookie, and an address with a user's name (https://name:password@host)
// a Basic header. A session that such a request began would make the person work as somebody else (login CSRF).
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

// sid is the provider's own session (OIDC Back-Channel Logout §2.1), by which a logout elsewhere finds ours.
func sid(identity *auth.Identity) string { return identity.IDToken.String("sid") }
