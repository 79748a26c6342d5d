package oidc

import (
	"time"

	"sallyport/internal/auth"
)

// Settings is the part of the oidc: block that says who the issuer is, who we are to it, and how it is asked.
//
// A group:"issuer" field belongs to one issuer: a route that names another issuer doesn't inherit it. Likewise a proxy's
// credential belongs to that proxy.
type Settings struct {
	IssuerSettings
	ClientSettings
	TokenRequestSettings
	IntrospectionSettings
	UserinfoSettings
	TokenExchangeSettings
	CacheSettings
}

// IssuerSettings say who the issuer is and how it is reached. Routes with equal ones share its metadata, keys and verified
// tokens.
type IssuerSettings struct {
	Issuer                 string        `yaml:"issuer" group:"issuer"`                              // base URL or complete well-known URL (OIDC Discovery §4)
	UsingPseudoIssuer      bool          `yaml:"using_pseudo_issuer" group:"issuer" default:"false"` // no metadata is fetched: endpoints and keys are configured
	IssuersAllowed         []string      `yaml:"issuers_allowed" group:"issuer"`                     // accepted iss values; default the metadata's issuer
	ExtraJWKSURIs          []string      `yaml:"extra_jwks_uris" group:"issuer"`                     // key sets besides the issuer's own
	DiscoveryHeadersNames  []string      `yaml:"discovery_headers_names" group:"issuer"`             // added to discovery and key requests
	DiscoveryHeadersValues []auth.Secret `yaml:"discovery_headers_values" group:"issuer"`
	RediscoveryLifetime    time.Duration `yaml:"rediscovery_lifetime" default:"30"`    // least time between two fetches of the keys that tokens in requests cause
	Leeway                 time.Duration `yaml:"leeway" default:"0"`                   // for exp, nbf, iat, auth_time
	VerifySignature        bool          `yaml:"verify_signature" default:"true"`      // false is insecure: anybody can write a token
	VerifyClaims           bool          `yaml:"verify_claims" default:"true"`         // false is insecure: iss, aud of ID tokens, exp, nbf aren't judged
	EnableHSSignatures     bool          `yaml:"enable_hs_signatures" default:"false"` // tokens signed with client_secret are taken, too

	// CallsPerClient bounds the calls in flight that one client address causes; more wait for a while.
	CallsPerClient int `yaml:"calls_per_client" default:"32" min:"1" max:"256"`

	EndpointSettings
	HTTPSettings
}

// EndpointSettings replace what the metadata says.
type EndpointSettings struct {
	JWKSEndpoint              string `yaml:"jwks_endpoint" group:"issuer"`
	AuthorizationEndpoint     string `yaml:"authorization_endpoint" group:"issuer"`
	TokenEndpoint             string `yaml:"token_endpoint" group:"issuer"`
	IntrospectionEndpoint     string `yaml:"introspection_endpoint" group:"issuer"`
	RevocationEndpoint        string `yaml:"revocation_endpoint" group:"issuer"`
	UserinfoEndpoint          string `yaml:"userinfo_endpoint" group:"issuer"`
	EndSessionEndpoint        string `yaml:"end_session_endpoint" group:"issuer"`
	MTLSTokenEndpoint         string `yaml:"mtls_token_endpoint" group:"issuer"` // with a client certificate; before mtls_endpoint_aliases (RFC 8705 §5)
	MTLSIntrospectionEndpoint string `yaml:"mtls_introspection_endpoint" group:"issuer"`
	MTLSRevocationEndpoint    string `yaml:"mtls_revocation_endpoint" group:"issuer"`
}

// ClientSettings say who we are to the issuer. Lists are read by the index of client_id; a list without that index by its
// first entry.
type ClientSettings struct {
	ClientID                []string      `yaml:"client_id" group:"issuer"`
	ClientSecret            []auth.Secret `yaml:"client_secret" group:"issuer" per_client:"true"`
	ClientAuth              []string      `yaml:"client_auth" group:"issuer" enum:"client_secret_basic,client_secret_post,client_secret_jwt,private_key_jwt,tls_client_auth,self_signed_tls_client_auth,none" per_client:"true"`
	ClientAlg               []string      `yaml:"client_alg" group:"issuer" enum:"HS256,HS384,HS512,RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA,Ed25519" per_client:"true"`
	ClientJWK               []JWK         `yaml:"client_jwk" group:"issuer" per_client:"true"`            // for private_key_jwt; without it the gate uses keys that it makes and publishes
	ClientAssertionFile     []string      `yaml:"client_assertion_file" group:"issuer" per_client:"true"` // for private_key_jwt: an assertion that somebody else writes, read again when it changes
	ClientAssertionAudience string        `yaml:"client_assertion_audience" group:"issuer" default:"issuer" enum:"issuer,token_endpoint"`
	ClientArg               string        `yaml:"client_arg" default:"client_id"` // the parameter by which a request chooses the client

	TokenEndpointAuthMethod         string `yaml:"token_endpoint_auth_method" group:"issuer" enum:"client_secret_basic,client_secret_post,client_secret_jwt,private_key_jwt,tls_client_auth,self_signed_tls_client_auth,none"`
	IntrospectionEndpointAuthMethod string `yaml:"introspection_endpoint_auth_method" group:"issuer" enum:"client_secret_basic,client_secret_post,client_secret_jwt,private_key_jwt,tls_client_auth,self_signed_tls_client_auth,none"`
	RevocationEndpointAuthMethod    string `yaml:"revocation_endpoint_auth_method" group:"issuer" enum:"client_secret_basic,client_secret_post,client_secret_jwt,private_key_jwt,tls_client_auth,self_signed_tls_client_auth,none"`

	TLSClientAuthCertFile  string `yaml:"tls_client_auth_cert_file" group:"issuer"` // PEM, the leaf first (RFC 8705 §2)
	TLSClientAuthKeyFile   string `yaml:"tls_client_auth_key_file" group:"issuer"`
	TLSClientAuthSSLVerify bool   `yaml:"tls_client_auth_ssl_verify" default:"true"` // false is insecure

	IDTokenSignedResponseAlg string   `yaml:"id_token_signed_response_alg" group:"issuer" default:"RS256" enum:"RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA,Ed25519,HS256,HS384,HS512"`
	IDTokenAudiencesTrusted  []string `yaml:"id_token_audiences_trusted" group:"issuer"`                                                                                          // further aud that an ID token without azp may name
	IgnoreSignature          []string `yaml:"ignore_signature" group:"issuer" enum:"authorization_code,client_credentials,introspection,password,refresh_token,session,userinfo"` // of tokens that the issuer gave for these, over TLS
	VerifyParameters         bool     `yaml:"verify_parameters" default:"false"`                                                                                                  // what the metadata doesn't announce isn't asked for
}

