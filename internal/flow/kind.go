package flow

import (
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/oidc"
)

// A Kind is all that the rest of the gate knows of one flow. It stands in the flow's own file, and in table.
type Kind struct {
	Name Method // in auth_methods, in the log and as Identity.Flow; empty for a flow that no setting names
	new  func(*base, *Kind) auth.Flow
	role role

	on            bool // it is on where auth_methods isn't written
	beginsSession bool // its success begins a session where disable_session isn't written
	clientsGrant  bool // the client keeps the refresh token that it has sent: no session uses it

	// places returns where its credential may stand: header, query, body or cookie; placesKey is the setting that says so.
	// Without places it reads a cookie of the gate's own, or nothing.
	places    func(*Settings) []string
	placesKey string
	// schemes returns the schemes of Authorization that it reads where places has header, in lower case; "" is every scheme.
	schemes func(*Settings) []string
	judges  []tokenKind      // the access tokens on which its verdict is final, if no kind before it in table judges them
	asks    oidc.Examination // what it needs of the authorization server

	exchangeable bool // token_exchange may exchange the access tokens that it proves

	check func(*Settings, check.Checker, *kindContext) // reports what is wrong with its settings
	paths func(s *Settings, base string) []OwnPath     // that it answers itself, on a route whose first path is base
}

// A role is what a flow is to a route with several issuers, and which steps follow its success.
type role int

const (
	exchanges role = iota // a client's credential is exchanged for tokens: the first part that has such a flow does it
	remembers             // an earlier login: the steps that follow a login were taken at that login
	proves                // an access token: the part of its issuer proves it
	builtIn               // a token of the built-in authorization server: it belongs to no part
	logsIn                // a person logs in on a page, so no request carries its credential
	guards                // tokens that no flow judges: each part refuses its own
	publishes             // it only answers paths of its own: the first part's are served
)

// An OwnPath is a path that a flow answers itself.
type OwnPath struct {
	Endpoint string // its name in the log
	Path     string
	Key      string // the setting that decides about the path
	Shared   bool   // several issuers of a route share the endpoint
}

// table lists every kind in the order in which they are tried, whatever the order in auth_methods.
var table = []*Kind{
	&sessionKind, &bearerKind, &kongOAuth2Kind, &introspectionKind, &userinfoKind, &unjudgedKind, &refreshTokenKind, &passwordKind,
	&clientCredentialsKind, &authorizationCodeKind, &resourceKind,
}

// A Method names a flow in a setting.
type Method string

// Choices returns the names of flows that a setting takes, and those that it has where it isn't written, in alphabetical order.
func (Method) Choices(key string) (values, defaults []string) {
	names := func(f func(*Kind) bool) (all []string) {
		for _, k := range table {
			if k.Name != "" && f(k) {
				all = append(all, string(k.Name))
			}
		}
		slices.Sort(all)
		return all
	}
	every := func(*Kind) bool { return true }
	switch key {
	case "auth_methods":
		return names(every), names(func(k *Kind) bool { return k.on })
	case "login_methods":
		return names(every), names(func(k *Kind) bool { return k.role == logsIn })
	case "disable_session":
		return names(func(k *Kind) bool { return k.role != remembers }),
			names(func(k *Kind) bool { return k.role != remembers && !k.beginsSession })
	case "token_headers_grants":
		return names(func(k *Kind) bool { return k.role == exchanges || k.role == logsIn }), nil
	}
	panic("flow: no setting " + key + " takes names of flows")
}

// NameForJWTs returns the name of the flow that judges access tokens which are JWTs, where every flow is on.
func NameForJWTs() string {
	n := slices.IndexFunc(table, func(k *Kind) bool { return slices.Contains(k.judges, jwts) })
	return string(table[n].Name)
}

// kindsOn returns the kinds that are on, in the order of table.
func (s *Settings) kindsOn() (all []*Kind) {
	for _, k := range table {
		if s.isOn(k) {
			all = append(all, k)
		}
	}
	return all
}

// isOn reports whether a kind is on.
func (s *Settings) isOn(k *Kind) bool {
	switch k.role {
	case guards:
		return true
	case publishes:
		return s.ProtectedResourceMetadata != nil
	}
	return slices.Contains(s.AuthMethods, k.Name)
}

// anyOn reports whether a kind is on for which f holds.
func (s *Settings) anyOn(f func(*Kind) bool) bool { return slices.ContainsFunc(s.kindsOn(), f) }

// HasSessions reports whether the flows keep logins, so that Deps.Sessions and Deps.Keyring must be set.
func (s *Settings) HasSessions() bool {
	return s.anyOn(func(k *Kind) bool { return k.role == remembers })
}

// LogsIn reports whether people can log in.
func (s *Settings) LogsIn() bool { return s.anyOn(func(k *Kind) bool { return k.role == logsIn }) }

// UsesAuthServer reports whether the flows need the built-in authorization server.
func (s *Settings) UsesAuthServer() bool {
	return s.anyOn(func(k *Kind) bool { return k.role == builtIn })
}

// readsBodies reports whether a flow that is on reads its credential from bodies.
func (s *Settings) readsBodies() bool {
	return s.anyOn(func(k *Kind) bool { return k.reads(s, auth.InBody) })
}

// OwnPaths returns the paths that the flows answer themselves on a route whose first path is base.
func (s *Settings) OwnPaths(base string) (all []OwnPath) {
	for _, k := range s.kindsOn() {
		if k.paths != nil {
			all = append(all, k.paths(s, base)...)
		}
	}
	return all
}

// Examination returns what the flows need of their authorization server. Base is the route's first path, origin its public_url,
// which may be empty.
func (s *Settings) Examination(base, origin string) oidc.Examination {
	e := oidc.Examination{Introspect: s.IntrospectJWTTokens, Userinfo: s.SearchUserInfo, RedirectURI: s.registeredRedirectURI(base, origin)}
	for _, k := range s.kindsOn() {
		e = e.And(k.asks)
	}
	return e
}

// reads reports whether a kind's credential may stand in a place.
func (k *Kind) reads(s *Settings, in auth.In) bool {
	return k.places != nil && slices.Contains(k.places(s), string(in))
}

// inBasic returns the scheme of a kind that takes a name and a secret.
func inBasic(*Settings) []string { return []string{"basic"} }

// takesBasic reports whether a kind takes Basic, by these settings.
func (k *Kind) takesBasic(s *Settings) bool {
	return k.reads(s, auth.InHeader) && k.schemes != nil && slices.Contains(k.schemes(s), "basic")
}

// takesBasic reports whether a challenge may ask for a name and a password (RFC 7617 §2). It may not where people log in on a page:
// browsers would ask them for a password in a window of their own.
func (s *Settings) takesBasic() bool {
	return s.anyOn(func(k *Kind) bool { return k.takesBasic(s) })
}

// authorizationSchemes returns the schemes of Authorization that the flows read, in lower case; "" stands for every scheme. What
// the flows don't read is for the upstream.
func (s *Settings) authorizationSchemes() (all []string) {
	for _, k := range s.kindsOn() {
		if k.schemes != nil && k.reads(s, auth.InHeader) {
			all = append(all, k.schemes(s)...)
		}
	}
	if s.IDTokenParamName != "" && headerName(s.IDTokenParamName) == authorization.Name {
		all = append(all, "")
	}
	return all
}
