package flow

import (
	"sallyport/internal/auth"
	"sallyport/internal/check"
	"sallyport/internal/oidc"
)

// IntrospectionClientSettings say what is copied from the client's request to the introspection request.
type IntrospectionClientSettings struct {
	IntrospectionHeadersClient         []string `yaml:"introspection_headers_client" group:"issuer"`
	IntrospectionPostArgsClient        []string `yaml:"introspection_post_args_client" group:"issuer"`
	IntrospectionPostArgsClientHeaders []string `yaml:"introspection_post_args_client_headers" group:"issuer"`
}

// introspection verifies an access token at the introspection endpoint (RFC 7662).
type introspection struct {
	clients *clients
	tokens  *tokenFinder
	params  copiedParams
}

var introspectionKind = Kind{
	Name: "introspection", role: roleToken, places: tokenPlaces, placesKey: tokenPlacesKey,
	schemes: tokenSchemes, verifies: []tokenKind{jwts, opaqueTokens}, requires: oidc.Examination{Introspect: true},
	bindable: true, check: checkIntrospection,
}

func newIntrospection(b *base) *introspection {
	s := of[IntrospectionClientSettings](b.view)
	return &introspection{clients: b.clients, tokens: b.tokens, params: copiedParams{
		headers: s.IntrospectionHeadersClient, args: s.IntrospectionPostArgsClient, argHeaders: s.IntrospectionPostArgsClientHeaders,
		readOptions: b.readOptions,
	}}
}

func (f *introspection) Authenticate(r *auth.Request) (*auth.Result, error) {
	token, err := f.tokens.tokenFor(r, &introspectionKind)
	if err != nil {
		return nil, err
	}
	identity, err := f.introspect(r, token.value)
	if err != nil {
		return nil, err
	}
	return f.tokens.result(r, &introspectionKind, token, identity)
}

// introspect returns the identity of a token that is active. Its error is final.
func (f *introspection) introspect(r *auth.Request, token string) (*auth.Identity, error) {
	caller, err := f.params.caller(r)
	if err != nil {
		return nil, err
	}
	identity, err := f.clients.chosen(r).Introspect(r.Context(), token, caller)
	if err != nil {
		return nil, tokenError(err)
	}
	return identity, nil
}

func checkIntrospection(v view, c check.Checker, _ *kindContext) {
	s := of[IntrospectionClientSettings](v)
	c.Each("introspection_headers_client", s.IntrospectionHeadersClient, check.Header)
	c.Each("introspection_post_args_client", s.IntrospectionPostArgsClient, oidc.CheckTokenArg)
	c.Each("introspection_post_args_client_headers", s.IntrospectionPostArgsClientHeaders, oidc.CheckTokenArg)
}
