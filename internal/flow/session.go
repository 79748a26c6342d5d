package flow

// SessionSettings are the session cookie's attributes and what a session does besides proving who it is.
type SessionSettings struct {
	SessionCookieName     string   `yaml:"session_cookie_name"` // default session_ and 8 hex digits of the issuer, client and audience
	SessionCookiePath     string   `yaml:"session_cookie_path" default:"/"`
	SessionCookieDomain   string   `yaml:"session_cookie_domain"`
	SessionCookieSameSite string   `yaml:"session_cookie_same_site" default:"Lax" enum:"Default,Lax,None,Strict"`
	SessionCookieHTTPOnly bool     `yaml:"session_cookie_http_only" default:"true"`
	SessionCookieSecure   *bool    `yaml:"session_cookie_secure"`
	RefreshTokens         bool     `yaml:"refresh_tokens" default:"true"`
	TrustedOrigins        []string `yaml:"trusted_origins"` // besides the request's own, for an Upgrade that a session authenticates
}
