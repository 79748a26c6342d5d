package oidc

import (
	"encoding/json"
	"fmt"
	"slices"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
)

// Metadata is the metadata of an authorization server (OIDC Discovery §3, RFC 8414 §2): the members that a client uses. It is immutable.
type Metadata struct {
	gooidc.ProviderConfig // the members that all OpenID Connect clients use

	IntrospectionEndpoint    string      `json:"introspection_endpoint"`
	RevocationEndpoint       string      `json:"revocation_endpoint"`
	EndSessionEndpoint       string      `json:"end_session_endpoint"`
	TokenAuthMethods         []string    `json:"token_endpoint_auth_methods_supported"`
	IntrospectionAuthMethods []string    `json:"introspection_endpoint_auth_methods_supported"`
	RevocationAuthMethods    []string    `json:"revocation_endpoint_auth_methods_supported"`
	IssInResponse            bool        `json:"authorization_response_iss_parameter_supported"` // RFC 9207 §3
	Scopes                   []string    `json:"scopes_supported"`
	ResponseTypes            []string    `json:"response_types_supported"`
	ResponseModes            []string    `json:"response_modes_supported"`
	CodeChallengeMethods     []string    `json:"code_challenge_methods_supported"`
	GrantTypes               []string    `json:"grant_types_supported"`
	MTLS                     mtlsAliases `json:"mtls_endpoint_aliases"`

	raw      json.RawMessage  // the document as it was fetched
	unusable map[string]error // why an announced endpoint can't be used, by the setting that replaces it
}

// mtlsAliases are the endpoints for clients with a certificate (RFC 8705 §5).
type mtlsAliases struct {
	TokenEndpoint         string `json:"token_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
}

// metadataEndpoints lists the endpoints that a client uses: the setting that replaces each, its member of the metadata, and the fields of
// both.
var metadataEndpoints = []struct {
	setting, member string
	address         func(*Metadata) *string
	configured      func(*EndpointSettings) string
}{
	{"jwks_endpoint", "jwks_uri",
		func(m *Metadata) *string { return &m.JWKSURL }, func(s *EndpointSettings) string { return s.JWKSEndpoint }},
	{"authorization_endpoint", "authorization_endpoint",
		func(m *Metadata) *string { return &m.AuthURL }, func(s *EndpointSettings) string { return s.AuthorizationEndpoint }},
	{"token_endpoint", "token_endpoint",
		func(m *Metadata) *string { return &m.TokenURL }, func(s *EndpointSettings) string { return s.TokenEndpoint }},
	{"userinfo_endpoint", "userinfo_endpoint",
		func(m *Metadata) *string { return &m.UserInfoURL }, func(s *EndpointSettings) string { return s.UserinfoEndpoint }},
	{"introspection_endpoint", "introspection_endpoint",
		func(m *Metadata) *string { return &m.IntrospectionEndpoint }, func(s *EndpointSettings) string { return s.IntrospectionEndpoint }},
	{"revocation_endpoint", "revocation_endpoint",
		func(m *Metadata) *string { return &m.RevocationEndpoint }, func(s *EndpointSettings) string { return s.RevocationEndpoint }},
	{"end_session_endpoint", "end_session_endpoint",
		func(m *Metadata) *string { return &m.EndSessionEndpoint }, func(s *EndpointSettings) string { return s.EndSessionEndpoint }},
	{"mtls_token_endpoint", "mtls_endpoint_aliases.token_endpoint",
		func(m *Metadata) *string { return &m.MTLS.TokenEndpoint }, func(s *EndpointSettings) string { return s.MTLSTokenEndpoint }},
	{"mtls_introspection_endpoint", "mtls_endpoint_aliases.introspection_endpoint",
		func(m *Metadata) *string { return &m.MTLS.IntrospectionEndpoint },
		func(s *EndpointSettings) string { return s.MTLSIntrospectionEndpoint }},
	{"mtls_revocation_endpoint", "mtls_endpoint_aliases.revocation_endpoint",
		func(m *Metadata) *string { return &m.MTLS.RevocationEndpoint },
		func(s *EndpointSettings) string { return s.MTLSRevocationEndpoint }},
}

// applySettings replaces announced endpoints by configured ones, and removes those that check refuses. Ignored lists the members that could
// not be read; applySettings returns it with the removed endpoints, and without the members that a setting replaces.
func (m *Metadata) applySettings(s *EndpointSettings, ignored []ignoredMember, check func(string) error) []ignoredMember {
	m.unusable = map[string]error{}
	for _, e := range metadataEndpoints {
		address, configured := e.address(m), e.configured(s)
		at := slices.IndexFunc(ignored, func(i ignoredMember) bool { return i.name == e.member })
		switch {
		case configured != "":
			*address = configured
			if at >= 0 {
				ignored = slices.Delete(ignored, at, at+1)
			}
		case at >= 0:
			m.unusable[e.setting] = ignored[at].reason
		case *address != "":
			if err := check(*address); err != nil {
				*address, m.unusable[e.setting] = "", err
				ignored = append(ignored, ignoredMember{e.member, err})
			}
		}
	}
	return ignored
}

// require returns the address of the endpoint that a setting replaces. Without one it returns an error that says why, and wraps
// ErrNotSetUp.
func (m *Metadata) require(setting string) (string, error) {
	for _, e := range metadataEndpoints {
		if e.setting != setting {
			continue
		}
		if address := *e.address(m); address != "" {
			return address, nil
		}
		if err := m.unusable[setting]; err != nil {
			return "", fmt.Errorf("%w: its metadata's %s: %w: write %s", ErrNotSetUp, e.member, err, setting)
		}
		return "", fmt.Errorf("%w: its metadata has no %s: write %s", ErrNotSetUp, e.member, setting)
	}
	return "", fmt.Errorf("%w: there is no endpoint %s", ErrUnavailable, setting)
}
