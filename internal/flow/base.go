package flow

import (
	"log/slog"
	"slices"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/authserver"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// Deps is what the flows of one part are given.
type Deps struct {
	Clients        []*oidc.Client    // by the index of client_id
	Sessions       *session.Sessions // nil where HasSessions is false
	Keyring        *keyring.Keyring  // nil where HasSessions is false
	Base           string            // the route's first path: the gate's own paths are below it
	HashKey        []byte            // of what is remembered by credentials
	MultiIssuer    bool              // the route has a list of issuers
	AuthServer     *authserver.Server
	Now            func() time.Time
	SubjectIssuers []*oidc.Issuer // of token_exchange, by the index of subject_token_issuers
	Log            *slog.Logger

	// TakesAudience reports whether the audience of a token that a client sends may pass, by its claims. A token that may not
	// causes no fetch of keys. Nil takes all.
	TakesAudience func(auth.Claims) bool
}

func (d *Deps) issuer() *oidc.Issuer { return d.Clients[0].Issuer() }

// issuers returns those whose JWTs are taken: the part's own, and those whose tokens are exchanged.
func (d *Deps) issuers() []*oidc.Issuer {
	all := []*oidc.Issuer{d.issuer()}
	for _, i := range d.SubjectIssuers {
		if !slices.Contains(all, i) {
			all = append(all, i)
		}
	}
	return all
}

// A base is what the flows of one part are built from: what they are given, and what they share.
type base struct {
	view
	*Deps

	readOptions readOptions // where credentials are looked for
	clients     *clients
	tokens      *tokenFinder
	params      *copiedParams // of token requests

	introspect     func(*auth.Request, string) (*auth.Identity, error) // nil: introspection is off
	searchUserinfo auth.Step                                           // nil: search_user_info is off
	basicClients   *basicClients                                       // nil: Basic is a person's only, or a client's only
	users          auth.Chain                                          // of the built-in authorization server: the sessions of all parts of the route
}

// PathBelow joins the route's first path and a path of the gate's own.
func PathBelow(base, name string) string {
	if base == "/" {
		return base + name
	}
	return base + "/" + name
}
