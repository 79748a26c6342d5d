package fapi

import (
	"fmt"
	"slices"
	"strings"
)

// A clauses has the clauses of a standard by what they are about.
type clauses struct {
	client, clientAuth, metadata, pkce, resource, tokens, algorithms, tls string
}

var (
	advanced1Clauses = clauses{
		client: "FAPI 1.0 Part 1 §5.2.3", clientAuth: "FAPI 1.0 Part 2 §5.2.2.0-14", metadata: "FAPI 1.0 Part 1 §5.2.3-11",
		pkce: "FAPI 1.0 Part 1 §5.2.3-2", resource: "FAPI 1.0 Part 1 §6.2.1", tokens: "FAPI 1.0 Part 2 §8.2",
		algorithms: "FAPI 1.0 Part 2 §8.6", tls: "FAPI 1.0 Part 2 §8.5",
	}
	security2Clauses = clauses{
		client: "FAPI 2.0 Security Profile §5.3.3.1", clientAuth: "FAPI 2.0 Security Profile §5.3.3.1-2",
		metadata: "FAPI 2.0 Security Profile §5.3.3.1-9", pkce: "FAPI 2.0 Security Profile §5.3.3.2-3",
		resource: "FAPI 2.0 Security Profile §5.3.4", tokens: "FAPI 2.0 Security Profile §5.3.4-5",
		algorithms: "FAPI 2.0 Security Profile §5.4.1", tls: "FAPI 2.0 Security Profile §5.2.1",
	}
)

// common returns the requirements that the standards share.
func common(profile string, c clauses) []Requirement {
	algorithms := Algorithms(profile)
	list := fmt.Sprintf("[%s]", strings.Join(algorithms, ","))
	all := []Requirement{
		{Key: "auth_methods", Refused: []string{"password", "client_credentials", "kong_oauth2", "userinfo"}, Clause: c.clientAuth},
		{Key: "client_auth", Default: "[private_key_jwt]", Allowed: clientAuth, Clause: c.clientAuth, Client: true},
		{Key: "client_alg", Default: "[PS256]", Allowed: append([]string{""}, algorithms...), Clause: c.algorithms, Client: true},
		{Key: "id_token_signed_response_alg", Default: list, Allowed: algorithms, Clause: c.algorithms},
		{Key: "token_signing_algs", Default: list, Allowed: algorithms, Clause: c.algorithms},
		{Key: "dpop_signing_alg_values_supported", Default: list, Allowed: algorithms, Clause: c.algorithms},
		{Key: "authorization_signed_response_alg", Default: "PS256", Allowed: algorithms, Clause: c.algorithms},
		{Key: "proof_of_possession_auth_methods_validation", Default: "false"}, // the gate proves the tokens of logins itself
		{Key: "require_proof_key_for_code_exchange", Default: "true", Allowed: isTrue, Clause: c.pkce, Logins: true},
		{Key: "bearer_token_param_type", Allowed: []string{"header"}, Clause: c.resource},
		{Key: "allow_insecure_http", Allowed: isFalse, Clause: c.tls, Logins: true},
		{Key: "using_pseudo_issuer", Allowed: isFalse, Clause: c.metadata},
		{Key: "enable_hs_signatures", Allowed: isFalse, Clause: c.algorithms},
		{Key: "ignore_signature", Allowed: isEmpty, Clause: c.algorithms},
	}
	for _, endpoint := range []string{"token", "introspection", "revocation", "pushed_authorization_request"} {
		all = append(all, Requirement{
			Key: endpoint + "_endpoint_auth_method", Allowed: append([]string{""}, clientAuth...), Clause: c.clientAuth,
		})
	}
	for _, key := range []string{"verify_signature", "verify_claims", "verify_nonce"} {
		all = append(all, Requirement{Key: key, Allowed: isTrue, Clause: c.algorithms})
	}
	for _, key := range []string{"ssl_verify", "tls_client_auth_ssl_verify"} {
		all = append(all, Requirement{Key: key, Allowed: isTrue, Clause: c.tls})
	}
	for _, key := range endpoints {
		all = append(all, Requirement{Key: key, Allowed: isEmpty, Clause: c.metadata})
	}
	return all
}

