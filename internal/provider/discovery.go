package provider

import (
	"encoding/json"
	"net/http"
	"slices"
)

var standardScopes = []string{"openid", "profile", "email", "address", "phone", "offline_access"}

// scopes are those that the provider grants.
func (p *Provider) scopes() []string { return slices.Concat(standardScopes, p.config.Scopes) }

// discovery serves the metadata (OIDC Discovery §3, RFC 8414 §2, RFC 9207 §3).
func (p *Provider) discovery(w http.ResponseWriter, _ *http.Request) {
	issuer := p.Issuer()
	at := func(e Endpoint) string { return issuer + string(e) }
	authentication := []string{"client_secret_basic", "client_secret_post", "none"}
	w.Header().Set("Cache-Control", "public, max-age=60")
	p.answer(w, Discovery, map[string]any{
		"issuer":                 issuer,
		"authorization_endpoint": at(Authorization),
		"token_endpoint":         at(Token),
		"userinfo_endpoint":      at(Userinfo),
		"jwks_uri":               at(JWKS),
		"introspection_endpoint": at(Introspection),
		"revocation_endpoint":    at(Revocation),
		"end_session_endpoint":   at(EndSession),

		"scopes_supported":         p.scopes(),
		"response_types_supported": []string{"code"},
		"response_modes_supported": []string{"query"},
		"grant_types_supported":    []string{"authorization_code", "refresh_token", "client_credentials", "password"},
		"subject_types_supported":  []string{"public"},
		"acr_values_supported":     p.config.ACRValues,
		"prompt_values_supported":  []string{"none", "login", "consent", "select_account"},
		"claim_types_supported":    []string{"normal"},
		"claims_supported":         p.claimNames(),

		"id_token_signing_alg_values_supported":         signingAlgs,
		"token_endpoint_auth_methods_supported":         authentication,
		"introspection_endpoint_auth_methods_supported": authentication[:2],
		"revocation_endpoint_auth_methods_supported":    authentication,
		"code_challenge_methods_supported":              []string{"S256"},

		"authorization_response_iss_parameter_supported": true,
		"claims_parameter_supported":                     false,
		"request_parameter_supported":                    false,
		"request_uri_parameter_supported":                false,
	})
}

// jwks serves the public keys (RFC 7517 §5).
func (p *Provider) jwks(w http.ResponseWriter, _ *http.Request) {
	encoded, err := json.Marshal(p.keys.published())
	if err != nil {
		panic(err) // our own keys
	}
	var set map[string]any
	if err := json.Unmarshal(encoded, &set); err != nil {
		panic(err)
	}
	w.Header().Set("Cache-Control", "public, max-age=60")
	p.answer(w, JWKS, set)
}
