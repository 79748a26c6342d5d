package flow

import (
	"errors"

	"sallyport/internal/auth"
)

// A Part is one issuer of a route: its settings, and what its flows are given.
type Part struct {
	Name     string   // where the route has several issuers; else empty
	Title    string   // on the page where people choose
	Domains  []string // of addresses in login_hint whose people log in here
	Settings *Settings
	Claims   ClaimPaths
	Deps     Deps
}

// A built part has all that its flows share, each built once.
type builtPart struct {
	*base
	*Settings
	part       *Part
	sessions   *sessions           // nil: the part keeps no logins
	withLogout *sessionFlow        // the same, with their endpoints
	login      *authorizationCode  // nil: nobody logs in
	flows      map[*Kind]auth.Flow // those that other flows use as well
}

// build builds what the flows of a part share. The reader is the one of the route's first part; nil for that part itself.
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
	b.tokens = newTokenFinder(b.base.view, reader, newTokenVerifiers(s.kindsOn(), prefix), b.readOptions)
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

// A kindEntry is an entry of a chain, and the kind of its flow.
type kindEntry struct {
	kind *Kind
	auth.Entry
}

// entries returns the flows that are on, with the steps that follow each.
func (b *builtPart) entries() (all []kindEntry) {
	for _, k := range b.kindsOn() {
		flow := b.flows[k]
		if flow == nil {
			flow = k.new(b.base, k)
		}
		all = append(all, kindEntry{k, auth.Entry{Name: string(k.Name), Flow: flow, Steps: b.steps(k)}})
	}
	return all
}

// sessionEntry returns the part's sessions as an entry without endpoints of its own.
func (b *builtPart) sessionEntry() auth.Entry {
	e := auth.Entry{Name: string(sessionKind.Name), Flow: b.sessions, Steps: b.steps(&sessionKind)}
	if b.MultiIssuer {
		e.Issuer = b.issuer().URL()
	}
	return e
}

// steps returns what follows the success of a kind.
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
	if b.sessions != nil && b.mayBeginSession(k) {
		steps = append(steps, b.sessions.start(k))
	}
	if action := newLoginAction(b.base); action.follows(k) {
		steps = append(steps, action.step)
	}
	return steps
}

// distributedClaims returns the step that resolves distributed claims, where the settings have it.
func (b *builtPart) distributedClaims() []auth.Step {
	if !b.ResolveDistributedClaims {
		return nil
	}
	return []auth.Step{(&distributed{b.base.clients, b.Log}).resolve}
}