var (
	isTrue, isFalse, isEmpty = []string{"true"}, []string{"false"}, []string{""}

	clientAuth = []string{"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"}

	// endpoints are the settings that replace the metadata's endpoints and keys.
	endpoints = []string{
		"jwks_endpoint", "authorization_endpoint", "token_endpoint", "introspection_endpoint", "revocation_endpoint", "userinfo_endpoint",
		"end_session_endpoint", "mtls_token_endpoint", "mtls_introspection_endpoint", "mtls_revocation_endpoint", "extra_jwks_uris",
		"pushed_authorization_request_endpoint", "mtls_pushed_authorization_request_endpoint", "mtls_userinfo_endpoint",
	}

	// jwtModes are the response modes of JARM (JWT Secured Authorization Response Mode §2.3).
	jwtModes = []string{"jwt", "query.jwt", "form_post.jwt"}
)

// advanced1 has the requirements of FAPI 1.0 Advanced alone.
var advanced1 = []Requirement{
	{Key: "require_signed_request_object", Default: "true", Allowed: isTrue, Clause: "FAPI 1.0 Part 2 §5.2.3-2", Logins: true},
	{Key: "response_type", Allowed: []string{"code", "code id_token"}, Clause: "FAPI 1.0 Part 2 §5.2.2.0-2", Logins: true},
	{Key: "verify_granted_scopes", Default: "true", Allowed: isTrue, Clause: "FAPI 1.0 Part 1 §5.2.3-10", Logins: true},
	{Key: "proof_of_possession_mtls", Default: "strict", Allowed: []string{"strict"}, Clause: "FAPI 1.0 Part 2 §8.2"},
	{Key: "client_dpop", Allowed: isFalse, Clause: "FAPI 1.0 Part 2 §5.2.3-1"},
	{Key: "fapi_interaction_id", Default: "true", Allowed: isTrue, Clause: "FAPI 1.0 Part 1 §6.2.1-11"},
}

// security2 has the requirements of FAPI 2.0 Security Profile alone.
var security2 = []Requirement{
	{Key: "require_pushed_authorization_requests", Default: "true", Allowed: isTrue,
		Clause: "FAPI 2.0 Security Profile §5.3.3.2-2", Logins: true},
	{Key: "response_type", Allowed: []string{"code"}, Clause: "FAPI 2.0 Security Profile §5.3.3.2-1", Logins: true},
	{Key: "verify_response_issuer", Default: "true", Allowed: isTrue, Clause: "FAPI 2.0 Security Profile §5.3.3.2-5", Logins: true},
	{Key: "proof_of_possession_required", Default: "true", Allowed: isTrue, Clause: "FAPI 2.0 Security Profile §5.3.4-5"},
	{Key: "client_assertion_audience", Allowed: []string{"issuer"}, Clause: "FAPI 2.0 Security Profile §5.3.3.1-5"},
	{Key: "leeway", Allowed: []string{"0s"}, Clause: "FAPI 2.0 Security Profile §5.3.2.1-14"},
	{Key: "hsts_max_age", Default: "31536000", Refused: []string{"0s"}, Clause: "FAPI 2.0 Security Profile §5.2.3-1"},
}

// messageSigning has the requirements of the parts of FAPI 2.0 Message Signing.
var messageSigning = map[string][]Requirement{
	"request": {
		{Key: "require_signed_request_object", Default: "true", Allowed: isTrue, Clause: "FAPI 2.0 Message Signing §5.3.2", Logins: true},
	},
	"response": {
		{Key: "response_mode", Default: "jwt", Allowed: []string{"jwt"}, Clause: "FAPI 2.0 Message Signing §5.4.2", Logins: true},
	},
	"introspection": {
		{Key: "introspection_accept", Default: "application/token-introspection+jwt",
			Allowed: []string{"application/token-introspection+jwt"}, Clause: "FAPI 2.0 Message Signing §5.5.2"},
	},
}

// IsJWTMode reports whether a response mode is one of JARM.
func IsJWTMode(mode string) bool { return slices.Contains(jwtModes, mode) }
