// Package session stores sessions between requests, in memory, in Redis or in cookies of the browser. A session belongs to a login: a
// user's identity, its tokens, and how long it lasts. The package makes no OAuth requests itself.
//
// To rotate a session gives it a new ID. To refresh it gives it new tokens.
package session

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"sallyport/internal/auth"
)

// Errors of Sessions.
var (
	ErrNotFound    = errors.New("no such session, or it has ended")
	ErrReplaced    = fmt.Errorf("%w: the browser was given a newer ID", ErrNotFound)
	ErrUnavailable = errors.New("the session store can't be reached")
	ErrChanged     = errors.New("the session has changed") // since it was read
	ErrLoggedOut   = errors.New("the user was logged out while logging in")
)

// ErrEnded is wrapped by the error of a Refresh that ends the login: the authorization server refused the refresh token.
var ErrEnded = errors.New("the login is over")

// An ID names a session: 256 random bits. It is a bearer secret, so it never prints.
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

// A Session is a login and its times. One ID stands for it. It is immutable once stored: a change is a new value.
type Session struct {
	Version int       `json:"v"`
	Created time.Time `json:"created"` // when the user logged in: the absolute timeout begins here
	Issued  time.Time `json:"issued"`  // when the current ID was issued: the rolling timeout begins here
	Login   Login     `json:"login"`

	// A session that is remembered has a second ID, and the time when the user logged in: Created is when it was last resumed.
	Remember ID        `json:"-"` // a record has it apart, because an ID doesn't print
	LoggedIn time.Time `json:"logged_in,omitzero"`

	carried *carriage // with storage cookie only
}

const version = 2

// A Login is one user's login at one issuer, for one client and one session_audience.
type Login struct {
	Audience string         `json:"aud"` // session_audience, which is not a token's aud
	Issuer   string         `json:"iss"`
	ClientID string         `json:"client_id"`
	Subject  string         `json:"sub"`
	SID      string         `json:"sid,omitempty"` // the session at the OpenID Provider (OIDC Front-Channel Logout §3)
	Identity *auth.Identity `json:"identity"`
	Route    string         `json:"route,omitempty"` // the name of the route where the user logged in
	Client   netip.Addr     `json:"client,omitzero"` // the address of the user's client then

	// Began is the iat of the ID token that began the login; without an ID token, when the token response was received less the clock
	// tolerance. A logout by subject ends only logins that began before it.
	Began    time.Time `json:"began,omitzero"`
	Obtained time.Time `json:"obtained"` // when its tokens were received: the start of their lifetime; it never orders two logins

	// Bound has the attributes of the request that began the login, by their names in session_bind. Only requests with equal ones may
	// use it.
	Bound map[string]string `json:"bound,omitempty"`

	// RefreshFailed reports that the last refresh failed for a reason that the operator must fix. The tokens are not refreshed again
	// before the access token expires.
	RefreshFailed bool `json:"refresh_failed,omitempty"`
}

// With returns a copy of s with the login l.
func (s *Session) With(l Login) *Session {
	next := *s
	next.Login = l
	return &next
}

// sameTokens reports whether both sessions have the tokens of the same token response. A refresh changes the tokens; a rotation
// does not.
func (s *Session) sameTokens(other *Session) bool {
	a, b := &s.Login.Identity.Tokens, &other.Login.Identity.Tokens
	return a.AccessToken == b.AccessToken && a.RefreshToken == b.RefreshToken && a.IDToken == b.IDToken
}

// eachIndexKey calls f with each key by which a login's session is found without its ID.
func (l *Login) eachIndexKey(f func(indexKey)) {
	if l.Subject != "" {
		f(indexKey{kindSubject, l.Issuer, l.ClientID, l.Subject})
	}
	if l.Subject != "" && l.SID == "" {
		f(indexKey{kindSubjectWithoutSID, l.Issuer, l.ClientID, l.Subject})
	}
	if l.SID != "" {
		f(indexKey{kindSID, l.Issuer, l.ClientID, l.SID})
	}
}

// eachMarkKey calls f with each key under which a mark may say that a login has ended.
func (l *Login) eachMarkKey(f func(indexKey)) {
	l.eachIndexKey(f)
	f(indexKey{kind: kindClient, value: l.ClientID})
	f(indexKey{kind: kindRoute, value: l.Route})
}

// An indexKey is how a logout names sessions.
type indexKey struct{ kind, issuer, clientID, value string }

func (k indexKey) parts() []string { return []string{k.kind, k.issuer, k.clientID, k.value} }

const (
	kindSubject           = "sub"
	kindSubjectWithoutSID = "sub without sid"
	kindSID               = "sid"
	kindClient            = "client" // only marks have it
	kindRoute             = "route"  // only marks have it
)
