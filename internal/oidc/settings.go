package oidc

import (
	"slices"
	"time"

	"sallyport/internal/auth"
)

// Settings are the settings of the oidc: block about the issuer, the gate's client of it, and the requests between the two.
//
// A field with group:"issuer" belongs to one issuer: a route that names another issuer doesn't inherit it. Likewise the credential of a
// proxy belongs to that proxy.
type Settings struct {
	IssuerSettings
	ClientSettings
	AuthorizationSettings
	EncryptionSettings
	TokenRequestSettings
	IntrospectionSettings
	UserinfoSettings
	GroupsOverageSettings
	TokenExchangeSettings
	CacheSettings
}

// IssuerSettings name an issuer and say how it is reached. Routes with equal settings share its metadata, keys and verified tokens.
type IssuerSettings struct {
	// Issuer is a base URL, or a complete well-known URL (OIDC Discovery §4).
	Issuer string `yaml:"issuer" group:"issuer"`
	// UsingPseudoIssuer switches off the fetch of metadata: the endpoints are configured.
	UsingPseudoIssuer bool `yaml:"using_pseudo_issuer" group:"issuer" default:"false"`
	// IssuersAllowed lists the accepted values of iss; default the metadata's issuer.
	IssuersAllowed         []string      `yaml:"issuers_allowed" group:"issuer"`
	ExtraJWKSURIs          []string      `yaml:"extra_jwks_uris" group:"issuer"`         // key sets besides the issuer's own
	DiscoveryHeadersNames  []string      `yaml:"discovery_headers_names" group:"issuer"` // added to discovery and key requests
	DiscoveryHeadersValues []auth.Secret `yaml:"discovery_headers_values" group:"issuer"`
	// RediscoveryLifetime is the least time between two fetches of keys that tokens in requests cause.
	RediscoveryLifetime time.Duration `yaml:"rediscovery_lifetime" default:"30"`
	Leeway              time.Duration `yaml:"leeway" default:"0"`              // for exp, nbf, iat, auth_time
	VerifySignature     bool          `yaml:"verify_signature" default:"true"` // false is insecure: anyone can write a token
	// VerifyClaims is insecure if false: iss, aud of ID tokens, exp and nbf aren't checked.
	VerifyClaims bool `yaml:"verify_claims" default:"true"`
	// TokenSigningAlgs lists the algorithms of access tokens, introspection and userinfo responses; default: all but HMAC.
	TokenSigningAlgs []string `yaml:"token_signing_algs" group:"issuer"`
	// AccessTokenProfile rfc9068 requires that access tokens that are JWTs follow RFC 9068.
	AccessTokenProfile string `yaml:"access_token_profile" default:"any" enum:"any,rfc9068"`
	// EnableHSSignatures accepts tokens that are signed with client_secret, too.
	EnableHSSignatures bool `yaml:"enable_hs_signatures" default:"false"`

	// CallsPerClient bounds the calls in flight that one client address causes. Further calls wait.
	CallsPerClient int `yaml:"calls_per_client" default:"32" min:"1" max:"256"`

	EndpointSettings
	HTTPSettings
}

// Enums returns the values that the settings take, by key.
func (IssuerSettings) Enums() map[string][]string {
	return map[string][]string{"token_signing_algs": slices.Concat(asymmetric, symmetric)}
}

