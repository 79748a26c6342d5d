// Package flow holds the ways in: a file each, with its own settings, and the table of what they are.
package flow

import (
	"cmp"
	"fmt"
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// A Route is what the flows are to one route.
type Route struct {
	Chain            auth.Chain
	Exchange         auth.Step                 // of the access token, before policies see it; nil: none
	ClientIndex      []func(*auth.Request) int // by part: which of client_id a request chooses
	Realm            string                    // of challenges: the first issuer's host
	Resource         string                    // what challenges say besides: parameters that begin with a comma (RFC 9728 §5.1)
	Basic            bool                      // challenges ask for Basic, too (RFC 7617 §2)
	LogsIn           bool                      // people can log in
	Schemes          []string                  // of Authorization that the flows read, in lower case; "" is every scheme
	CredentialParams []string                  // names of parameters that hold credentials
	CookieNames      []string                  // of the gate, with each prefix under which browsers may send them
	CookiePrefixes   []string                  // likewise, of the names of cookies that belong to one login
}

// NewRoute returns the flows of a route. A token is only judged by the part of its issuer; flows that pass a client's credential on
// to an issuer are the first part's that has them.
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
	for _, b := range bases {
		b.users = users
	}
	r.Chain, r.Exchange = routeChain(bases), exchangeStep(bases)
	return r, nil
}

// add adds what one part has to the route.
func (r *Route) add(b *builtPart) {
	s := b.Settings
	r.ClientIndex = append(r.ClientIndex, b.clients.chosenIndex)
	r.Resource = cmp.Or(r.Resource, s.Challenge())
	r.Basic = r.Basic || s.takesBasic()
	r.LogsIn = r.LogsIn || s.LogsIn()
	r.Schemes = append(r.Schemes, s.authorizationSchemes()...)
	for _, name := range []string{s.RefreshTokenParamName, s.IDTokenParamName} {
		if name != "" {
			r.CredentialParams = append(r.CredentialParams, name)
		}
	}
	login := newLoginCookie(b.base)
	for _, prefix := range []string{"", "__Host-", "__Secure-"} {
		for _, name := range s.SessionCookieNames(b.MultiIssuer) {
			r.CookieNames = append(r.CookieNames, prefix+name)
		}
		r.CookiePrefixes = append(r.CookiePrefixes, prefix+login.name)
	}
}

// chainOf returns the chain of the parts' flows.
func routeChain(bases []*builtPart) (chain auth.Chain) {
	if len(bases) > 1 {
		return mergedChain(bases)
	}
	for _, e := range bases[0].entries() {
		chain = append(chain, e.Entry)
	}
	return chain
}

// exchangeOf returns the exchange of access tokens: by the part whose issuer has issued the token.
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
