package oidc

import (
	"time"

	"sallyport/internal/auth"
)

// Settings is the part of the oidc: block that says who the issuer is, who we are to it, and how it is reached.
//
// A group:"issuer" field belongs to one issuer: a route that names another issuer doesn't inherit it.
type Settings struct {
	Issuer                 string        `yaml:"issuer" group:"issuer"`                  // base URL or complete well-known URL (OIDC Discovery §4)
	IssuersAllowed         []string      `yaml:"issuers_allowed" group:"issuer"`         // accepted iss values; default the metadata's issuer
	DiscoveryHeadersNames  []string      `yaml:"discovery_headers_names" group:"issuer"` // added to discovery and key requests
	DiscoveryHeadersValues []auth.Secret `yaml:"discovery_headers_values" group:"issuer"`
	RediscoveryLifetime    time.Duration `yaml:"rediscovery_lifetime" default:"30"` // least time between two fetches that unknown keys cause
	Leeway                 time.Duration `yaml:"leeway" default:"0"`                // for exp, nbf, iat, auth_time

	ClientID     []string      `yaml:"client_id" group:"issuer"`
	ClientSecret []auth.Secret `yaml:"client_secret" group:"issuer"`
	ClientAuth   []string      `yaml:"client_auth" group:"issuer" enum:"client_secret_basic,client_secret_post,none"`

	IDTokenSignedResponseAlg string `yaml:"id_token_signed_response_alg" group:"issuer" default:"RS256" enum:"RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA"`

	HTTPSettings
}

// HTTPSettings say how the authorization server is reached.
type HTTPSettings struct {
	Timeout                 time.Duration `yaml:"timeout" unit:"ms" default:"10000" min:"1ms"` // of one whole request
	SSLVerify               bool          `yaml:"ssl_verify" default:"true"`                   // false is insecure
	CAFile                  string        `yaml:"ca_file"`                                     // PEM; trusted besides the system's
	HTTPProxy               string        `yaml:"http_proxy"`
	HTTPProxyAuthorization  auth.Secret   `yaml:"http_proxy_authorization"`
	HTTPSProxy              string        `yaml:"https_proxy"`
	HTTPSProxyAuthorization auth.Secret   `yaml:"https_proxy_authorization"`
	NoProxy                 string        `yaml:"no_proxy"` // comma-separated hosts and domains
	Keepalive               bool          `yaml:"keepalive" default:"true"`
}
