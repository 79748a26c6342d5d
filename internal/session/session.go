// Package session keeps what must be kept between requests, in memory or in Redis. It knows no OAuth: only whose a session
// is, what proved it, and how long it lasts.
package session

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/auth"
)

// Errors that callers tell apart.
var (
	ErrNotFound    = errors.New("no such session, or it is over")
	ErrUnavailable = errors.New("the session store can't be reached")
)

// An ID names a session: 256 random bits. Whoever has it has the session, so it never prints.
type ID [32]byte

func newID() (id ID) {
	rand.Read(id[:])
	return id
}

func (ID) String() string             { return "[redacted]" }
func (ID) GoString() string           { return "[redacted]" }
func (ID) Format(f fmt.State, _ rune) { f.Write([]byte("[redacted]")) }

// MarshalText and UnmarshalText are for sealed records only.

func (id ID) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, id[:]), nil
}

func (id *ID) UnmarshalText(b []byte) error {
	plain, err := base64.RawURLEncoding.DecodeString(string(b))
	if err != nil || len(plain) != len(id) {
		return errors.New("no session ID")
	}
	copy(id[:], plain)
	return nil
}

// A Session is what one ID stands for. It is immutable once stored: a change is a new value.
type Session struct {
	Version   int        `json:"v"`
	Created   time.Time  `json:"created"` // the login: the absolute timeout runs from here
	Issued    time.Time  `json:"issued"`  // of this ID: the rolling timeout runs from here
	Audiences []Audience `json:"audiences,omitempty"`
	Successor *ID        `json:"successor,omitempty"` // of a renewed session: the ID that has taken over

	stored []byte // the record it came from, where the store keeps bytes
}

const version = 1

// An Audience is one login within a session: several can share a cookie.
type Audience struct {
	Name     string         `json:"name"` // session_audience
	Issuer   string         `json:"iss"`
	ClientID string         `json:"client_id"`
	Subject  string         `json:"sub"`
	SID      string         `json:"sid,omitempty"` // the provider's session
	Identity *auth.Identity `json:"identity"`
	Updated  time.Time      `json:"updated"`
}

// Audience returns the login of this name, issuer and client, or nil.
func (s *Session) Audience(name, issuer, clientID string) *Audience {
	for i := range s.Audiences {
		if a := &s.Audiences[i]; a.is(name, issuer, clientID) {
			return a
		}
	}
	return nil
}

func (a *Audience) is(name, issuer, clientID string) bool {
	return a.Name == name && a.Issuer == issuer && a.ClientID == clientID
}

// With returns a copy of s in which a stands for its name, issuer and client.
func (s *Session) With(a Audience) *Session {
	next := *s
	next.stored = nil
	next.Audiences = slices.DeleteFunc(slices.Clone(s.Audiences), func(o Audience) bool { return o.is(a.Name, a.Issuer, a.ClientID) })
	next.Audiences = append(next.Audiences, a)
	return &next
}
