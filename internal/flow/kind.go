package flow

import (
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// A Kind is all that the rest of the gate knows of one way in. It stands in the flow's own file, and in table.
type Kind struct {
	Name string // in auth_methods, in the log, and as Identity.Flow
	new  func(*Settings, *Deps) auth.Flow

	// places returns where its credential may stand: header, query, body or cookie. Nil: it has none that a setting places.
	places func(*Settings) []string
	// schemes returns the schemes of Authorization that it reads where places has header, in lower case; "" is every scheme.
	schemes func(*Settings) []string
	judges  []tokenKind      // the access tokens on which its verdict is final, if no kind before it in table judges them
	asks    oidc.Examination // what it wants of the authorization server
	role    role
}

// proved returns a copy of i that names this kind as the flow that proved it. The identity itself may be cached and shared.
func (k *Kind) proved(i *auth.Identity) *auth.Identity {
	named := *i
	named.Flow = k.Name
	return &named
}

// A role is what a flow is to a route with several issuers, and what may follow its success.
type role int

const (
	exchanges role = iota // a caller's credential is exchanged for tokens: the first entry that has such a flow does it
	remembers             // a login that was proved before: what follows a login has followed it
	proves                // an access token: its issuer's entry does it
	issues                // a token that the gate has issued itself: it belongs to no entry
	logsIn                // a person logs in elsewhere: nobody is proved before that
	guards                // tokens that nothing proves: its own entry's are refused
	tells                 // it only brings endpoints along: the first entry's are served
)

// table lists every kind in the order in which they are tried, whatever the order in auth_methods.
var table = []*Kind{
	&sessionKind, &bearerKind, &kongOAuth2Kind, &introspectionKind, &userinfoKind, &unjudgedKind, &refreshTokenKind, &passwordKind,
	&clientCredentialsKind, &authorizationCodeKind,
}

// kindsOn returns the kinds that are on, in the order of table.
func (s *Settings) kindsOn() (all []*Kind) {
	for _, k := range table {
		if s.on(k) {
			all = append(all, k)
		}
	}
	return all
}

// on reports whether a kind is on.
func (s *Settings) on(k *Kind) bool {
	return k.role == guards || slices.Contains(s.AuthMethods, k.Name)
}

// anyOn reports whether a kind is on for which f holds.
func (s *Settings) anyOn(f func(*Kind) bool) bool { return slices.ContainsFunc(s.kindsOn(), f) }

// reads reports whether a kind's credential may stand in a place.
func (k *Kind) reads(s *Settings, in auth.In) bool {
	return k.places != nil && slices.Contains(k.places(s), string(in))
}

// inBasic are the schemes of a kind that takes a name and a secret.
func inBasic(*Settings) []string { return []string{"basic"} }

// takesBasic reports whether a kind takes Basic, by these settings.
func (k *Kind) takesBasic(s *Settings) bool {
	return k.reads(s, auth.InHeader) && k.schemes != nil && slices.Contains(k.schemes(s), "basic")
}
