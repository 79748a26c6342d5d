package authserver

import (
	"net/http"
	"slices"

	"sallyport/internal/auth"
)

// metadata is the authorization server metadata (RFC 8414 §2).
type metadata struct {
	Issuer                 string   `json:"issuer"`
	AuthorizationEndpoint  string   `json:"authorization_endpoint"`
	TokenEndpoint          string   `json:"token_endpoint"`
	RevocationEndpoint     string   `json:"revocation_endpoint"`
	IntrospectionEndpoint  string   `json:"introspection_endpoint"`
	RegistrationEndpoint   string   `json:"registration_endpoint,omitempty"`
	ScopesSupported        []string `json:"scopes_supported,omitempty"`
	ResponseTypesSupported []string `json:"response_types_supported"`
	ResponseModesSupported []string `json:"response_modes_supported"`
	GrantTypesSupported    []string `json:"grant_types_supported"`
	TokenAuthMethods       []string `json:"token_endpoint_auth_methods_supported"`
	RevocationAuthMethods  []string `json:"revocation_endpoint_auth_methods_supported"`
	IntrospectAuthMethods  []string `json:"introspection_endpoint_auth_methods_supported"`
	CodeChallengeMethods   []string `json:"code_challenge_methods_supported"`
	ResponseIssSupported   bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
	DocumentsSupported     bool     `json:"client_id_metadata_document_supported,omitempty"`
}

// metadata serves the metadata endpoint (RFC 8414 §3).
func (s *Site) metadata(r *auth.Request) (*auth.Result, error) {
	at := s.Route.URL(r)
	secret := []string{"client_secret_basic", "client_secret_post"}
	orNone := append(slices.Clip(secret), "none")
	m := metadata{
		Issuer:                 s.issuer(r),
		AuthorizationEndpoint:  at + authorizePath,
		TokenEndpoint:          at + tokenPath,
		RevocationEndpoint:     at + revokePath,
		IntrospectionEndpoint:  at + introspectPath,
		ScopesSupported:        s.scopesSupported(),
		ResponseTypesSupported: []string{"code"}, ResponseModesSupported: []string{"query"},
		GrantTypesSupported: []string{authorizationCode, clientCredentials, refreshToken},
		TokenAuthMethods:    orNone, RevocationAuthMethods: orNone, IntrospectAuthMethods: secret,
		CodeChallengeMethods: []string{"S256"}, ResponseIssSupported: true, DocumentsSupported: s.Route.ByGate(),
	}
	if s.Route.Registration {
		m.RegistrationEndpoint = at + registerPath
	}
	return answerJSON(http.StatusOK, m), nil
}

func (s *Site) scopesSupported() []string {
	if s.Route.On {
		return s.Route.Known
	}
	return s.settings.Scopes
}
