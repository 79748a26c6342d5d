package flow

import "time"

// AuthorizationCodeSettings are the authorization request's parameters and the login cookie's.
type AuthorizationCodeSettings struct {
	RedirectURI                    []string       `yaml:"redirect_uri" group:"issuer"` // default: oauth2/callback under the route's first path
	ResponseType                   []string       `yaml:"response_type" group:"issuer" default:"[code]" enum:"code"`
	ResponseMode                   string         `yaml:"response_mode" group:"issuer" default:"query" enum:"query"`
	Scopes                         []string       `yaml:"scopes" group:"issuer" default:"[openid]"`
	Audience                       []string       `yaml:"audience" group:"issuer"`
	MaxAge                         *time.Duration `yaml:"max_age" group:"issuer"`
	AuthorizationQueryArgsNames    []string       `yaml:"authorization_query_args_names" group:"issuer"`
	AuthorizationQueryArgsValues   []string       `yaml:"authorization_query_args_values" group:"issuer"`
	AuthorizationQueryArgsClient   []string       `yaml:"authorization_query_args_client" group:"issuer"`     // copied from the client's query
	RequireProofKeyForCodeExchange *bool          `yaml:"require_proof_key_for_code_exchange" group:"issuer"` // only false switches PKCE off

	AuthorizationCookieName     string        `yaml:"authorization_cookie_name" default:"authorization"`
	AuthorizationCookiePath     string        `yaml:"authorization_cookie_path" default:"/"`
	AuthorizationCookieDomain   string        `yaml:"authorization_cookie_domain"`
	AuthorizationCookieSameSite string        `yaml:"authorization_cookie_same_site" default:"Lax" enum:"Default,Lax,None,Strict"`
	AuthorizationCookieHTTPOnly bool          `yaml:"authorization_cookie_http_only" default:"true"`
	AuthorizationCookieSecure   *bool         `yaml:"authorization_cookie_secure"`
	AuthorizationRollingTimeout time.Duration `yaml:"authorization_rolling_timeout" default:"600" min:"1s"` // how long a login may take

	AllowInsecureHTTP bool `yaml:"allow_insecure_http" default:"false"` // logins over plain http to a host that isn't loopback
}
