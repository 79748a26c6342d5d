package provider

import (
	"crypto/rand"
	"maps"
	"net/url"
	"sync"
	"time"
)

// A session is a user's session at the provider. With it, authorization requests of other clients need no login form.
type session struct {
	sid      string // the claim sid; not the value of the cookie
	user     *User
	authTime time.Time
	acr      string
	expiry   time.Time
}

// A grant is the authorization that a client got from a login, a password, a token or its own credentials. All its tokens can be
// revoked together (RFC 6749 §4.1.2, RFC 9700 §4.14.2). All fields except revoked are read-only; state.mu guards revoked.
type grant struct {
	client   *Client
	user     *User // nil for the client itself
	scope    []string
	audience []string       // of access tokens; empty for Client.AccessTokenAudience
	act      map[string]any // the act claim (RFC 8693 §4.1), or nil
	session  session        // zero without a login form
	params   url.Values     // of the authorization request; nil without one
	nonce    string
	details  any // authorization_details (RFC 9396 §2), or nil
	authTime time.Time
	revoked  bool
}

// sub returns the sub of tokens: that of the user, or the client's ID.
func (g *grant) sub() string {
	if g.user == nil {
		return g.client.ID
	}
	return g.user.sub()
}

type code struct {
	grant                  *grant
	redirectURI, challenge string
	jkt                    string // the parameter dpop_jkt (RFC 9449 §10), or ""
	expiry                 time.Time
	used                   bool
}

// An issued token is a refresh token or an access token. state.mu guards revoked.
type issued struct {
	grant   *grant
	expiry  time.Time
	revoked bool
}

// ended reports whether the token or its grant was revoked, or the token has expired.
func (t *issued) ended(now time.Time) bool { return t.wasRevoked() || !now.Before(t.expiry) }

func (t *issued) wasRevoked() bool { return t.revoked || t.grant.revoked }

type refreshToken struct {
	issued
	binding binding // of a public client's token
	used    bool
}

type accessToken struct {
	issued
	claims map[string]any // also of an opaque token; read-only
}

// state holds the provider's sessions, codes and tokens. The maps' keys are the secret values.
type state struct {
	mu       sync.Mutex
	sessions map[string]*session
	codes    map[string]*code
	refresh  map[string]*refreshToken
	access   map[string]*accessToken
	pushed   map[string]*pushedRequest
	usedJTIs map[string]time.Time    // expiry of client assertions and request objects, by client ID and jti
	sources  map[string]*claimSource // by the access token for the claims endpoint
	swept    time.Time               // when sweep last deleted expired entries
}

const (
	codeLifetime = time.Minute
	sweepEvery   = time.Minute
)

func (s *state) init() {
	s.sessions, s.codes = map[string]*session{}, map[string]*code{}
	s.refresh, s.access = map[string]*refreshToken{}, map[string]*accessToken{}
	s.pushed = map[string]*pushedRequest{}
	s.usedJTIs, s.sources = map[string]time.Time{}, map[string]*claimSource{}
}

// sweep deletes expired entries; mu must be held. Used codes stay for sweepEvery after their expiry and used refresh tokens until
// their expiry, so that the provider detects their reuse.
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
	maps.DeleteFunc(s.pushed, func(_ string, v *pushedRequest) bool { return now.After(v.expiry) })
	maps.DeleteFunc(s.usedJTIs, func(_ string, v time.Time) bool { return now.After(v) })
}

// beginSession stores a new session and deletes the one with the previous cookie. It keeps the sid if the user is the same.
func (s *state) beginSession(previous string, v session) (cookie string) {
	cookie, v.sid = rand.Text(), rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(v.authTime)
	if old := s.sessions[previous]; old != nil {
		if old.user == v.user {
			v.sid = old.sid
		}
		delete(s.sessions, previous)
	}
	s.sessions[cookie] = &v
	return cookie
}

// session returns the session with this cookie, or nil if it is unknown or expired.
func (s *state) session(cookie string, now time.Time) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.sessions[cookie]
	if v == nil || !now.Before(v.expiry) {
		return nil
	}
	return v
}

// endSession ends the session with a sid and revokes its grants, except those with offline_access (OIDC Back-Channel Logout
// §2.7). It returns the clients that have tokens of the session.
func (s *state) endSession(sid string) []*Client {
	s.mu.Lock()
	defer s.mu.Unlock()
	clients := s.clientsOf(sid)
	maps.DeleteFunc(s.sessions, func(_ string, v *session) bool { return v.sid == sid })
	s.eachGrant(func(g *grant) {
		if g.session.sid == sid && !g.isOffline() {
			g.revoked = true
		}
	})
	return clients
}

// eachGrant calls f for every grant, for some more than once; mu must be held.
func (s *state) eachGrant(f func(*grant)) {
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
