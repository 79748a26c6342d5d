// Package flow implements the authentication flows: a file for each flow with its settings, and a table that lists the
// flows.
package flow

import (
	"cmp"
	"fmt"
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/mcp"
	"sallyport/internal/oidc"
	"sallyport/internal/session"
)

// A Route has the flows of one route, and what the rest of the gate needs to know about them.
type Route struct {
	Chain             auth.Chain
	Exchange          auth.Step                 // exchanges the access token before policies see it; nil: tokens are not exchanged
	ClientIndex       []func(*auth.Request) int // by part: returns the index of client_id that a request chooses
	Realm             string                    // of challenges: the host of the first issuer
	Resource          string                    // further parameters of challenges, after a comma (RFC 9728 §5.1)
	MCP               *mcp.Route                // the route as an MCP server; nil: it is none
	DPoP              string                    // the parameters of the challenge DPoP (RFC 9449 §7.1); empty: no flow reads that scheme
	OnlyDPoP          bool                      // whether every challenge includes DPoP, and not only those for clients that use it
	Basic             bool                      // whether challenges include Basic (RFC 7617 §2)
	LogsIn            bool                      // whether users can log in
	Schemes           []string                  // Authorization schemes that the flows read, in lower case; "" means every scheme
	CredentialParams  []string                  // names of parameters that carry credentials
	CredentialHeaders []string                  // names of the headers that carry credentials, besides Authorization
	CookieNames       []string                  // the gate's cookies, with each prefix under which browsers may send them
	CookiePrefixes    []string                  // likewise: prefixes of the names of cookies that belong to one login
}

// NewRoute returns the flows of a route. Only the part of a token's issuer verifies the token. A flow that sends a client's
// credential to the authorization server belongs to the first part that has the flow.
func NewRoute(parts []Part) (*Route, error) {
	r := &Route{CredentialParams: []string{"access_token", "refresh_token", "id_token", "client_secret", "client_assertion", "password"}}
	var bases []*builtPart
	var users auth.Chain
	var reader *tokenReader
	for n := range parts {
		b, err := parts[n].build(reader)
		if err != nil && len(parts) > 1 {
			err = fmt.Errorf("issuers: %s: %w", parts[n].Name, err)
		}
		if err != nil {
			return nil, err
		}
		if reader = b.tokens.tokenReader; b.sessions != nil {
			users = append(users, b.sessionEntry())
		}
		bases = append(bases, b)
		r.add(b)
	}
	r.Basic = r.Basic && !r.LogsIn
	r.Realm = bases[0].issuer().Host()
	var issuers []string
	for _, b := range bases {
		issuers = append(issuers, b.issuer().URL())
	}
	for _, b := range bases {
		b.users, b.ask, b.userIssuers = users, askAll(bases), issuers
	}
	r.Chain, r.Exchange = routeChain(bases), exchangeStep(bases)
	if route := routeAt(bases[0].base.view, bases[0].Base); route.On {
		r.MCP, r.LogsIn = route, false
		r.Chain = onlyAtEndpoints(r.Chain, route)
	}
	return r, nil
}

// add adds the flows of one part to the route.
func (r *Route) add(b *builtPart) {
	s := b.Settings
	r.ClientIndex = append(r.ClientIndex, b.clients.chosenIndex)
	r.Resource = cmp.Or(r.Resource, s.Challenge())
	r.DPoP = cmp.Or(r.DPoP, s.challengeDPoP())
	r.OnlyDPoP = r.OnlyDPoP || s.DPoP == "strict"
	r.Basic = r.Basic || s.takesBasic()
	r.LogsIn = r.LogsIn || s.LogsIn()
	r.Schemes = append(r.Schemes, s.authorizationSchemes()...)
	r.CredentialHeaders = append(r.CredentialHeaders, "Access-Token", "X-Access-Token")
	for _, name := range []string{s.RefreshTokenParamName, s.IDTokenParamName} {
		if name != "" {
			r.CredentialParams = append(r.CredentialParams, name)
			r.CredentialHeaders = append(r.CredentialHeaders, headerName(name))
		}
	}
	if name := s.BearerTokenHeaderName; name != "" {
		r.CredentialHeaders = append(r.CredentialHeaders, headerName(name))
	}
	if e := s.Client.TokenExchange; e != nil && e.Request.ActorToken.HeaderName != "" {
		r.CredentialHeaders = append(r.CredentialHeaders, headerName(e.Request.ActorToken.HeaderName))
	}
	login := newLoginCookie(b.base)
	for _, prefix := range []string{"", "__Host-", "__Secure-"} {
		for _, name := range s.SessionCookieNames(b.MultiIssuer) {
			for index := range s.SessionChunks() {
				r.CookieNames = append(r.CookieNames, session.ChunkName(prefix+name, index))
			}
		}
		for _, name := range s.rememberNames(s.view(), loginIDOf(s.view()), b.MultiIssuer) {
			r.CookieNames = append(r.CookieNames, prefix+name)
		}
		r.CookiePrefixes = append(r.CookiePrefixes, prefix+login.name)
	}
}

// routeChain returns the chain of the parts' flows.
func routeChain(bases []*builtPart) (chain auth.Chain) {
	if len(bases) > 1 {
		return mergedChain(bases)
	}
	for _, e := range bases[0].entries() {
		chain = append(chain, e.Entry)
	}
	return chain
}

// exchangeStep returns the step that exchanges access tokens, with the part whose issuer issued the token; nil if no part
// exchanges tokens.
func exchangeStep(bases []*builtPart) auth.Step {
	type exchangeAt struct {
		step    auth.Step
		issuers []*oidc.Issuer
	}
	var all []exchangeAt
	for _, b := range bases {
		all = append(all, exchangeAt{newExchange(b.base, b.part.Claims), b.issuers()})
	}
	switch {
	case !slices.ContainsFunc(all, func(a exchangeAt) bool { return a.step != nil }):
		return nil
	case len(all) == 1:
		return all[0].step
	}
	return func(r *auth.Request, res *auth.Result) (*auth.Result, error) {
		for _, a := range all {
			ofIssuer := func(i *oidc.Issuer) bool { return i.URL() == res.Identity.Issuer }
			if res.Identity == nil || !slices.ContainsFunc(a.issuers, ofIssuer) {
				continue
			}
			if a.step == nil {
				return res, nil
			}
			return a.step(r, res)
		}
		return res, nil
	}
}
