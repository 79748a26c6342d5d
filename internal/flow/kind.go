package flow

import (
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/oidc"
)

// A Kind describes one flow to the rest of the program. It is defined in the flow's own file and listed in table.
type Kind struct {
	Name Method // in auth_methods, in logs and in Identity.Flow; empty for a flow that settings do not name
	new  func(*base, *Kind) auth.Flow
	role role

	defaultOn       bool            // whether the default of auth_methods includes it
	isOn            func(view) bool // reports whether the kind is on; nil: auth_methods decides
	beginsSession   bool            // whether its success begins a session by default (disable_session)
	clientRefreshes bool            // the client keeps and uses the refresh token itself, so a session does not store it

	// places returns where a request may carry the credential: header, query, body or cookie. placesKey is the setting that
	// decides it. Without places the kind reads a cookie of the gate, or no credential.
	places    func(view) []string
	placesKey string
	// schemes returns, in lower case, the Authorization schemes that it reads if places includes header; "" means every
	// scheme.
	schemes  func(view) []string
	verifies []tokenKind      // the access tokens that it verifies, unless an earlier kind in table does
	requires oidc.Examination // what it needs from the authorization server

	bindable     bool // whether the settings proof_of_possession_* with strict apply to its access tokens
	exchangeable bool // whether token_exchange may exchange the access tokens that it verifies

	check func(view, check.Checker, *kindContext) // reports mistakes in its settings
	paths func(s view, base string) []OwnPath     // returns the paths that it serves on a route whose first path is base
}

// A Method is the name of a flow in a setting.
type Method string

// A kindContext is the context in which the settings of a kind are checked.
type kindContext struct {
	check.Route
	on                 bool // whether the kind is on
	onAnywhere         bool // whether the kind is on for any issuer of the route
	logsIn             bool // whether users can log in
	hasSessions        bool
	loginsBeginSession bool
	anyAudience        bool // audience_required is any
}

// A tokenKind is a property of an access token that is visible without verifying it.
type tokenKind int

const (
	builtInTokens tokenKind = iota // they have the prefix of the built-in authorization server
	jwts
	opaqueTokens
	tokenKindCount // the number of token kinds
)

// A role says how a route with several issuers uses a flow, and which steps follow its success.
type role int

const (
	roleExchange role = iota // exchanges a credential for tokens: a route uses the first part with such a flow
	roleSession              // finds an earlier login: the steps that follow a login already ran at that login
	roleToken                // verifies an access token: the part of its issuer does
	roleBuiltIn              // verifies a token of the built-in authorization server, which belongs to no part
	roleLogin                // a user logs in on a page, so requests carry no credential for it
	roleReject               // rejects access tokens that no other flow verifies: each part rejects its own
	rolePublish              // serves only its own paths: a route serves those of the first part
)

// An OwnPath is a path that a flow serves itself.
type OwnPath struct {
	Endpoint string // the name in the log
	Path     string
	Key      string // the setting that decides the path
	Shared   bool   // whether the issuers of a route share the endpoint
}

// reads reports whether a request may carry the kind's credential in a place.
func (k *Kind) reads(s view, in auth.In) bool {
	return k.places != nil && slices.Contains(k.places(s), string(in))
}

// basicScheme returns the scheme of a kind whose credential is a name and a secret.
func basicScheme(view) []string { return []string{"basic"} }

// takesBasic reports whether a kind reads the Basic scheme with these settings.
func (k *Kind) takesBasic(s view) bool {
	return k.reads(s, auth.InHeader) && k.schemes != nil && slices.Contains(k.schemes(s), "basic")
}