// EndpointSettings replace the endpoints in the metadata.
type EndpointSettings struct {
	JWKSEndpoint          string `yaml:"jwks_endpoint" group:"issuer"`
	AuthorizationEndpoint string `yaml:"authorization_endpoint" group:"issuer"`
	TokenEndpoint         string `yaml:"token_endpoint" group:"issuer"`
	IntrospectionEndpoint string `yaml:"introspection_endpoint" group:"issuer"`
	RevocationEndpoint    string `yaml:"revocation_endpoint" group:"issuer"`
	UserinfoEndpoint      string `yaml:"userinfo_endpoint" group:"issuer"`
	EndSessionEndpoint    string `yaml:"end_session_endpoint" group:"issuer"`

	PushedAuthorizationRequestEndpoint string `yaml:"pushed_authorization_request_endpoint" group:"issuer"`
	// The endpoints for clients with a certificate replace mtls_endpoint_aliases (RFC 8705 §5).
	MTLSTokenEndpoint         string `yaml:"mtls_token_endpoint" group:"issuer"`
	MTLSIntrospectionEndpoint string `yaml:"mtls_introspection_endpoint" group:"issuer"`
	MTLSRevocationEndpoint    string `yaml:"mtls_revocation_endpoint" group:"issuer"`
	MTLSUserinfoEndpoint      string `yaml:"mtls_userinfo_endpoint" group:"issuer"`

	MTLSPushedAuthorizationRequestEndpoint string `yaml:"mtls_pushed_authorization_request_endpoint" group:"issuer"`
}

// addresses returns the addresses of the endpoints by setting.
func (s *EndpointSettings) addresses() map[string]string {
	return map[string]string{
		"jwks_endpoint": s.JWKSEndpoint, "authorization_endpoint": s.AuthorizationEndpoint, "token_endpoint": s.TokenEndpoint,
		"introspection_endpoint": s.IntrospectionEndpoint, "revocation_endpoint": s.RevocationEndpoint,
		"userinfo_endpoint": s.UserinfoEndpoint, "end_session_endpoint": s.EndSessionEndpoint,
		"mtls_token_endpoint": s.MTLSTokenEndpoint, "mtls_introspection_endpoint": s.MTLSIntrospectionEndpoint,
		"pushed_authorization_request_endpoint":      s.PushedAuthorizationRequestEndpoint,
		"mtls_pushed_authorization_request_endpoint": s.MTLSPushedAuthorizationRequestEndpoint,
		"mtls_revocation_endpoint":                   s.MTLSRevocationEndpoint, "mtls_userinfo_endpoint": s.MTLSUserinfoEndpoint,
	}
}

// ClientSettings are the settings of the gate's clients of the issuer. The lists belong together by the index of client_id; of a list
// without that index the first entry counts: see At.
type ClientSettings struct {
	ClientID     []string      `yaml:"client_id" group:"issuer"`
	ClientSecret []auth.Secret `yaml:"client_secret" group:"issuer" per_client:"true"`
	ClientAuth   []string      `yaml:"client_auth" group:"issuer" per_client:"true"`
	ClientAlg    []string      `yaml:"client_alg" group:"issuer" per_client:"true"`
	// ClientJWK has the keys for private_key_jwt. Without one the gate generates and publishes keys.
	ClientJWK []JWK `yaml:"client_jwk" group:"issuer" per_client:"true"`
	// ClientAssertionFile names files for private_key_jwt: another program writes an assertion, which is read again when it changes.
	ClientAssertionFile     []string `yaml:"client_assertion_file" group:"issuer" per_client:"true"`
	ClientAssertionAudience string   `yaml:"client_assertion_audience" group:"issuer" default:"issuer" enum:"issuer,token_endpoint"`
	ClientArg               string   `yaml:"client_arg" default:"client_id"` // the parameter by which a request chooses the client

	TokenEndpointAuthMethod         string `yaml:"token_endpoint_auth_method" group:"issuer"`
	IntrospectionEndpointAuthMethod string `yaml:"introspection_endpoint_auth_method" group:"issuer"`
	RevocationEndpointAuthMethod    string `yaml:"revocation_endpoint_auth_method" group:"issuer"`

	PushedAuthorizationRequestEndpointAuthMethod string `yaml:"pushed_authorization_request_endpoint_auth_method" group:"issuer"`

	TLSClientAuthCertFile  string `yaml:"tls_client_auth_cert_file" group:"issuer" live:"true"` // PEM, the leaf first (RFC 8705 §2)
	TLSClientAuthKeyFile   string `yaml:"tls_client_auth_key_file" group:"issuer" live:"true"`
	TLSClientAuthSSLVerify bool   `yaml:"tls_client_auth_ssl_verify" default:"true"` // false is insecure

	// ClientDPoP makes the client ask for tokens that are bound to a key of the gate (RFC 9449).
	ClientDPoP bool `yaml:"client_dpop" group:"issuer" default:"false"`

	// IDTokenSignedResponseAlg lists the algorithms of ID tokens and logout tokens. It is usually one: that registered for the client.
	IDTokenSignedResponseAlg []string `yaml:"id_token_signed_response_alg" group:"issuer" default:"[RS256]" min:"1"`
	// IDTokenAudiencesTrusted lists the further audiences that an ID token without azp may have.
	IDTokenAudiencesTrusted []string `yaml:"id_token_audiences_trusted" group:"issuer"`
	// IgnoreSignature is insecure: the signatures of JWTs in responses to these requests aren't verified.
	IgnoreSignature []string `yaml:"ignore_signature" group:"issuer"`
	// VerifyParameters refuses to request what the metadata doesn't announce.
	VerifyParameters bool `yaml:"verify_parameters" default:"false"`
	// VerifyResponseIssuer requires iss in authorization responses, even if the metadata doesn't announce it (RFC 9207).
	VerifyResponseIssuer bool `yaml:"verify_response_issuer" default:"false"`
	// VerifyGrantedScopes refuses a login whose token response has a scope that the authorization request didn't have.
	VerifyGrantedScopes bool `yaml:"verify_granted_scopes" default:"false"`
}

