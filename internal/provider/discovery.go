package provider

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
)

var standardScopes = []string{"openid", "profile", "email", "address", "phone", "offline_access"}

// scopes returns all supported scopes.
func (p *Provider) scopes() []string { return slices.Concat(standardScopes, p.config.Scopes) }

// metadata returns the handler of the metadata (OIDC Discovery §3, RFC 8414 §2, RFC 9207 §3); e is Discovery or
// ServerMetadata.
func (p *Provider) metadata(e Endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		all := p.endpoints()
		for _, part := range []map[string]any{p.capabilities(), p.clientAuthentication(), p.mutualTLS()} {
			maps.Copy(all, part)
		}
		p.as().metadata.apply(p, nil, all)
		w.Header().Set("Cache-Control", "public, max-age=60")
		p.answer(w, e, all)
	}
}

func (p *Provider) endpoints() map[string]any {
	at := p.Address
	return map[string]any{
		"issuer":                 p.iss(),
		"authorization_endpoint": at(Authorization),
		"token_endpoint":         at(Token),
		"userinfo_endpoint":      at(Userinfo),
		"jwks_uri":               at(JWKS),
		"introspection_endpoint": at(Introspection),
		"revocation_endpoint":    at(Revocation),
		"end_session_endpoint":   at(EndSession),

		"pushed_authorization_request_endpoint": at(PushedRequest),
	}
}

func (p *Provider) capabilities() map[string]any {
	return map[string]any{
		"scopes_supported": p.scopes(),

		"backchannel_logout_supported": true, "backchannel_logout_session_supported": true,
		"frontchannel_logout_supported": true, "frontchannel_logout_session_supported": true,

		"response_types_supported": []string{"code", "code id_token"},
		"response_modes_supported": []string{"query", "form_post", "jwt", "query.jwt", "form_post.jwt"},
		"grant_types_supported": []string{
			"authorization_code", "refresh_token", "client_credentials", "password", grantTokenExchange, grantJWTBearer,
		},
		"subject_types_supported": []string{"public"},
		"acr_values_supported":    p.config.ACRValues,
		"prompt_values_supported": []string{"none", "login", "consent", "select_account"},
		"claim_types_supported":   []string{"normal", "aggregated", "distributed"},
		"claims_supported":        p.claimNames(),

		"id_token_signing_alg_values_supported":      signingAlgs,
		"userinfo_signing_alg_values_supported":      signingAlgs,
		"introspection_signing_alg_values_supported": signingAlgs,
		"code_challenge_methods_supported":           []string{"S256"},
		"dpop_signing_alg_values_supported":          []string{"ES256", "PS256", "EdDSA"},

		"authorization_response_iss_parameter_supported": true,
		"claims_parameter_supported":                     false,
		"request_parameter_supported":                    true,
		"request_uri_parameter_supported":                false, // only one of a pushed request
		"request_object_signing_alg_values_supported":    asymmetricAlgs,
		"authorization_signing_alg_values_supported":     signingAlgs,
		"authorization_details_types_supported":          p.config.AuthorizationDetailsTypes,
	}
}

// clientAuthentication returns the authentication methods of each endpoint. Public clients can't introspect (RFC 7662 §2.1).
func (p *Provider) clientAuthentication() map[string]any {
	methods, algs := slices.Clone(authMethods), slices.Concat(hmacAlgs, asymmetricAlgs)
	if p.MTLSURL != "" {
		methods = append(methods, mtlsMethods...)
	}
	metadata := map[string]any{}
	for _, endpoint := range []string{"token", "introspection", "revocation"} {
		metadata[endpoint+"_endpoint_auth_methods_supported"] = append(slices.Clone(methods), "none")
		metadata[endpoint+"_endpoint_auth_signing_alg_values_supported"] = algs
	}
	metadata["introspection_endpoint_auth_methods_supported"] = methods
	return metadata
}

// mutualTLS returns the mTLS metadata (RFC 8705 §3.3 and §5), or nil without StartTLS.
func (p *Provider) mutualTLS() map[string]any {
	if p.MTLSURL == "" {
		return nil
	}
	return map[string]any{
		"tls_client_certificate_bound_access_tokens": true,
		"mtls_endpoint_aliases": map[string]string{
			"token_endpoint": p.alias(Token), "pushed_authorization_request_endpoint": p.alias(PushedRequest),
			"userinfo_endpoint":      p.alias(Userinfo),
			"introspection_endpoint": p.alias(Introspection), "revocation_endpoint": p.alias(Revocation),
		},
	}
}

// jwks serves the public keys (RFC 7517 §5).
func (p *Provider) jwks(w http.ResponseWriter, _ *http.Request) {
	keys := p.keys.published()
	if p.config.RequestKey != nil {
		keys.Keys = append(keys.Keys, p.config.RequestKey.Public())
	}
	encoded, err := json.Marshal(keys)
	if err != nil {
		panic(err) // impossible: the provider generates its keys
	}
	var set map[string]any
	if err := json.Unmarshal(encoded, &set); err != nil {
		panic(err)
	}
	w.Header().Set("Cache-Control", "public, max-age=60")
	p.answer(w, JWKS, set)
}
