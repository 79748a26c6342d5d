package flow

import (
	"errors"
	"fmt"
	"slices"

	"sallyport/internal/auth"
	"sallyport/internal/authserver"
)

// kongOAuth2 verifies the opaque tokens of the built-in authorization server, and serves that server's endpoints.
type kongOAuth2 struct {
	site         *authserver.Site
	tokens       *tokenFinder
	closeStreams bool     // a stream ends with its token
	asUser       bool     // an identity is that of the user, with the scope and audience of the token
	issuers      []string // at which users of the route log in
}

var kongOAuth2Kind = Kind{
	Name: "kong_oauth2", new: newKongOAuth2, role: roleBuiltIn, places: tokenPlaces, placesKey: tokenPlacesKey, schemes: tokenSchemes,
	verifies: []tokenKind{builtInTokens},
	paths: func(v view, base string) (all []OwnPath) {
		route, key := routeAt(v, base), "auth_methods"
		if route.On {
			key = "mcp"
		}
		for _, path := range authserver.Paths(route) {
			all = append(all, OwnPath{Endpoint: "kong_oauth2", Path: path, Key: key, Shared: true})
		}
		return all
	},
}

// newKongOAuth2 lets the endpoints authenticate users by the sessions of the route, with all claims that policies see.
func newKongOAuth2(b *base, _ *Kind) auth.Flow {
	route := routeAt(b.view, b.Base)
	return &kongOAuth2{
		site: b.AuthServer.At(authserver.SiteConfig{Route: *route, Users: b.users, Ask: b.ask}), tokens: b.tokens,
		closeStreams: closesStreams(b.view), asUser: route.On, issuers: b.userIssuers,
	}
}

func (f *kongOAuth2) Endpoints() []auth.Endpoint { return f.site.Endpoints() }

func (f *kongOAuth2) Authenticate(r *auth.Request) (*auth.Result, error) {
	token, err := f.tokens.tokenFor(r, &kongOAuth2Kind)
	if err != nil {
		return nil, err
	}
	identity, err := f.site.Verify(r.Context(), token.value)
	switch {
	case errors.Is(err, authserver.ErrUnavailable):
		return nil, auth.Unavailable("token_store_unavailable", err)
	case err != nil:
		return nil, auth.InvalidToken("token_unknown", err)
	}
	if f.asUser && identity.OnBehalfOf != nil {
		if identity, err = f.userOf(identity); err != nil {
			return nil, err
		}
	}
	res, err := f.tokens.result(r, &kongOAuth2Kind, token, identity)
	if err == nil && f.closeStreams {
		out := *res
		out.Watcher = f.site.Watch(r, token.value, identity)
		res = &out
	}
	return res, err
}

// userOf returns the user for whom a token acts: the claims of the login, with the scope and audience of the token. So rules, groups and
// headers are those of the user, as with any login.
func (f *kongOAuth2) userOf(token *auth.Identity) (*auth.Identity, error) {
	issuer := token.OnBehalfOf.Issuer
	if !slices.Contains(f.issuers, issuer) {
		return nil, auth.InvalidToken("token_user_issuer",
			fmt.Errorf("the token acts for a user of %s, which isn't an issuer of this route", issuer))
	}
	user := *token.OnBehalfOf.Identity
	user.Issuer, user.OnBehalfOf = issuer, nil
	return &user, nil
}
