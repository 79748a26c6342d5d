package proxy

import (
	"net"
	"time"

	"sallyport/internal/authz"
)

// RouteSettings are the settings of the route: block.
type RouteSettings struct {
	Hosts        []string          `yaml:"hosts"`                       // exact or *.example.com; default any
	Paths        []string          `yaml:"paths" default:"[/]" min:"1"` // prefixes of whole segments
	Upstream     UpstreamSettings  `yaml:"upstream"`                    // required, unless other proxies forward all requests
	Console      bool              `yaml:"console" default:"false"`     // serve the console in place of an upstream
	StripPath    bool              `yaml:"strip_path" default:"false"`
	PreserveHost bool              `yaml:"preserve_host" default:"false"` // send the host by which the route was chosen to the upstream
	BodyLimit    int               `yaml:"body_limit" default:"0"`        // of a request for the upstream, in bytes; 0 is off
	PublicURL    string            `yaml:"public_url"`                    // scheme://host as clients see it; default from the request
	ACL          authz.ACLSettings `yaml:"acl"`
	Pages        string            `yaml:"pages"` // a folder with pages; default that of the process

	// Allow lists what a request may have that is refused otherwise.
	Allow []string `yaml:"allow" enum:"encoded_slash,double_slash,semicolon,method_override"`

	// Literal lists the kinds of settings whose values aren't checked for patterns and lists of other tools.
	Literal []string `yaml:"literal" enum:"claims,paths,values"`
}

// UpstreamSettings are the settings of an upstream. A scalar is the URL.
type UpstreamSettings struct {
	// URL has the scheme http, https or h2c, and a path in it is a prefix of the forwarded path; or it is unix:/path of a socket. An
	// upstream has either URL or Targets.
	URL string `yaml:"url" scalar:"true"`
	BalanceSettings
	Reuse          bool          `yaml:"reuse" default:"true"`                    // false: each request has a connection of its own
	ConnectTimeout time.Duration `yaml:"connect_timeout" default:"10s" min:"1ms"` // dial and TLS handshake, each
	// ResponseHeaderTimeout is the time from the end of the request to the header of the response; 0 is off.
	ResponseHeaderTimeout time.Duration `yaml:"response_header_timeout" default:"60s"`
	IdleTimeout           time.Duration `yaml:"idle_timeout" default:"90s"` // of pooled connections
	// Protocol auto is negotiated over TLS, and HTTP/1.1 without TLS.
	Protocol   string `yaml:"protocol" default:"auto" enum:"auto,http1,http2"`
	CAFile     string `yaml:"ca_file"`                   // PEM; trusted instead of the system's CAs
	ServerName string `yaml:"server_name"`               // the name in SNI and in the certificate; default the URL's host
	SSLVerify  bool   `yaml:"ssl_verify" default:"true"` // false is insecure

	// The certificate by which the gate authenticates to the upstream, PEM, and its key (RFC 8705 §3).
	ClientCertFile string `yaml:"client_cert_file" live:"true"`
	ClientKeyFile  string `yaml:"client_key_file" live:"true"`

	resolver *net.Resolver // of names; nil: the system's
}

// HeaderSettings are the settings of the oidc: block about the headers that the upstream and the client receive.
type HeaderSettings struct {
	HideCredentials bool `yaml:"hide_credentials" default:"true"` // remove the credential from where the client sent it

	// DPoPForward leaves the proof and the scheme DPoP for an upstream that verifies both (RFC 9449 §7.1).
	DPoPForward bool `yaml:"dpop_forward" default:"false"`

	// The headers of the access token are header or header:scheme. Null is not sent.
	UpstreamAccessTokenHeader   *string `yaml:"upstream_access_token_header" default:"authorization:bearer"`
	DownstreamAccessTokenHeader string  `yaml:"downstream_access_token_header"`

	// UpstreamDPoP sends access tokens that are bound to a key of the gate by the scheme DPoP, with a proof (RFC 9449 §7).
	UpstreamDPoP bool `yaml:"upstream_dpop" default:"false"`

	// Properties of the session, each sent as Session-*: to the upstream, and to the client.
	SessionRequestHeaders  []SessionProperty `yaml:"session_request_headers"`
	SessionResponseHeaders []SessionProperty `yaml:"session_response_headers"`

	AssertionSettings

	Upstream   IdentityHeaders `yaml:",inline" prefix:"upstream_"`
	Downstream IdentityHeaders `yaml:",inline" prefix:"downstream_"`
}

// IdentityHeaders name the headers for the tokens, keys and claims of an identity, besides its access token, and for the ID of its session.
type IdentityHeaders struct {
	AccessTokenJWKHeader   string          `yaml:"access_token_jwk_header"`
	IDTokenHeader          string          `yaml:"id_token_header"`
	IDTokenJWKHeader       string          `yaml:"id_token_jwk_header"`
	RefreshTokenHeader     string          `yaml:"refresh_token_header"`
	SessionIDHeader        string          `yaml:"session_id_header"` // a hash of the ID
	UserInfoHeader         string          `yaml:"user_info_header"`
	UserInfoJWTHeader      string          `yaml:"user_info_jwt_header"`
	IntrospectionHeader    string          `yaml:"introspection_header"`
	IntrospectionJWTHeader string          `yaml:"introspection_jwt_header"`
	Headers                []HeaderMapping `yaml:"headers"`
	HeadersClaims          []string        `yaml:"headers_claims"` // top-level claims, by index with the names
	HeadersNames           []string        `yaml:"headers_names"`
}

// RuleHeaderSettings are the headers that a rule adds for the upstream.
type RuleHeaderSettings struct {
	UpstreamHeaders []HeaderMapping `yaml:"upstream_headers"`
}

// A HeaderMapping sends the claim at Path as Header.
type HeaderMapping struct {
	Header string   `yaml:"header" required:"true"`
	Path   []string `yaml:"path" required:"true" min:"1"`
}

// ErrorSettings are the settings of the oidc: block about refusals.
type ErrorSettings struct {
	UnauthorizedErrorMessage string   `yaml:"unauthorized_error_message" default:"Unauthorized"`
	UnauthorizedRedirectURI  []string `yaml:"unauthorized_redirect_uri" group:"issuer" per_client:"true"`
	ForbiddenErrorMessage    string   `yaml:"forbidden_error_message" default:"Forbidden"`
	ForbiddenRedirectURI     []string `yaml:"forbidden_redirect_uri" group:"issuer" per_client:"true"`
	UnexpectedRedirectURI    []string `yaml:"unexpected_redirect_uri" group:"issuer" per_client:"true"`
	ExposeErrorCode          bool     `yaml:"expose_error_code" default:"true"` // error in WWW-Authenticate (RFC 6750 §3)
	DisplayErrors            bool     `yaml:"display_errors" default:"false"`   // show the cause in responses: for debugging only
}
