// Package session keeps what must be kept between requests, in memory or in Redis. It knows no OAuth: only whose a session
// is, what proved it, and how long it lasts.
package session

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"sallyport/internal/auth"
)

// Errors that callers tell apart.
var (
	ErrNotFound    = errors.New("no such session, or it is over")
	ErrReplaced    = fmt.Errorf("%w: its browser has had a newer ID", ErrNotFound)
	ErrUnavailable = errors.New("the session store can't be reached")
	ErrChanged     = errors.New("the session has changed") // since it was read
)

// ErrEnded is what a Refresh wraps that ends the login: the authorization server refused it.
var ErrEnded = errors.New("the login is over")

// An ID names a session: 256 random bits. Whoever has it has the session, so it never prints.
type ID [32]byte

func newID() (id ID) {
	rand.Read(id[:]) // never fails
	return id
}

const redacted = "[redacted]"

func (ID) String() string               { return redacted }
func (ID) Format(f fmt.State, _ rune)   { f.Write([]byte(redacted)) }
func (ID) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (ID) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// A Session is one login and its times, which one ID stands for. It is immutable once stored: a change is a new value.
type Session struct {
	Version int       `json:"v"`
	Created time.Time `json:"created"` // the login: the absolute timeout runs from here
	Issued  time.Time `json:"issued"`  // of this ID: the rolling timeout runs from here
	Login   Login     `json:"login"`
}

const version = 2

// A Login is one person's, at one issuer, for one client and one session_audience.
type Login struct {
	Audience string         `json:"aud"` // session_audience
	Issuer   string         `json:"iss"`
	ClientID string         `json:"client_id"`
	Subject  string         `json:"sub"`
	SID      string         `json:"sid,omitempty"` // the provider's session (OIDC Front-Channel Logout §3)
	Identity *auth.Identity `json:"identity"`
	Obtained time.Time      `json:"obtained"` // when its tokens came: their life is reckoned from here, and never an order

	RefreshFailed bool `json:"refresh_failed,omitempty"` // for a reason that is the operator's: not again before the access token expires
}

// With returns a copy of s whose login is l.
func (s *Session) With(l Login) *Session {
	next := *s
	next.Login = l
	return &next
}

// sameTokens reports whether both have the tokens of one answer of the authorization server: a refresh changes them, a
// rotation doesn't.
func (s *Session) sameTokens(other *Session) bool {
	a, b := &s.Login.Identity.Tokens, &other.Login.Identity.Tokens
	return a.AccessToken == b.AccessToken && a.RefreshToken == b.RefreshToken && a.IDToken == b.IDToken
}

// indexed calls f for every way in which a session can be found without its ID.
func (s *Session) indexed(f func(indexKey)) {
	l := &s.Login
	if l.Subject != "" {
		f(indexKey{kindSubject, l.Issuer, l.ClientID, l.Subject})
	}
	if l.SID != "" {
		f(indexKey{kindSID, l.Issuer, l.ClientID, l.SID})
	}
}

// An indexKey is what a logout from elsewhere knows of a login.
type indexKey struct{ kind, issuer, clientID, value string }

func (k indexKey) parts() []string { return []string{k.kind, k.issuer, k.clientID, k.value} }

const (
	kindSubject = "sub"
	kindSID     = "sid"
)
