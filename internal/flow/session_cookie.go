package flow

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
	"sallyport/internal/session"
)

// sessionCookies are the cookies that hold the IDs of a part's sessions.
type sessionCookies struct {
	clients  *clients
	store    *session.Sessions
	carried  *session.CookieSessions // nil unless session_storage is cookie
	keyring  *keyring.Keyring
	cookies  []cookie // by the index of client_id
	remember []cookie // likewise; nil: sessions aren't remembered
	audience string
	loop     *loginLoop // nil: the route has no login
}

// matches reports whether a session is a login of the client with index n, at this route's issuer and session_audience.
func (f *sessionCookies) matches(n int, s *session.Session) bool {
	client, l := f.clients.list[n], &s.Login
	return l.Issuer == client.Issuer().URL() && l.ClientID == client.ID && l.Audience == f.audience
}

// id returns the session ID in the cookie of one client's login.
func (f *sessionCookies) id(r *auth.Request, n int) (id session.ID, ok bool) {
	return f.idIn(r, &f.cookies[n])
}

// idIn returns the ID in a cookie.
func (f *sessionCookies) idIn(r *auth.Request, c *cookie) (id session.ID, ok bool) {
	name := c.fullName(r)
	values := r.CookieValues(name)
	for _, value := range values[:min(len(values), maxCookies)] {
		if id, ok := f.keyring.OpenID(name, value); ok {
			return id, true
		}
	}
	return id, false
}

// sentBy reports whether the request has a cookie of one of the route's logins.
func (f *sessionCookies) sentBy(r *auth.Request) bool {
	for n := range f.cookies {
		if _, remembered := f.remembered(r, n); remembered || f.has(r, n) {
			return true
		}
	}
	return false
}

// isLoggedIn reports whether the request has the session of a login of this part. It changes nothing.
func (f *sessionCookies) isLoggedIn(r *auth.Request) bool {
	for n := range f.cookies {
		if store, id, ok := f.find(r, n); ok {
			if s, err := store.Peek(r.Context(), id); err == nil && f.matches(n, s) {
				return true
			}
		}
	}
	return false
}

// setCookie returns the header that sets the cookie of one client's login, and its remember cookie: the ID s has in the store, or s itself
// in chunks.
func (f *sessionCookies) setCookie(r *auth.Request, n int, id session.ID, s *session.Session) (http.Header, error) {
	if f.carried != nil {
		return f.setChunks(r, n, s)
	}
	h := http.Header{}
	err := f.setID(h, r, &f.cookies[n], id, 0)
	if left := f.store.Remembered(s); err == nil && len(f.remember) > 0 && left >= time.Second {
		err = f.setID(h, r, &f.remember[n], s.Remember, int(left/time.Second))
	}
	return h, err
}

// setID adds a Set-Cookie header with an ID.
func (f *sessionCookies) setID(h http.Header, r *auth.Request, c *cookie, id session.ID, maxAge int) error {
	name := c.fullName(r)
	value, err := f.keyring.SignID(name, id)
	if err == nil {
		c.set(h, r, name, value, maxAge)
	}
	return err
}

// Review removes from the header of an answer the session cookies that a newer login of the same browser has replaced since
// the answer was decided.
func (f *sessionCookies) Review(r *auth.Request, header http.Header, forwarded bool) http.Header {
	lines := header["Set-Cookie"]
	var rest []string
	if f.carried != nil {
		rest = f.reviewChunks(r, lines, forwarded)
	} else {
		rest = slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return !f.maySend(r, line, forwarded) })
	}
	if len(rest) == len(lines) {
		return header
	}
	out := header.Clone()
	if out["Set-Cookie"] = rest; len(rest) == 0 {
		delete(out, "Set-Cookie")
	}
	return out
}

// maySend reports whether a Set-Cookie header may still be sent.
func (f *sessionCookies) maySend(r *auth.Request, line string, forwarded bool) bool {
	pair, _, _ := strings.Cut(line, ";")
	name, value, _ := strings.Cut(pair, "=")
	named := func(c cookie) bool { return c.fullName(r) == name }
	n := slices.IndexFunc(f.cookies, named)
	switch {
	case n < 0:
		n = slices.IndexFunc(f.remember, named)
		return !forwarded || n < 0 || f.mayRemember(r, n, value)
	case value == "":
		return f.mayClear(r, n, forwarded)
	case !forwarded:
		return true // the answer was decided just now
	}
	id, ok := f.keyring.OpenID(name, value)
	if !ok {
		return true
	}
	_, err := f.store.Peek(r.Context(), id)
	return !errors.Is(err, session.ErrNotFound)
}

// mayClear reports whether the cookie of a request may still be cleared: it may not if the store knows that the browser
// received a newer one. About an invalid cookie the store knows nothing. Such a cookie is only cleared by an answer that did
// not wait for the upstream.
func (f *sessionCookies) mayClear(r *auth.Request, n int, forwarded bool) bool {
	id, ok := f.id(r, n)
	if !ok {
		return !forwarded
	}
	s, err := f.store.Peek(r.Context(), id)
	if err == nil {
		return !f.matches(n, s)
	}
	return errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrReplaced)
}

// clearCookie returns the header that deletes it.
func (f *sessionCookies) clearCookie(r *auth.Request, n int) http.Header {
	if f.carried != nil {
		return f.clearChunks(r, n, false)
	}
	c, h := &f.cookies[n], http.Header{}
	c.set(h, r, c.fullName(r), "", -1)
	f.loop.cookieCleared(h, r)
	return h
}
