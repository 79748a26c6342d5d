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

// Deps is what the flows of one part are given.
type Deps struct {
	Clients        []*oidc.Client    // by the index of client_id
	Sessions       *session.Sessions // nil where HasSessions is false
	Keyring        *keyring.Keyring  // nil where HasSessions is false
	Base           string            // the route's first path: the gate's own paths are below it
	HashKey        []byte            // of what is remembered by credentials
	Several        bool              // the route has a list of issuers
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

// A base is what the flows of one part are built from. What they share is built once.
type base struct {
	*Settings
	*Deps
	part *Part

	bodies        bool // a flow that is on reads bodies
	clients       *clients
	tokens        *tokenFinder
	params        *copiedParams // of token requests
	sessions      *sessions     // nil: the part keeps no logins
	login         *authorizationCode
	introspection *introspection
	userinfo      *userinfo
	basicClients  *basicClients // nil: Basic is a person's only, or a client's only
	users         auth.Chain    // of the built-in authorization server: the sessions of all parts of the route
}

// newBase builds what the flows of a part share. The reader is the one of the route's first part; nil for that part itself.
func newBase(p *Part, reader *tokenReader) (*base, error) {
	s, d := p.Settings, &p.Deps
	if s.LogsIn() && !s.HasSessions() {
		return nil, errors.New("auth_methods: authorization_code needs session too, or every page would begin a new login: add session")
	}
	b := &base{Settings: s, Deps: d, part: p, bodies: s.readsBodies()}
	b.clients = newClients(b)
	b.params = &copiedParams{headers: s.TokenHeadersClient, args: s.TokenPostArgsClient, bodies: b.bodies, limit: int64(s.CredentialBodyLimit)}
	b.tokens = newTokenFinder(b, reader)
	b.introspection, b.userinfo = newIntrospection(b), newUserinfo(b)
	if s.HasSessions() {
		b.sessions = newSessions(b)
	}
	if s.LogsIn() {
		b.login = newAuthorizationCode(b)
	}
	if passwordKind.isBasic(s) && clientCredentialsKind.isBasic(s) {
		b.basicClients = newBasicClients(d.HashKey)
	}
	return b, nil
}

// isBasic reports whether a kind is on and takes Basic.
func (k *Kind) isBasic(s *Settings) bool { return s.isOn(k) && k.takesBasic(s) }

// entries returns the flows that are on, with the steps that follow each.
func (b *base) entries() (all []entry) {
	for _, k := range b.kindsOn() {
		all = append(all, entry{k, auth.Entry{Name: string(k.Name), Flow: k.new(b, k), Steps: b.steps(k)}})
	}
	return all
}

// An entry is an entry of a chain, and the kind of its flow.
type entry struct {
	kind *Kind
	auth.Entry
}

// sessionEntry returns the part's sessions as an entry without endpoints of its own.
func (b *base) sessionEntry() auth.Entry {
	e := auth.Entry{Name: string(sessionKind.Name), Flow: withoutEndpoints{b.sessions}, Steps: b.steps(&sessionKind)}
	if b.Several {
		e.Issuer = b.issuer().URL()
	}
	return e
}

// steps returns what follows the success of a kind.
func (b *base) steps(k *Kind) (steps []auth.Step) {
	if k.role == logsIn || k.role == guards || k.role == publishes {
		return nil
	}
	if k.role == remembers {
		return b.distributedClaims()
	}
	if b.IDTokenParamName != "" && len(k.judges) > 0 {
		steps = append(steps, newIDToken(b).accompany)
	}
	if b.SearchUserInfo && !k.asks.Userinfo {
		steps = append(steps, b.userinfo.search)
	}
	steps = append(steps, b.distributedClaims()...)
	if b.sessions != nil && b.mayBeginSession(k) {
		steps = append(steps, b.sessions.start(k))
	}
	if action := newLoginAction(b); action.follows(k) {
		steps = append(steps, action.step)
	}
	return steps
}

// distributedClaims returns the step that resolves distributed claims, where the settings have it.
func (b *base) distributedClaims() []auth.Step {
	if !b.ResolveDistributedClaims {
		return nil
	}
	return []auth.Step{(&distributed{b.clients, b.Log}).resolve}
}

// mayBeginSession reports whether the success of a kind begins a session.
func (s *Settings) mayBeginSession(k *Kind) bool { return !slices.Contains(s.DisableSession, k.Name) }
