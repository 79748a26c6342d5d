package flow

import (
	"context"
	"errors"
	"net/http"

	"sallyport/internal/audit"
	"sallyport/internal/auth"
	"sallyport/internal/session"
)

// newRememberCookies returns the remember cookies of a part, which have the attributes of its session cookies.
func newRememberCookies(b *base, s *SessionSettings, id loginID) (all []cookie) {
	for _, name := range s.rememberNames(b.view, id, b.MultiIssuer) {
		all = append(all, newCookie(name, s.SessionCookie))
	}
	return all
}

// remembered returns the remember ID in the cookie of one client's login.
func (f *sessionCookies) remembered(r *auth.Request, n int) (id session.ID, ok bool) {
	if len(f.remember) == 0 {
		return id, false
	}
	return f.idIn(r, &f.remember[n])
}

// resumeRemembered resumes the session of the request's remember cookie. Without one that works it returns the error before, which says why
// the request has no session. It clears a cookie that doesn't work any more, except for a while after the browser was given a newer one.
func (f *sessions) resumeRemembered(r *auth.Request, n int, before error) (*auth.Result, error) {
	id, ok := f.remembered(r, n)
	if !ok {
		return nil, auth.WithHeader(before, f.clearRemember(nil, r, n))
	}
	opened, err := f.store.Resume(r.Context(), id, func(s *session.Session) error { return f.mayUse(r, n, s) })
	switch {
	case errors.Is(err, session.ErrReplaced), errors.Is(err, auth.ErrNoCredential):
		return nil, before
	case errors.Is(err, session.ErrNotFound), errors.Is(err, errForeign):
		return nil, auth.WithHeader(before, f.clearRemember(nil, r, n))
	case errors.Is(err, session.ErrUnavailable):
		return nil, auth.Unavailable("session_store_unavailable", err)
	case err != nil:
		return nil, err
	}
	l := &opened.Session.Login
	f.log.Info("session resumed by its remember cookie", "request_id", r.ID, "issuer", l.Issuer, "sub", l.Subject, "client", r.Client())
	f.audit.Write(audit.Event{
		Event: audit.Login, How: audit.ByRemember, RequestID: r.ID, Client: r.Client(), Route: f.route,
		Issuer: l.Issuer, Subject: l.Subject, ClientID: l.ClientID,
	})
	res, err := f.result(r, n, f.store, opened)
	if err == nil || errors.Is(err, auth.ErrNoCredential) || errors.Is(err, session.ErrChanged) {
		return res, err
	}
	header, setErr := f.setCookie(r, n, opened.ID, opened.Session) // the former cookies don't work any more
	if setErr != nil {
		return nil, setErr
	}
	return nil, auth.WithHeader(err, header)
}

// endRemembered ends the session of the request's remember cookie, unless it is bound to attributes that the request doesn't have. It
// returns the session that ended, or nil.
func (f *sessions) endRemembered(r *auth.Request, n int) (*session.Session, error) {
	id, ok := f.remembered(r, n)
	if !ok {
		return nil, nil
	}
	mayEnd := func(l *session.Login) bool { return boundTo(l).differs(r, l) == "" }
	return f.store.EndRemembered(context.WithoutCancel(r.Context()), id, mayEnd)
}

// clearRemember adds the header that deletes the remember cookie, if the request has it.
func (f *sessionCookies) clearRemember(h http.Header, r *auth.Request, n int) http.Header {
	if len(f.remember) == 0 || len(r.CookieValues(f.remember[n].fullName(r))) == 0 {
		return h
	}
	if h == nil {
		h = http.Header{}
	}
	c := &f.remember[n]
	c.set(h, r, c.fullName(r), "", -1)
	return h
}

// mayRemember reports whether the remember cookie of one client's login may still be set, or with an empty value cleared, by an answer that
// waited for the upstream. Meanwhile its session may have ended, and the browser may have a newer cookie.
func (f *sessionCookies) mayRemember(r *auth.Request, n int, value string) bool {
	if value == "" {
		id, ok := f.remembered(r, n)
		if !ok {
			return false
		}
		_, err := f.store.PeekRemembered(r.Context(), id)
		return errors.Is(err, session.ErrNotFound) && !errors.Is(err, session.ErrReplaced)
	}
	id, ok := f.keyring.OpenID(f.remember[n].fullName(r), value)
	if !ok {
		return true
	}
	_, err := f.store.PeekRemembered(r.Context(), id)
	return !errors.Is(err, session.ErrNotFound)
}
