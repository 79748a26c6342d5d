package flow

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/session"
)

// A sessionStore has the session of one cookie of a request: *session.Sessions under the ID in the cookie, or with session_storage cookie
// *session.Carried in the cookie itself.
type sessionStore interface {
	Start(ctx context.Context, old *session.ID, l session.Login) (session.ID, *session.Session, error)
	OpenIf(ctx context.Context, id session.ID, may func(*session.Session) error) (*session.Opened, error)
	Update(ctx context.Context, id session.ID, refresh session.Refresh, discard session.Discard) (*session.Session, error)
	Peek(ctx context.Context, id session.ID) (*session.Session, error)
	EndLogin(ctx context.Context, id session.ID) (*session.Session, error)
	EndIfUnchanged(ctx context.Context, id session.ID, read *session.Session) error
}

// find returns where the session of one client's login is, and its ID. It reports false if the request has no valid cookie of it; the store
// then serves only to start one.
func (f *sessionCookies) find(r *auth.Request, n int) (sessionStore, session.ID, bool) {
	if f.carried != nil {
		k := f.read(r, n)
		id, ok := k.ID()
		return k, id, ok
	}
	id, ok := f.id(r, n)
	return f.store, id, ok
}

// read returns the session in the chunks of one client's login.
func (f *sessionCookies) read(r *auth.Request, n int) *session.Carried {
	return f.carried.Read(f.cookies[n].fullName(r), r.AllCookies())
}

// has reports whether the request has a cookie of one client's login, whatever it holds.
func (f *sessionCookies) has(r *auth.Request, n int) bool {
	if f.carried == nil {
		return len(r.CookieValues(f.cookies[n].fullName(r))) > 0
	}
	k := f.read(r, n)
	return slices.ContainsFunc(chunkIndexes, k.Sent)
}

var chunkIndexes = func() (all []int) {
	for index := range session.MaxChunks {
		all = append(all, index)
	}
	return all
}()

// maxCookieLine is the longest Set-Cookie line with a chunk, in bytes. Browsers take 4,096 for name, value and attributes (RFC 6265 §6.1).
const maxCookieLine = 4000

// setChunks returns the header that sets the cookies of one client's login, and clears those that it had before and doesn't need any more.
func (f *sessionCookies) setChunks(r *auth.Request, n int, s *session.Session) (http.Header, error) {
	c, h := &f.cookies[n], http.Header{}
	name := c.fullName(r)
	c.set(h, r, session.ChunkName(name, session.MaxChunks-1), "", 0)
	room := maxCookieLine - len(h.Get("Set-Cookie"))
	values, err := f.carried.Seal(name, room, s)
	if err != nil {
		return nil, err
	}
	h, k := http.Header{}, f.read(r, n)
	for index, value := range values {
		c.set(h, r, session.ChunkName(name, index), value, 0)
	}
	for index := len(values); index < session.MaxChunks; index++ {
		if k.Sent(index) {
			c.set(h, r, session.ChunkName(name, index), "", -1)
		}
	}
	return h, nil
}

// clearChunks returns the header that deletes the cookies of one client's login that the request has, or only the stale ones: those that
// its session has no chunk in.
func (f *sessionCookies) clearChunks(r *auth.Request, n int, stale bool) http.Header {
	c, k, h := &f.cookies[n], f.read(r, n), http.Header{}
	for _, index := range chunkIndexes {
		if stale && k.Stale(index) || !stale && (index == 0 || k.Sent(index)) {
			c.set(h, r, session.ChunkName(c.fullName(r), index), "", -1)
		}
	}
	if !stale {
		f.loop.cookieCleared(h, r)
	}
	return h
}

// resumed returns the header for a session that goes on: it sets the cookie if the session changed while the request was judged.
func (f *sessionCookies) resumed(r *auth.Request, n int, opened *session.Opened, current *session.Session) (http.Header, error) {
	switch {
	case opened.Rotated, f.carried != nil && current != opened.Session:
		h, err := f.setCookie(r, n, opened.ID, current)
		if err != nil {
			return nil, storeError(err)
		}
		return h, nil
	case f.carried != nil:
		return f.clearChunks(r, n, true), nil
	}
	return nil, nil
}

// storeError returns the error for a session that could not be stored.
func storeError(err error) *auth.Error {
	if errors.Is(err, session.ErrTooLarge) {
		return auth.NotSetUp(err)
	}
	return auth.Unavailable("session_store_unavailable", err)
}

// chunkOwner returns the client whose login's cookie has this name on a request, or -1.
func (f *sessionCookies) chunkOwner(r *auth.Request, name string) int {
	return slices.IndexFunc(f.cookies, func(c cookie) bool {
		full := c.fullName(r)
		return slices.ContainsFunc(chunkIndexes, func(index int) bool { return session.ChunkName(full, index) == name })
	})
}

// reviewChunks returns the lines of a header that may still be sent: see Review. The lines of one login are sent together or not at all.
func (f *sessionCookies) reviewChunks(r *auth.Request, lines []string, forwarded bool) (rest []string) {
	owners, may := make([]int, len(lines)), map[int]bool{-1: true}
	for i, line := range lines {
		pair, _, _ := strings.Cut(line, ";")
		name, value, _ := strings.Cut(pair, "=")
		if owners[i] = f.chunkOwner(r, name); value != "" && owners[i] >= 0 {
			may[owners[i]] = f.carried.MaySet(value)
		}
	}
	for i, line := range lines {
		n := owners[i]
		if _, judged := may[n]; !judged {
			may[n] = f.mayClearChunks(r, n, forwarded)
		}
		if may[n] {
			rest = append(rest, line)
		}
	}
	return rest
}

// mayClearChunks reports whether the cookies of a request may still be cleared: see mayClear.
func (f *sessionCookies) mayClearChunks(r *auth.Request, n int, forwarded bool) bool {
	k := f.read(r, n)
	if _, ok := k.ID(); !ok {
		return !forwarded
	}
	return k.MayClear()
}
