// Package session keeps what must be kept between requests, in memory or in Redis. It knows no OAuth: only whose a session
// is, what proved it, and how long it lasts.
package session

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
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
	rand.Read(id[:]) // never fails
	return id
}

const redacted = "[redacted]"

func (ID) String() string               { return redacted }
func (ID) Format(f fmt.State, _ rune)   { f.Write([]byte(redacted)) }
func (ID) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (ID) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// A Session is what one ID stands for. It is immutable once stored: a change is a new value.
type Session struct {
	Version   int        `json:"v"`
	Created   time.Time  `json:"created"` // the login: the absolute timeout runs from here
	Issued    time.Time  `json:"issued"`  // of this ID: the rolling timeout runs from here
	Audiences []Audience `json:"audiences"`
}

const version = 1

// An Audience is one login within a session: several can share a cookie.
type Audience struct {
	Name     string         `json:"name"` // session_audience
	Issuer   string         `json:"iss"`
	ClientID string         `json:"client_id"`
	Subject  string         `json:"sub"`
	SID      string         `json:"sid,omitempty"` // the provider's session (OIDC Front-Channel Logout §3)
	Identity *auth.Identity `json:"identity"`
	Updated  time.Time      `json:"updated"` // of two values for one audience the later one counts
}

// Audience returns the login of this name, issuer and client, or nil.
func (s *Session) Audience(name, issuer, clientID string) *Audience {
	for i := range s.Audiences {
		if a := &s.Audiences[i]; a.Name == name && a.Issuer == issuer && a.ClientID == clientID {
			return a
		}
	}
	return nil
}

// With returns a copy of s in which a stands for its name, issuer and client.
func (s *Session) With(a Audience) *Session {
	next := *s
	next.Audiences = slices.Clone(s.Audiences)
	if same := next.Audience(a.Name, a.Issuer, a.ClientID); same != nil {
		*same = a
	} else {
		next.Audiences = append(next.Audiences, a)
	}
	return &next
}

// merge returns s with those audiences of other that were updated later; s itself if there are none.
func (s *Session) merge(other *Session) *Session {
	for _, a := range other.Audiences {
		if same := s.Audience(a.Name, a.Issuer, a.ClientID); same != nil && a.Updated.After(same.Updated) {
			s = s.With(a)
		}
	}
	return s
}

// indexed calls f for every way in which a session can be found without its ID.
func (s *Session) indexed(f func(kind, issuer, value string)) {
	for _, a := range s.Audiences {
		if a.Subject != "" {
			f(kindSubject, a.Issuer, a.Subject)
		}
		if a.SID != "" {
			f(kindSID, a.Issuer, a.SID)
		}
	}
}

const (
	kindSubject = "sub"
	kindSID     = "sid"
)
