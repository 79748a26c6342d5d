package flow

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/auth"
	"sallyport/internal/authserver"
	"sallyport/internal/dpop"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// Deps has the dependencies of the flows of one part.
type Deps struct {
	Clients        []*oidc.Client    // by the index of client_id
	Sessions       *session.Sessions // nil where HasSessions is false
	Keyring        *keyring.Keyring  // nil where HasSessions is false
	Route          string            // the name of the route
	Base           string            // the first path of the route; the paths of the gate are below it
	Paths          []string          // all paths of the route
	HashKey        []byte            // the key of hashes under which credentials are cached
	MultiIssuer    bool              // the route has a list of issuers
	SendsSession   bool              // headers send properties of the session
	Replays        *dpop.Replays     // of DPoP proofs; nil: those of this route only, in memory
	NonceKey       []byte            // of the nonces for DPoP proofs; required with dpop_use_nonce
	AuthServer     *authserver.Server
	Now            func() time.Time
	SubjectIssuers []*oidc.Issuer // of token_exchange, in the order of subject_token_issuers
	Log            *slog.Logger
	Audit          *audit.Log // nil: there is no audit stream

	// AllSessions returns the sessions of all routes of the process: a provider's logout ends logins there, too. Nil: Sessions are all.
	AllSessions func() []*session.Sessions

	// TakesAudience reports, from the claims of a token that a client sends, whether a policy may accept the audience. A
	// token with another audience causes no fetch of keys. Nil accepts every audience.
	TakesAudience func(auth.Claims) bool
}

func (d *Deps) issuer() *oidc.Issuer { return d.Clients[0].Issuer() }

// issuers returns the issuers whose JWTs are accepted: the part's own, and those whose tokens are exchanged.
func (d *Deps) issuers() []*oidc.Issuer {
	all := []*oidc.Issuer{d.issuer()}
	for _, i := range d.SubjectIssuers {
		if !slices.Contains(all, i) {
			all = append(all, i)
		}
	}
	return all
}

// A base has what the flows of one part are built from: the settings, the dependencies and the parts that they share.
type base struct {
	view
	*Deps

	readOptions readOptions
	clients     *clients
	tokens      *tokenFinder
	possession  *possession
	params      *copiedParams // the parameters that are copied to token requests

	introspect     introspectFunc // nil: introspection is off
	searchUserinfo auth.Step      // nil: search_user_info is off
	basicClients   *basicClients  // nil: only one of password and client_credentials reads Basic
	users          auth.Chain     // for the built-in authorization server: the sessions of all parts of the route
	ask            askFunc        // likewise: asks the provider of a login about its user
	userIssuers    []string       // likewise: the URLs of the issuers at which they log in
}

// An askFunc asks the provider of a login whether its user is still there.
type askFunc = func(context.Context, *auth.Identity) (*auth.Identity, error)

// An introspectFunc introspects an access token for a request. Its error is final.
type introspectFunc func(*auth.Request, string) (*auth.Identity, error)

// PathBelow joins the first path of a route and the name of one of the gate's paths.
func PathBelow(base, name string) string {
	if base == "/" {
		return base + name
	}
	return base + "/" + name
}
