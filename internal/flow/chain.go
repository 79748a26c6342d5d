// Package flow holds the ways in: a file each, with its own settings, and the table of them.
package flow

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/issuer"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// Deps is what the flows of one route are built on.
type Deps struct {
	Clients        []*oidc.Client // by the index of client_id
	Sessions       *session.Sessions
	Keyring        *keyring.Keyring
	Base           string         // the route's first path: the gate's own paths are below it
	HashKey        []byte         // of what is remembered by credentials
	Several        bool           // the route has a list of issuers
	Issued         *issuer.Issuer // the built-in one; nil: there is none
	Now            func() time.Time
	SubjectIssuers []*oidc.Issuer // of token_exchange, by the index of subject_token_issuers
	Log            *slog.Logger

	// TakesAudience reports whether the audience of a token that a caller brings may pass, by its claims. A token that may not
	// causes no fetch of keys. Nil takes all.
	TakesAudience func(auth.Claims) bool

	clients   *clients
	presented *presented
	tokens    *tokenReader // of the route's first issuer; nil: this is the first
	kinds     *kinds
	bodies    bool // some flow of the route reads bodies
}

// table lists every flow in the order in which they are tried, whatever the order in auth_methods.
var table = []struct {
	name string
	new  func(*Settings, *Deps) auth.Flow
}{
	{"session", newSession},
	{"bearer", newBearer},
	{"kong_oauth2", newKongOAuth2},
	{"introspection", newIntrospection},
	{"userinfo", newUserinfo},
	{unjudgedTokens, newUnjudged},
	{"refresh_token", newRefreshToken},
	{"password", newPassword},
	{"client_credentials", newClientCredentials},
	{"authorization_code", newAuthorizationCode},
}

// NewChain returns the chain of the flows that auth_methods names.
func NewChain(s *Settings, d Deps) (auth.Chain, error) {
	if s.on("authorization_code") && !s.on("session") {
		return nil, errors.New("auth_methods: authorization_code needs session too, or every page would begin a new login: add session")
	}
	d.prepare(s)
	var chain auth.Chain
	for _, entry := range table {
		switch {
		case entry.name == unjudgedTokens:
			chain = append(chain, entry.new(s, &d))
		case s.on(entry.name):
			chain = append(chain, withSteps(entry.name, entry.new(s, &d), s, &d))
		}
	}
	if s.ProtectedResourceMetadata != nil {
		chain = append(chain, newResource(s))
	}
	return chain, nil
}

// HasSessions reports whether the flows keep logins, so that Deps.Sessions and Deps.Keyring must be there.
func (s *Settings) HasSessions() bool { return s.on("session") }

// LogsIn reports whether people can log in.
func (s *Settings) LogsIn() bool { return s.on("authorization_code") }

func (s *Settings) on(flow string) bool { return slices.Contains(s.AuthMethods, flow) }

// prepare makes what the flows of a route share.
func (d *Deps) prepare(s *Settings) {
	d.bodies = s.readsBodies()
	d.clients = newClients(s, d)
	prefix := ""
	if d.Issued != nil {
		prefix = d.Issued.Prefix()
	}
	d.presented = newPresented(s, prefix)
	if d.tokens != nil {
		d.presented.tokenReader = d.tokens
	}
	header := func(types []string) bool { return slices.Contains(types, string(auth.InHeader)) }
	if s.on("password") && s.on("client_credentials") && header(s.PasswordParamType) && header(s.ClientCredentialsParamType) {
		d.kinds = newKinds(d.HashKey)
	}
}

// readsBodies reports whether a flow that is on looks for its credential in bodies.
func (s *Settings) readsBodies() bool {
	for flow, types := range map[string][]string{
		"bearer": s.BearerTokenParamType, "introspection": s.BearerTokenParamType, "userinfo": s.BearerTokenParamType,
		"refresh_token": s.RefreshTokenParamType, "password": s.PasswordParamType, "client_credentials": s.ClientCredentialsParamType,
	} {
		if s.on(flow) && slices.Contains(types, string(auth.InBody)) {
			return true
		}
	}
	return false
}

func (d *Deps) issuer() *oidc.Issuer { return d.Clients[0].Issuer() }

// issuers are those whose JWTs are taken: the route's own, and those whose tokens are exchanged.
func (d *Deps) issuers() []*oidc.Issuer {
	all := []*oidc.Issuer{d.issuer()}
	for _, i := range d.SubjectIssuers {
		if !slices.Contains(all, i) {
			all = append(all, i)
		}
	}
	return all
}

// tokenArgs is what of a caller's request goes into token requests.
func (d *Deps) tokenArgs(s *Settings) copied {
	return copied{headers: s.TokenHeadersClient, args: s.TokenPostArgsClient, bodies: d.bodies, limit: int64(s.CredentialBodyLimit)}
}

// search asks userinfo after other flows; nil if it isn't to be asked.
func (d *Deps) search(s *Settings) *userinfo {
	if !s.SearchUserInfo {
		return nil
	}
	return newUserinfo(s, d).(*userinfo)
}

// PathBelow joins the route's first path and a path of the gate's own.
func PathBelow(base, name string) string {
	if base == "/" {
		return base + name
	}
	return base + "/" + name
}
