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

	defaultOn       bool            // it is on where auth_methods isn't written
	isOn            func(view) bool // whether it is on; nil: where auth_methods names it
	beginsSession   bool            // its success begins a session where disable_session isn't written
	clientRefreshes bool            // the client keeps the refresh token that it has sent: no session uses it

	// places returns where its credential may stand: header, query, body or cookie; placesKey is the setting that says so.
	// Without places it reads a cookie of the gate's own, or nothing.
	places    func(view) []string
	placesKey string
	// schemes returns the schemes of Authorization that it reads where places has header, in lower case; "" is every scheme.
	schemes  func(view) []string
	verifies []tokenKind      // the access tokens on which its verdict is final, if no kind before it in table judges them
	requires oidc.Examination // what it needs of the authorization server

	exchangeable bool // token_exchange may exchange the access tokens that it proves

	check func(view, check.Checker, *kindContext) // reports what is wrong with its settings
	paths func(s view, base string) []OwnPath     // that it answers itself, on a route whose first path is base
}

// A Method names a flow in a setting.
type Method string

// A kindContext is what a kind's settings are judged by, besides themselves.
type kindContext struct {
	check.Route
	on                 bool // the kind is on
	onAnywhere         bool // it is on for any issuer of the route
	logsIn             bool // people can log in
	hasSessions        bool
	loginsBeginSession bool
	anyAudience        bool // audience_required is any
}

// A tokenKind is what can be said of an access token by looking at it.
type tokenKind int

const (
	builtInTokens tokenKind = iota // with the built-in authorization server's prefix
	jwts
	opaqueTokens
	tokenKindCount // how many there are
)

// A role is what a flow is to a route with several issuers, and which steps follow its success.
type role int

const (
	roleExchange role = iota // a client's credential is exchanged for tokens: the first part that has such a flow does it
	roleSession              // an earlier login: the steps that follow a login were taken at that login
	roleToken                // an access token: the part of its issuer proves it
	roleBuiltIn              // a token of the built-in authorization server: it belongs to no part
	roleLogin                // a person logs in on a page, so no request carries its credential
	roleReject               // tokens that no flow judges: each part refuses its own
	rolePublish              // it only answers paths of its own: the first part's are served
)

// An OwnPath is a path that a flow answers itself.
type OwnPath struct {
	Endpoint string // its name in the log
	Path     string
	Key      string // the setting that decides about the path
	Shared   bool   // several issuers of a route share the endpoint
}

// reads reports whether a kind's credential may stand in a place.
func (k *Kind) reads(s view, in auth.In) bool {
	return k.places != nil && slices.Contains(k.places(s), string(in))
}

// inBasic returns the scheme of a kind that takes a name and a secret.
func basicScheme(view) []string { return []string{"basic"} }

// takesBasic reports whether a kind takes Basic, by these settings.
func (k *Kind) takesBasic(s view) bool {
	return k.reads(s, auth.InHeader) && k.schemes != nil && slices.Contains(k.schemes(s), "basic")
}