// The values of ignore_signature besides the grant types: requests whose response may have a JWT.
const (
	requestIntrospection = "introspection"
	requestUserinfo      = "userinfo"
	requestSession       = "session" // the refresh of a session's tokens
)

// Enums returns the values that the settings take, by key.
func (ClientSettings) Enums() map[string][]string {
	methods := []string{
		"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "tls_client_auth",
		"self_signed_tls_client_auth", "none",
	}
	return map[string][]string{
		"client_auth": methods, "token_endpoint_auth_method": methods, "introspection_endpoint_auth_method": methods,
		"revocation_endpoint_auth_method": methods, "pushed_authorization_request_endpoint_auth_method": methods,
		"client_alg":                   slices.Concat(symmetric, asymmetric),
		"id_token_signed_response_alg": slices.Concat(asymmetric, symmetric),
		"ignore_signature": {
			GrantAuthorizationCode, GrantClientCredentials, requestIntrospection, GrantPassword, GrantRefreshToken,
			requestSession, requestUserinfo,
		},
	}
}

// TokenRequestSettings are the parameters and headers of every token request besides those of its grant.
type TokenRequestSettings struct {
	Scopes              []string      `yaml:"scopes" group:"issuer" default:"[openid]"`
	Audience            []string      `yaml:"audience" group:"issuer"`
	TokenHeadersNames   []string      `yaml:"token_headers_names" group:"issuer"`
	TokenHeadersValues  []auth.Secret `yaml:"token_headers_values" group:"issuer"`
	TokenPostArgsNames  []string      `yaml:"token_post_args_names" group:"issuer"`
	TokenPostArgsValues []auth.Secret `yaml:"token_post_args_values" group:"issuer"`
	// TokenHeadersReplay names headers of the token response that the gate sends to its client.
	TokenHeadersReplay []string `yaml:"token_headers_replay" group:"issuer"`
}

