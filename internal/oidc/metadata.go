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
	DPoPAlgorithms           []string    `json:"dpop_signing_alg_values_supported"` // RFC 9449 §5.1
	MTLS                     mtlsAliases `json:"mtls_endpoint_aliases"`

	PushedAuthorizationRequestEndpoint string `json:"pushed_authorization_request_endpoint"` // RFC 9126 §5
	RequirePushedAuthorizationRequests bool   `json:"require_pushed_authorization_requests"` // RFC 9126 §5
	RequireSignedRequestObject         bool   `json:"require_signed_request_object"`         // RFC 9101 §10.5

	raw      json.RawMessage  // the document as it was fetched
	unusable map[string]error // why an announced endpoint can't be used, by the setting that replaces it
}

// mtlsAliases are the endpoints for clients with a certificate (RFC 8705 §5).
type mtlsAliases struct {
	TokenEndpoint         string `json:"token_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	RevocationEndpoint    string `json:"revocation_endpoint"`
	UserinfoEndpoint      string `json:"userinfo_endpoint"`

	PushedAuthorizationRequestEndpoint string `json:"pushed_authorization_request_endpoint"`
}

// A metadataEndpoint is an endpoint that a client uses: the setting that replaces it, its member of the metadata, and its address there.
type metadataEndpoint struct {
	setting, member string
	address         *string
}

// endpoints returns the endpoints that a client uses.
func (m *Metadata) endpoints() []metadataEndpoint {
	return []metadataEndpoint{
		{"jwks_endpoint", "jwks_uri", &m.JWKSURL},
		{"authorization_endpoint", "authorization_endpoint", &m.AuthURL},
		{"token_endpoint", "token_endpoint", &m.TokenURL},
		{"userinfo_endpoint", "userinfo_endpoint", &m.UserInfoURL},
		{"introspection_endpoint", "introspection_endpoint", &m.IntrospectionEndpoint},
		{"revocation_endpoint", "revocation_endpoint", &m.RevocationEndpoint},
		{"end_session_endpoint", "end_session_endpoint", &m.EndSessionEndpoint},
		{"pushed_authorization_request_endpoint", "pushed_authorization_request_endpoint", &m.PushedAuthorizationRequestEndpoint},
		{"mtls_token_endpoint", "mtls_endpoint_aliases.token_endpoint", &m.MTLS.TokenEndpoint},
		{"mtls_introspection_endpoint", "mtls_endpoint_aliases.introspection_endpoint", &m.MTLS.IntrospectionEndpoint},
		{"mtls_revocation_endpoint", "mtls_endpoint_aliases.revocation_endpoint", &m.MTLS.RevocationEndpoint},
		{"mtls_userinfo_endpoint", "mtls_endpoint_aliases.userinfo_endpoint", &m.MTLS.UserinfoEndpoint},
		{"mtls_pushed_authorization_request_endpoint", "mtls_endpoint_aliases.pushed_authorization_request_endpoint",
			&m.MTLS.PushedAuthorizationRequestEndpoint},
	}
}

// applySettings replaces announced endpoints by configured ones, and removes those that check refuses. Ignored lists the members that could
// not be read; applySettings returns it with the removed endpoints, and without the members that a setting replaces.
func (m *Metadata) applySettings(s *EndpointSettings, ignored []ignoredMember, check func(string) error) []ignoredMember {
	m.unusable = map[string]error{}
	addresses := s.addresses()
	for _, e := range m.endpoints() {
		configured := addresses[e.setting]
		at := slices.IndexFunc(ignored, func(i ignoredMember) bool { return i.name == e.member })
		switch {
		case configured != "":
			*e.address = configured
			if at >= 0 {
				ignored = slices.Delete(ignored, at, at+1)
			}
		case at >= 0:
			m.unusable[e.setting] = ignored[at].reason
		case *e.address != "":
			if err := check(*e.address); err != nil {
				*e.address, m.unusable[e.setting] = "", err
				ignored = append(ignored, ignoredMember{e.member, err})
			}
		}
	}
	return ignored
}

// require returns the address of the endpoint that a setting replaces. Without one it returns an error that says why, and wraps
// ErrNotSetUp.
func (m *Metadata) require(setting string) (string, error) {
	for _, e := range m.endpoints() {
		if e.setting != setting {
			continue
		}
		if *e.address != "" {
			return *e.address, nil
		}
		if err := m.unusable[setting]; err != nil {
			return "", fmt.Errorf("%w: its metadata's %s: %w: write %s", ErrNotSetUp, e.member, err, setting)
		}
		return "", fmt.Errorf("%w: its metadata has no %s: write %s", ErrNotSetUp, e.member, setting)
	}
	return "", fmt.Errorf("%w: there is no endpoint %s", ErrUnavailable, setting)
}
