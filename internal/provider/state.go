package provider

import (
	"crypto/rand"
	"maps"
	"slices"
	"sync"
	"time"
)

// A session is a login at the provider itself: it spares the next client's login the form.
type session struct {
	sid      string // as clients know it; the cookie's value is another
	user     *User
	authTime time.Time
	acr      string
	expiry   time.Time
}

// A grant is what one login, one password or one client's own secret gave to a client. All tokens that come from it are
// revoked together (RFC 6749 §4.1.2, RFC 9700 §4.14.2). Only revoked changes, guarded by state.mu.
type grant struct {
	client   *Client
	user     *User // nil: the client itself
	scope    []string
	audience []string       // of its access tokens; nil: the client's
	act      map[string]any // who acts for the user (RFC 8693 §4.1); nil for nobody
	session  session        // zero if there is none
	nonce    string
	authTime time.Time
	revoked  bool
}

func (g *grant) sub() string {
	if g.user == nil {
		return g.client.ID
	}
	return g.user.sub()
}

type code struct {
	grant                  *grant
	redirectURI, challenge string
	expiry                 time.Time
	used                   bool
}

type refreshToken struct {
	grant      *grant
	thumbprint string // of the certificate that a public client must show again; "" for none
	expiry     time.Time
	used       bool
	revoked    bool
}

type accessToken struct {
	grant   *grant
	claims  map[string]any // what it says, or would say if it weren't opaque; not to be changed
	expiry  time.Time
	revoked bool
}

// state is what the provider remembers, by the secret that finds it.
type state struct {
	mu       sync.Mutex
	sessions map[string]*session
	codes    map[string]*code
	refresh  map[string]*refreshToken
	access   map[string]*accessToken
	used     map[string]time.Time // the jti of assertions, each with its client, until they expire
	sources  map[string]*claimSource
	swept    time.Time
}

const (
	codeLifetime = time.Minute
	sweepEvery   = time.Minute
)

func (s *state) init() {
	s.sessions, s.codes = map[string]*session{}, map[string]*code{}
	s.refresh, s.access = map[string]*refreshToken{}, map[string]*accessToken{}
	s.used, s.sources = map[string]time.Time{}, map[string]*claimSource{}
}

// sweep forgets what has expired; mu must be held. A used code is kept beyond its expiry until the next sweep, a used
// refresh token until its expiry, so that their reuse is noticed.
func (s *state) sweep(now time.Time) {
	if now.Sub(s.swept) < sweepEvery {
		return
	}
	s.swept = now
	maps.DeleteFunc(s.sessions, func(_ string, v *session) bool { return now.After(v.expiry) })
	maps.DeleteFunc(s.codes, func(_ string, v *code) bool { return now.After(v.expiry.Add(sweepEvery)) })
	maps.DeleteFunc(s.refresh, func(_ string, v *refreshToken) bool { return now.After(v.expiry) })
	maps.DeleteFunc(s.access, func(_ string, v *accessToken) bool { return now.After(v.expiry) })
	maps.DeleteFunc(s.sources, func(_ string, v *claimSource) bool { return now.After(v.expiry) })
	maps.DeleteFunc(s.used, func(_ string, v time.Time) bool { return now.After(v) })
}

// begin keeps a new session in place of the one with the cookie before; the same user's keeps its sid.
func (s *state) begin(before string, v session) (cookie string) {
	cookie, v.sid = rand.Text(), rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(v.authTime)
	if old := s.sessions[before]; old != nil {
		if old.user == v.user {
			v.sid = old.sid
		}
		delete(s.sessions, before)
	}
	s.sessions[cookie] = &v
	return cookie
}

// session is the living session with a cookie, or nil.
func (s *state) session(cookie string, now time.Time) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.sessions[cookie]
	if v == nil || !now.Before(v.expiry) {
		return nil
	}
	return v
}

// end ends the session with a sid, and the refresh tokens that came from it, except those for offline access
// (OIDC Back-Channel Logout §2.7).
func (s *state) end(sid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.sessions, func(_ string, v *session) bool { return v.sid == sid })
	s.each(func(g *grant) {
		if g.session.sid == sid && !slices.Contains(g.scope, "offline_access") {
			g.revoked = true
		}
	})
}

// each calls f for every grant, for some more than once; mu must be held.
func (s *state) each(f func(*grant)) {
	for _, c := range s.codes {
		f(c.grant)
	}
	for _, t := range s.refresh {
		f(t.grant)
	}
	for _, t := range s.access {
		f(t.grant)
	}
}
