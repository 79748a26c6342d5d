package proxy

import (
	"time"

	"sallyport/internal/authz"
)

// RouteSettings are the route: block.
type RouteSettings struct {
	Hosts        []string          `yaml:"hosts"`                       // exact or *.example.com; default any
	Paths        []string          `yaml:"paths" default:"[/]" min:"1"` // prefixes of whole segments
	Upstream     UpstreamSettings  `yaml:"upstream" required:"true"`
	StripPath    bool              `yaml:"strip_path" default:"false"`
	PreserveHost bool              `yaml:"preserve_host" default:"false"` // send the host that was judged to the upstream
	PublicURL    string            `yaml:"public_url"`                    // scheme://host as clients see it; default from the request
	ACL          authz.ACLSettings `yaml:"acl"`
	Pages        string            `yaml:"pages"` // the folder of its own pages; default the process's

	// Allow says what else a request may hold.
	Allow []string `yaml:"allow" enum:"encoded_slash,double_slash,semicolon,method_override"`

	// Literal says what is meant as it stands, though other tools read it as a pattern or a list.
	Literal []string `yaml:"literal" enum:"claims,paths,values"`
}

// UpstreamSettings say where requests go. A scalar is the URL.
type UpstreamSettings struct {
	URL                   string        `yaml:"url" scalar:"true" required:"true"`               // http, https or h2c; a path in it is a prefix
	ConnectTimeout        time.Duration `yaml:"connect_timeout" default:"10s" min:"1ms"`         // dial and TLS handshake, each
	ResponseHeaderTimeout time.Duration `yaml:"response_header_timeout" default:"60s"`           // from the request's end to the response's header; 0 is off
	IdleTimeout           time.Duration `yaml:"idle_timeout" default:"90s"`                      // of pooled connections
	Protocol              string        `yaml:"protocol" default:"auto" enum:"auto,http1,http2"` // auto: as the upstream chooses over TLS, else HTTP/1.1
	CAFile                string        `yaml:"ca_file"`                                         // PEM; trusted instead of the system's
	ServerName            string        `yaml:"server_name"`                                     // SNI and certificate name; default the URL's host
	SSLVerify             bool          `yaml:"ssl_verify" default:"true"`                       // false is insecure
}

// HeaderSettings are the part of the oidc: block that says what the upstream receives, and what the client.
type HeaderSettings struct {
	HideCredentials bool `yaml:"hide_credentials" default:"true"` // the upstream doesn't see the credential where the client put it

	UpstreamAccessTokenHeader   *string `yaml:"upstream_access_token_header" default:"authorization:bearer"` // header or header:scheme; null: none
	DownstreamAccessTokenHeader string  `yaml:"downstream_access_token_header"`                              // header or header:scheme

	Upstream   IdentityHeaders `yaml:",inline" prefix:"upstream_"`
	Downstream IdentityHeaders `yaml:",inline" prefix:"downstream_"`
}

// IdentityHeaders name the headers that hold what is known of an identity, besides its access token.
type IdentityHeaders struct {
	AccessTokenJWKHeader   string          `yaml:"access_token_jwk_header"`
	IDTokenHeader          string          `yaml:"id_token_header"`
	IDTokenJWKHeader       string          `yaml:"id_token_jwk_header"`
	RefreshTokenHeader     string          `yaml:"refresh_token_header"`
	UserInfoHeader         string          `yaml:"user_info_header"`
	UserInfoJWTHeader      string          `yaml:"user_info_jwt_header"`
	IntrospectionHeader    string          `yaml:"introspection_header"`
	IntrospectionJWTHeader string          `yaml:"introspection_jwt_header"`
	Headers                []HeaderMapping `yaml:"headers"`
	HeadersClaims          []string        `yaml:"headers_claims"` // top-level claims, by index with the names
	HeadersNames           []string        `yaml:"headers_names"`
}

// RuleHeaderSettings are what the upstream receives besides where a rule is the one.
type RuleHeaderSettings struct {
	UpstreamHeaders []HeaderMapping `yaml:"upstream_headers"`
}

// A HeaderMapping sends the claim at Path as Header.
type HeaderMapping struct {
	Header string   `yaml:"header" required:"true"`
	Path   []string `yaml:"path" required:"true" min:"1"`
}

// ErrorSettings are the part of the oidc: block that says how refusals look.
type ErrorSettings struct {
	UnauthorizedErrorMessage string   `yaml:"unauthorized_error_message" default:"Unauthorized"`
	UnauthorizedRedirectURI  []string `yaml:"unauthorized_redirect_uri" group:"issuer" per_client:"true"`
	ForbiddenErrorMessage    string   `yaml:"forbidden_error_message" default:"Forbidden"`
	ForbiddenRedirectURI     []string `yaml:"forbidden_redirect_uri" group:"issuer" per_client:"true"`
	UnexpectedRedirectURI    []string `yaml:"unexpected_redirect_uri" group:"issuer" per_client:"true"`
	ExposeErrorCode          bool     `yaml:"expose_error_code" default:"true"` // error in WWW-Authenticate (RFC 6750 §3)
	DisplayErrors            bool     `yaml:"display_errors" default:"false"`   // inner detail in answers: for debugging only
}
