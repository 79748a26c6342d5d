package flow

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// defaultAudience is what session_audience is where it isn't written.
const defaultAudience = "default"

// loginName is what tells logins of one issuer and client apart. Where anybody can write a token, what one has begun proves
// nothing to routes that verify.
func loginName(s *Settings) string {
	name := s.Session.Audience
	if !s.Client.VerifySignature {
		name += "\x00unsigned"
	}
	if !s.Client.VerifyClaims {
		name += "\x00unjudged"
	}
	return name
}

// SessionCookieNames are the names of a route's session cookies without their prefix, by the index of client_id. Logins that
// differ in issuer, client or session_audience have cookies of different names: the default name ends with a mark of the
// three, and so does one that is written out where the settings tell more than one login apart. Several says that the route
// has a list of issuers.
func SessionCookieNames(s *Settings, several bool) []string {
	base, marked := s.SessionCookieName, several || len(s.Client.ClientID) > 1 || loginName(s) != defaultAudience
	if base == "" {
		base, marked = "session", true
	}
	names := make([]string, max(1, len(s.Client.ClientID)))
	for n := range names {
		names[n] = base
		if marked {
			names[n] += "_" + mark(oidc.IssuerOf(s.Client.Issuer), oidc.At(s.Client.ClientID, n), loginName(s))
		}
	}
	return names
}

func sessionCookies(s *Settings, several bool) (all []cookie) {
	for _, name := range SessionCookieNames(s, several) {
		all = append(all, newCookie(name, s.SessionCookie))
	}
	return all
}

// mark is 8 hex digits that stand for an issuer, a client and an audience.
func mark(issuer, clientID, audience string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{issuer, clientID, audience}, "\x00")))
	return hex.EncodeToString(sum[:4])
}

// id returns the session ID of the cookie of one client's login.
func (f *sessions) id(r *auth.Request, n int) (id session.ID, found bool) {
	name := f.cookies[n].fullName(r)
	values := r.CookieValues(name)
	for _, value := range values[:min(len(values), maxCookies)] {
		if id, ok := f.keyring.OpenID(name, value); ok {
			return id, true
		}
	}
	return id, false
}

// brought reports whether the request has a cookie for one of the route's logins.
func (f *sessions) brought(r *auth.Request) bool {
	return slices.ContainsFunc(f.cookies, func(c cookie) bool { return len(r.CookieValues(c.fullName(r))) > 0 })
}

func (f *sessions) setCookie(r *auth.Request, n int, id session.ID) (http.Header, error) {
	c := &f.cookies[n]
	name := c.fullName(r)
	value, err := f.keyring.SignID(name, id)
	if err != nil {
		return nil, err
	}
	h := http.Header{}
	c.set(h, r, name, value, 0)
	return h, nil
}

// Review takes out the session cookies that a newer login of the same browser has made wrong since the answer was decided.
func (f *sessions) Review(r *auth.Request, header http.Header, forwarded bool) http.Header {
	lines := header["Set-Cookie"]
	kept := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !f.holds(r, line, forwarded) })
	if len(kept) == len(lines) {
		return header
	}
	out := header.Clone()
	if out["Set-Cookie"] = kept; len(kept) == 0 {
		delete(out, "Set-Cookie")
	}
	return out
}

// holds reports whether a Set-Cookie may still be sent.
func (f *sessions) holds(r *auth.Request, line string, forwarded bool) bool {
	pair, _, _ := strings.Cut(line, ";")
	name, value, _ := strings.Cut(pair, "=")
	n := slices.IndexFunc(f.cookies, func(c cookie) bool { return c.fullName(r) == name })
	switch {
	case n < 0:
		return true
	case value == "":
		return f.worthless(r, n, forwarded)
	case !forwarded:
		return true // it was decided a moment ago
	}
	id, ok := f.keyring.OpenID(name, value)
	if !ok {
		return true
	}
	_, err := f.store.Peek(r.Context(), id)
	return !errors.Is(err, session.ErrNotFound)
}

// worthless reports whether the cookie of a request may still be cleared: the store doesn't know that its browser has had
// another one. Of a cookie that doesn't open the store knows nothing, so it is cleared by an answer that was decided a moment
// ago, and not by one that waited for the upstream.
func (f *sessions) worthless(r *auth.Request, n int, forwarded bool) bool {
	id, found := f.id(r, n)
	if !found {
		return !forwarded
	}
	s, err := f.store.Peek(r.Context(), id)
	if err == nil {
		return !f.ours(n, s)
	}
	return errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrReplaced)
}

func (f *sessions) clearCookie(r *auth.Request, n int) http.Header {
	c, h := &f.cookies[n], http.Header{}
	c.set(h, r, c.fullName(r), "", -1)
	return h
}