// IntrospectionSettings are the settings of introspection requests (RFC 7662 §2.1) and responses.
type IntrospectionSettings struct {
	IntrospectionHint           string        `yaml:"introspection_hint" default:"access_token"` // token_type_hint; empty: not sent
	IntrospectionTokenParamName string        `yaml:"introspection_token_param_name" default:"token"`
	IntrospectionAccept         string        `yaml:"introspection_accept" default:"application/json"`
	IntrospectionHeadersNames   []string      `yaml:"introspection_headers_names" group:"issuer"`
	IntrospectionHeadersValues  []auth.Secret `yaml:"introspection_headers_values" group:"issuer"`
	IntrospectionPostArgsNames  []string      `yaml:"introspection_post_args_names" group:"issuer"`
	IntrospectionPostArgsValues []auth.Secret `yaml:"introspection_post_args_values" group:"issuer"`
}

// Enums returns the values that the settings take, by key.
func (IntrospectionSettings) Enums() map[string][]string {
	return map[string][]string{
		"introspection_accept": {"application/json", "application/jwt", "application/token-introspection+jwt"},
	}
}

// UserinfoSettings are the settings of userinfo requests (OIDC Core §5.3.1) and responses.
type UserinfoSettings struct {
	UserinfoAccept string `yaml:"userinfo_accept" default:"application/json" enum:"application/json,application/jwt"`
	// UserinfoSubjectClaim is the claim that names the user at an endpoint that isn't of OpenID Connect. It counts as sub.
	UserinfoSubjectClaim    string        `yaml:"userinfo_subject_claim" group:"issuer" default:"sub"`
	UserinfoHeadersNames    []string      `yaml:"userinfo_headers_names" group:"issuer"`
	UserinfoHeadersValues   []auth.Secret `yaml:"userinfo_headers_values" group:"issuer"`
	UserinfoQueryArgsNames  []string      `yaml:"userinfo_query_args_names" group:"issuer"`
	UserinfoQueryArgsValues []auth.Secret `yaml:"userinfo_query_args_values" group:"issuer"`
}

// CacheSettings say how long responses of the issuer are cached. The expiry of a token always ends that sooner.
type CacheSettings struct {
	CacheTokens        bool          `yaml:"cache_tokens" default:"true"` // responses of the token endpoint to callers' credentials
	CacheTokensSalt    auth.Secret   `yaml:"cache_tokens_salt"`           // routes with equal settings and salts share responses
	CacheIntrospection bool          `yaml:"cache_introspection" default:"true"`
	CacheUserInfo      bool          `yaml:"cache_user_info" default:"true"`
	CacheTTL           time.Duration `yaml:"cache_ttl" default:"3600"` // of a response without an expiry
	// CacheTTLMax is by default unlimited for tokens, and 60 s for introspection and userinfo, so that a revoked token stops.
	CacheTTLMax       time.Duration `yaml:"cache_ttl_max"`
	CacheTTLMin       time.Duration `yaml:"cache_ttl_min"`
	CacheTTLNeg       time.Duration `yaml:"cache_ttl_neg" default:"5"`       // of a refusal; 0: not cached
	CacheTTLResurrect time.Duration `yaml:"cache_ttl_resurrect" default:"0"` // how long an old response serves while the issuer is down
}

// HTTPSettings say how the authorization server is reached.
type HTTPSettings struct {
	Timeout                 time.Duration `yaml:"timeout" unit:"ms" default:"10000" min:"1ms"` // of one whole request
	SSLVerify               bool          `yaml:"ssl_verify" default:"true"`                   // false is insecure
	CAFile                  string        `yaml:"ca_file"`                                     // PEM; trusted besides the system's
	HTTPProxy               string        `yaml:"http_proxy"`
	HTTPProxyAuthorization  auth.Secret   `yaml:"http_proxy_authorization" group:"http_proxy"`
	HTTPSProxy              string        `yaml:"https_proxy"`
	HTTPSProxyAuthorization auth.Secret   `yaml:"https_proxy_authorization" group:"https_proxy"`
	// NoProxy lists hosts, domains and addresses, each with or without a port, and networks, separated by commas.
	NoProxy   string `yaml:"no_proxy"`
	Keepalive bool   `yaml:"keepalive" default:"true"`
}
