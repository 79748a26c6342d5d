// Package flow holds the ways in: a file each, with its own settings, and the table of them.
package flow

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// Deps is what the flows of one route are built on.
type Deps struct {
	Client   *oidc.Client
	Sessions *session.Sessions
	Keyring  *keyring.Keyring
	Base     string // the route's first path: the gate's own paths are below it
	Now      func() time.Time
	Log      *slog.Logger
}

// table lists every flow in the order in which they are tried, whatever the order in auth_methods.
var table = []struct {
	name string
	new  func(*Settings, Deps) auth.Flow
}{
	{"session", newSession},
	{"bearer", newBearer},
	{"authorization_code", newAuthorizationCode},
}

// NewChain returns the chain of the flows that auth_methods names.
func NewChain(s *Settings, d Deps) (auth.Chain, error) {
	if slices.Contains(s.AuthMethods, "authorization_code") && !slices.Contains(s.AuthMethods, "session") {
		return nil, errors.New("auth_methods: authorization_code needs session too, or every page would begin a new login: add session")
	}
	var chain auth.Chain
	for _, entry := range table {
		if entry.name == "authorization_code" && !slices.Contains(s.AuthMethods, "bearer") {
			chain = append(chain, unjudged{})
		}
		if slices.Contains(s.AuthMethods, entry.name) {
			chain = append(chain, entry.new(s, d))
		}
	}
	return chain, nil
}

// PathBelow joins the route's first path and a path of the gate's own.
func PathBelow(base, name string) string {
	if base == "/" {
		return base + name
	}
	return base + "/" + name
}
