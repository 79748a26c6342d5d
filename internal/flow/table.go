package flow

import (
	"reflect"
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// table lists every kind in the order in which the chain tries them, whatever the order in auth_methods.
var table = []*Kind{
	&sessionKind, &bearerKind, &kongOAuth2Kind, &introspectionKind, &userinfoKind, &unacceptedTokenKind, &refreshTokenKind, &passwordKind,
	&clientCredentialsKind, &authorizationCodeKind, &resourceKind,
}

// Choices returns the flow names that a setting accepts, and those of its default, in alphabetical order.
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
		return names(every), names(func(k *Kind) bool { return k.defaultOn })
	case "login_methods":
		return names(every), names(func(k *Kind) bool { return k.role == roleLogin })
	case "disable_session":
		return names(func(k *Kind) bool { return k.role != roleSession }),
			names(func(k *Kind) bool { return k.role != roleSession && !k.beginsSession })
	case "token_headers_grants":
		return names(func(k *Kind) bool { return k.role == roleExchange || k.role == roleLogin }), nil
	}
	panic("flow: no setting " + key + " takes names of flows")
}

// NameForJWTs returns the name of the flow that verifies JWT access tokens if every flow is on.
func NameForJWTs() string {
	n := slices.IndexFunc(table, func(k *Kind) bool { return slices.Contains(k.verifies, jwts) })
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

// view returns the view of the settings for the flows.
func (s *Settings) view() view { return view{reflect.ValueOf(s).Elem()} }

// isOn reports whether a kind is on.
func (s *Settings) isOn(k *Kind) bool {
	if k.isOn != nil {
		return k.isOn(s.view())
	}
	return slices.Contains(s.AuthMethods, k.Name)
}

// isBasic reports whether a kind is on and reads the Basic scheme.
func (s *Settings) isBasic(k *Kind) bool { return s.isOn(k) && k.takesBasic(s.view()) }

// mayBeginSession reports whether the success of a kind begins a session.
func (s *Settings) mayBeginSession(k *Kind) bool { return !slices.Contains(s.DisableSession, k.Name) }

// anyOn reports whether f holds for any kind that is on.
func (s *Settings) anyOn(f func(*Kind) bool) bool { return slices.ContainsFunc(s.kindsOn(), f) }

// HasSessions reports whether the flows use sessions. If so, Deps.Sessions and Deps.Keyring must be set.
func (s *Settings) HasSessions() bool {
	return s.anyOn(func(k *Kind) bool { return k.role == roleSession })
}

// LogsIn reports whether users can log in.
func (s *Settings) LogsIn() bool { return s.anyOn(func(k *Kind) bool { return k.role == roleLogin }) }

// UsesAuthServer reports whether the flows need the built-in authorization server.
func (s *Settings) UsesAuthServer() bool {
	return s.anyOn(func(k *Kind) bool { return k.role == roleBuiltIn })
}

// ReadsCredentialsFrom returns the keys of the settings by which flows that are on read credentials from a place.
func (s *Settings) ReadsCredentialsFrom(in auth.In) (keys []string) {
	for _, k := range s.kindsOn() {
		if k.reads(s.view(), in) && !slices.Contains(keys, k.placesKey) {
			keys = append(keys, k.placesKey)
		}
	}
	return keys
}

// readsBodies reports whether a flow that is on reads its credential from request bodies.
func (s *Settings) readsBodies() bool {
	return s.anyOn(func(k *Kind) bool { return k.reads(s.view(), auth.InBody) })
}

// OwnPaths returns the paths that the flows serve themselves on a route whose first path is base.
func (s *Settings) OwnPaths(base string) (all []OwnPath) {
	for _, k := range s.kindsOn() {
		if k.paths != nil {
			all = append(all, k.paths(s.view(), base)...)
		}
	}
	return all
}

// Examination returns what the flows need from their authorization server. Base is the route's first path, origin its
// public_url, which may be empty.
func (s *Settings) Examination(base, origin string) oidc.Examination {
	e := oidc.Examination{
		Introspect: s.IntrospectJWTTokens, Userinfo: s.SearchUserInfo, RedirectURI: registeredRedirectURI(s.RedirectURI, base, origin),
	}
	for _, k := range s.kindsOn() {
		e = e.And(k.requires)
	}
	return e
}

// takesBasic reports whether a challenge may include Basic (RFC 7617 §2). NewRoute omits it on routes where users can log
// in, because browsers would show their own password dialog.
func (s *Settings) takesBasic() bool {
	return s.anyOn(func(k *Kind) bool { return k.takesBasic(s.view()) })
}

// authorizationSchemes returns, in lower case, the Authorization schemes that the flows read; "" means every scheme.
// Credentials of other schemes are for the upstream.
func (s *Settings) authorizationSchemes() (all []string) {
	for _, k := range s.kindsOn() {
		if k.schemes != nil && k.reads(s.view(), auth.InHeader) {
			all = append(all, k.schemes(s.view())...)
		}
	}
	if s.IDTokenParamName != "" && headerName(s.IDTokenParamName) == authorization.Name {
		all = append(all, "")
	}
	return all
}

// TakesSubject reports whether an entry of token_exchange accepts a subject token with these audiences.
func (s *Settings) TakesSubject(has []string) bool {
	x := s.Client.TokenExchange
	return x != nil && slices.ContainsFunc(x.SubjectTokenIssuers, func(i oidc.SubjectTokenIssuer) bool {
		return takesAudience(subjectAudience(i, s.Client.ClientID), has)
	})
}

// SessionCookieNames returns the names of the session cookies without their prefix, by the index of client_id. multiIssuer
// says whether the route has a list of issuers.
func (s *Settings) SessionCookieNames(multiIssuer bool) []string {
	return s.SessionSettings.cookieNames(loginIDOf(s.view()), multiIssuer)
}

// SessionChunks returns how many cookies a session may take: each name is one of session.ChunkName.
func (s *Settings) SessionChunks() int {
	if s.Session.Storage == "cookie" {
		return session.MaxChunks
	}
	return 1
}