// TokenRequestSettings are what every token request carries besides its grant.
type TokenRequestSettings struct {
	Scopes              []string      `yaml:"scopes" group:"issuer" default:"[openid]"`
	Audience            []string      `yaml:"audience" group:"issuer"`
	TokenHeadersNames   []string      `yaml:"token_headers_names" group:"issuer"`
	TokenHeadersValues  []auth.Secret `yaml:"token_headers_values" group:"issuer"`
	TokenPostArgsNames  []string      `yaml:"token_post_args_names" group:"issuer"`
	TokenPostArgsValues []auth.Secret `yaml:"token_post_args_values" group:"issuer"`
	TokenHeadersReplay  []string      `yaml:"token_headers_replay" group:"issuer"` // of the response, handed on to the client
}

// IntrospectionSettings shape introspection requests (RFC 7662 §2.1) and what answers they take.
type IntrospectionSettings struct {
	IntrospectionHint           string        `yaml:"introspection_hint" default:"access_token"` // token_type_hint; empty for none
	IntrospectionTokenParamName string        `yaml:"introspection_token_param_name" default:"token"`
	IntrospectionAccept         string        `yaml:"introspection_accept" default:"application/json" enum:"application/json,application/jwt,application/token-introspection+jwt"`
	IntrospectionHeadersNames   []string      `yaml:"introspection_headers_names" group:"issuer"`
	IntrospectionHeadersValues  []auth.Secret `yaml:"introspection_headers_values" group:"issuer"`
	IntrospectionPostArgsNames  []string      `yaml:"introspection_post_args_names" group:"issuer"`
	IntrospectionPostArgsValues []auth.Secret `yaml:"introspection_post_args_values" group:"issuer"`
}

// UserinfoSettings shape userinfo requests (OIDC Core §5.3.1) and what answers they take.
type UserinfoSettings struct {
	UserinfoAccept          string        `yaml:"userinfo_accept" default:"application/json" enum:"application/json,application/jwt"`
	UserinfoHeadersNames    []string      `yaml:"userinfo_headers_names" group:"issuer"`
	UserinfoHeadersValues   []auth.Secret `yaml:"userinfo_headers_values" group:"issuer"`
	UserinfoQueryArgsNames  []string      `yaml:"userinfo_query_args_names" group:"issuer"`
	UserinfoQueryArgsValues []auth.Secret `yaml:"userinfo_query_args_values" group:"issuer"`
}

// CacheSettings say how long the issuer's answers are kept. A token's own expiry ends it sooner, whatever they say.
type CacheSettings struct {
	CacheTokens        bool          `yaml:"cache_tokens" default:"true"` // answers of the token endpoint to callers' credentials
	CacheTokensSalt    auth.Secret   `yaml:"cache_tokens_salt"`           // equal salts share them, if the settings are equal too
	CacheIntrospection bool          `yaml:"cache_introspection" default:"true"`
	CacheUserInfo      bool          `yaml:"cache_user_info" default:"true"`
	CacheTTL           time.Duration `yaml:"cache_ttl" default:"3600"` // of an answer that names no expiry
	CacheTTLMax        time.Duration `yaml:"cache_ttl_max"`            // 0: none for tokens; 60 s for introspection and userinfo, so that a revoked token stops
	CacheTTLMin        time.Duration `yaml:"cache_ttl_min"`
	CacheTTLNeg        time.Duration `yaml:"cache_ttl_neg" default:"5"`       // of a refused credential; 0 is off
	CacheTTLResurrect  time.Duration `yaml:"cache_ttl_resurrect" default:"0"` // how long an old answer serves while the issuer can't be asked
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
	NoProxy                 string        `yaml:"no_proxy"` // comma-separated hosts, domains, addresses, each with :port or without; networks
	Keepalive               bool          `yaml:"keepalive" default:"true"`
}
