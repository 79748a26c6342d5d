package flow

import (
	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// IntrospectionClientSettings say what of the caller's request goes into the introspection request.
type IntrospectionClientSettings struct {
	IntrospectionHeadersClient         []string `yaml:"introspection_headers_client" group:"issuer"`
	IntrospectionPostArgsClient        []string `yaml:"introspection_post_args_client" group:"issuer"`
	IntrospectionPostArgsClientHeaders []string `yaml:"introspection_post_args_client_headers" group:"issuer"`
}

// introspection proves an access token by asking the authorization server (RFC 7662).
type introspection struct {
	clients   *clients
	presented *presented
	copied    copied
}

var introspectionKind = Kind{
	Name: "introspection", new: newIntrospection, places: tokenPlaces, schemes: tokenSchemes, judges: []tokenKind{jwts, opaqueTokens},
	asks: oidc.Examination{Introspect: true}, role: proves,
}

func newIntrospection(s *Settings, d *Deps) auth.Flow {
	c := s.IntrospectionClientSettings
	return &introspection{clients: d.clients, presented: d.presented, copied: copied{
		headers: c.IntrospectionHeadersClient, args: c.IntrospectionPostArgsClient, argHeaders: c.IntrospectionPostArgsClientHeaders,
		limit: int64(s.CredentialBodyLimit), bodies: d.bodies,
	}}
}

func (f *introspection) Authenticate(r *auth.Request) (*auth.Result, error) {
	token, err := f.presented.mine(r, &introspectionKind)
	if err != nil {
		return nil, err
	}
	identity, err := f.introspect(r, token.value)
	if err != nil {
		return nil, err
	}
	return f.presented.result(&introspectionKind, token, identity)
}

// introspect asks about a token. Its error is final.
func (f *introspection) introspect(r *auth.Request, token string) (*auth.Identity, error) {
	by, err := f.copied.caller(r)
	if err != nil {
		return nil, err
	}
	identity, err := f.clients.of(r).Introspect(r.Context(), token, by)
	if err != nil {
		return nil, tokenError(err)
	}
	return identity, nil
}
