// Package flow holds the ways in: a file each, with its own settings, and the table of them.
package flow

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/authserver"
	"sallyport/internal/keyring"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// Deps is what the flows of one route are built on.
type Deps struct {
	Clients        []*oidc.Client // by the index of client_id
	Sessions       *session.Sessions
	Keyring        *keyring.Keyring
	Base           string             // the route's first path: the gate's own paths are below it
	HashKey        []byte             // of what is remembered by credentials
	Several        bool               // the route has a list of issuers
	Issued         *authserver.Server // nil: there is no built-in authorization server
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

// NewChain returns the chain of the flows that auth_methods names.
func NewChain(s *Settings, d Deps) (auth.Chain, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	d.prepare(s)
	var chain auth.Chain
	for _, e := range entries(s, &d) {
		chain = append(chain, e.flow)
	}
	return chain, nil
}

// check refuses a login that nothing would remember.
func (s *Settings) check() error {
	if s.LogsIn() && !s.HasSessions() {
		return errors.New("auth_methods: authorization_code needs session too, or every page would begin a new login: add session")
	}
	return nil
}

// An entry is a flow of a chain, and what it is.
type entry struct {
	kind *Kind
	flow auth.Flow
}

// entries are the flows of a chain: d is prepared.
func entries(s *Settings, d *Deps) (all []entry) {
	for _, k := range s.kindsOn() {
		all = append(all, entry{k, withSteps(k, k.new(s, d), s, d)})
	}
	if s.ProtectedResourceMetadata != nil {
		all = append(all, entry{&resourceKind, newResource(s)})
	}
	return all
}

// HasSessions reports whether the flows keep logins, so that Deps.Sessions and Deps.Keyring must be there.
func (s *Settings) HasSessions() bool { return s.on(&sessionKind) }

// LogsIn reports whether people can log in.
func (s *Settings) LogsIn() bool { return s.on(&authorizationCodeKind) }

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
	if s.on(&passwordKind) && s.on(&clientCredentialsKind) && passwordKind.takesBasic(s) && clientCredentialsKind.takesBasic(s) {
		d.kinds = newKinds(d.HashKey)
	}
}

// readsBodies reports whether a flow that is on looks for its credential in bodies.
func (s *Settings) readsBodies() bool {
	return s.anyOn(func(k *Kind) bool { return k.reads(s, auth.InBody) })
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
