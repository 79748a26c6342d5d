package flow

import (
	"errors"

	"sallyport/internal/auth"
	"sallyport/internal/authserver"
)

// kongOAuth2 verifies the opaque tokens of the built-in authorization server, and serves that server's endpoints.
type kongOAuth2 struct {
	server    *authserver.Server
	tokens    *tokenFinder
	endpoints []auth.Endpoint
}

var kongOAuth2Kind = Kind{
	Name: "kong_oauth2", new: newKongOAuth2, role: roleBuiltIn, places: tokenPlaces, placesKey: tokenPlacesKey, schemes: tokenSchemes,
	verifies: []tokenKind{builtInTokens},
	paths: func(_ view, base string) (all []OwnPath) {
		for _, path := range authserver.Paths(base) {
			all = append(all, OwnPath{Endpoint: "kong_oauth2", Path: path, Key: "auth_methods", Shared: true})
		}
		return all
	},
}

// newKongOAuth2 lets the endpoints authenticate users by the sessions of the route, with all claims that policies see.
func newKongOAuth2(b *base, _ *Kind) auth.Flow {
	var users auth.Flow
	if len(b.users) > 0 {
		users = b.users
	}
	return &kongOAuth2{server: b.AuthServer, tokens: b.tokens, endpoints: b.AuthServer.Endpoints(b.Base, users)}
}

func (f *kongOAuth2) Endpoints() []auth.Endpoint { return f.endpoints }

func (f *kongOAuth2) Authenticate(r *auth.Request) (*auth.Result, error) {
	token, err := f.tokens.tokenFor(r, &kongOAuth2Kind)
	if err != nil {
		return nil, err
	}
	identity, err := f.server.Verify(r.Context(), token.value)
	switch {
	case errors.Is(err, authserver.ErrUnavailable):
		return nil, auth.Unavailable("token_store_unavailable", err)
	case err != nil:
		return nil, auth.InvalidToken("token_unknown", err)
	}
	return f.tokens.result(r, &kongOAuth2Kind, token, identity)
}
