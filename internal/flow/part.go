package flow

import (
	"errors"

	"sallyport/internal/auth"
	"sallyport/internal/mcp"
)

// A Part is one issuer of a route: its settings, and the dependencies of its flows.
type Part struct {
	Name     string   // empty unless the route has several issuers
	Title    string   // the text on the page where users choose an issuer
	Domains  []string // the domains in login_hint whose users log in at this issuer
	Settings *Settings
	Claims   ClaimPaths
	Deps     Deps
}

// A builtPart has the objects that the flows of a part share, each built once.
type builtPart struct {
	*base
	*Settings
	part       *Part
	sessions   *sessions           // nil: the part has no sessions
	withLogout *sessionFlow        // the sessions with their logout endpoints
	login      *authorizationCode  // nil: users cannot log in
	flows      map[*Kind]auth.Flow // the flows that other flows use
}

// build builds what the flows of a part share. The parts of a route share the tokenReader of the first part, for which
// reader is nil.
func (p *Part) build(reader *tokenReader) (*builtPart, error) {
	s, d := p.Settings, &p.Deps
	if s.LogsIn() && !s.HasSessions() {
		return nil, errors.New("auth_methods: authorization_code needs session too, or every page would begin a new login: add session")
	}
	b := &builtPart{base: &base{view: s.view(), Deps: d}, Settings: s, part: p, flows: map[*Kind]auth.Flow{}}
	b.readOptions = readOptions{fromBodies: s.readsBodies(), bodyLimit: int64(s.CredentialBodyLimit), trustedOrigins: s.TrustedOrigins}
	b.clients = newClients(d.Clients, s.Client.ClientArg, b.readOptions)
	b.params = &copiedParams{headers: s.TokenHeadersClient, args: s.TokenPostArgsClient, readOptions: b.readOptions}
	prefix := ""
	if d.AuthServer != nil {
		prefix = d.AuthServer.Prefix()
	}
	var err error
	if b.possession, err = newPossession(b.base.view, d); err != nil {
		return nil, err
	}
	b.tokens = newTokenFinder(b.base.view, reader, newTokenVerifiers(s.kindsOn(), prefix), b.possession, b.readOptions)
	introspection, userinfo := newIntrospection(b.base), newUserinfo(b.base)
	b.flows[&introspectionKind], b.flows[&userinfoKind] = introspection, userinfo
	if s.isOn(&introspectionKind) || s.IntrospectJWTTokens {
		b.introspect = introspection.introspect
	}
	if s.SearchUserInfo {
		b.searchUserinfo = userinfo.search
	}
	if s.isBasic(&passwordKind) && s.isBasic(&clientCredentialsKind) {
		b.basicClients = newBasicClients(d.HashKey)
	}
	if s.HasSessions() {
		b.sessions = newSessions(b.base)
		b.withLogout = newSessionFlow(b.base, b.sessions)
		b.flows[&sessionKind] = b.withLogout
	}
	if s.LogsIn() {
		b.login = newAuthorizationCode(b.base, b.sessions)
		b.flows[&authorizationCodeKind] = b.login
	}
	return b, nil
}

// A kindEntry is an entry of a chain with the kind of its flow.
type kindEntry struct {
	kind *Kind
	auth.Entry
}

// entries returns the flows that are on, each with the steps that follow it.
func (b *builtPart) entries() (all []kindEntry) {
	for _, k := range b.kindsOn() {
		flow := b.flows[k]
		if flow == nil {
			flow = k.new(b.base, k)
		}
		all = append(all, kindEntry{k, auth.Entry{Name: string(k.Name), Flow: flow, Steps: b.endStreams(k, b.steps(k))}})
	}
	return all
}

// sessionEntry returns the part's sessions as an entry without logout endpoints.
func (b *builtPart) sessionEntry() auth.Entry {
	e := auth.Entry{Name: string(sessionKind.Name), Flow: b.sessions, Steps: b.steps(&sessionKind)}
	if b.MultiIssuer {
		e.Issuer = b.issuer().URL()
	}
	return e
}

// steps returns the steps that follow the success of a kind.
func (b *builtPart) steps(k *Kind) (steps []auth.Step) {
	switch k.role {
	case roleLogin, roleReject, rolePublish:
		return nil
	case roleSession:
		return b.distributedClaims()
	}
	if b.IDTokenParamName != "" && len(k.verifies) > 0 {
		steps = append(steps, newIDToken(b.base).add)
	}
	if b.searchUserinfo != nil && !k.requires.Userinfo {
		steps = append(steps, b.searchUserinfo)
	}
	steps = append(steps, b.distributedClaims()...)
	if b.sessions != nil && b.mayBeginSession(k) && !of[mcp.Route](b.base.view).On { // there a session gets tokens: only a login begins it
		steps = append(steps, b.sessions.start(k))
	}
	if action := newLoginAction(b.base); action.follows(k) {
		steps = append(steps, action.step)
	}
	return steps
}

// distributedClaims returns the step that resolves distributed claims, if resolve_distributed_claims is on.
func (b *builtPart) distributedClaims() []auth.Step {
	if !b.ResolveDistributedClaims {
		return nil
	}
	return []auth.Step{(&distributed{b.base.clients, b.Log}).resolve}
}
