// Package config loads the gate's configuration files. Load returns a complete and checked File, or all problems of the files at once, each
// with its file, its line and what to write instead.
//
// Package strict parses the files and decodes them into structs. This package finds the route files (load.go), adds environment variables
// (source.go), merges the process's defaults into the oidc block of each route (flatten.go), and checks the result (check*.go,
// dialect*.go). kong.go and foreign.go have the keys of Kong's plugin and of other tools that the gate doesn't have, with what to write
// instead.
package config

import (
	"net/netip"
	"time"

	"sallyport/internal/acmecert"
	"sallyport/internal/auth"
	"sallyport/internal/authserver"
	"sallyport/internal/authz"
	"sallyport/internal/fapi"
	"sallyport/internal/flow"
	"sallyport/internal/forwardauth"
	"sallyport/internal/mcp"
	"sallyport/internal/page"
	"sallyport/internal/proxy"
	"sallyport/internal/signer"
	"sallyport/internal/strict"
)

// A File is the configuration of one process, complete and checked.
type File struct {
	Name           string   `yaml:"-"` // the argument of Load
	Listen         []Listen `yaml:"listen" default:"[127.0.0.1:8000]" min:"1"`
	Admin          Admin    `yaml:"admin"`
	TrustedProxies []Prefix `yaml:"trusted_proxies"` // their X-Forwarded-* headers are trusted
	Log            Log      `yaml:"log"`
	Metrics        Metrics  `yaml:"metrics"`
	Tracing        Tracing  `yaml:"tracing"`
	Limits         Limits   `yaml:"limits"`
	Watch          bool     `yaml:"watch" default:"true"` // changed files cause a reload
	Readiness      string   `yaml:"readiness" default:"tolerant" enum:"tolerant,strict"`
	Pages          string   `yaml:"pages"` // folder with the operator's own pages; empty: the built-in ones

	Consumers []authz.Consumer     `yaml:"consumers"`
	OAuth2    *authserver.Settings `yaml:"oauth2"` // the built-in authorization server; nil: off

	Keys   signer.Settings `yaml:"keys"` // the gate's own keys, for private_key_jwt
	Routes []Route         `yaml:"-"`

	OwnPages *page.Set `yaml:"-"` // the contents of Pages; nil: the built-in pages

	warnings []string
}

// Warnings returns the warnings of Load, each with its file and line.
func (f *File) Warnings() []string { return f.warnings }

// A Listen is an address that clients connect to.
type Listen struct {
	Address string `yaml:"address" scalar:"true" required:"true"` // host:port; an empty host is every address
	TLS     *TLS   `yaml:"tls"`                                   // nil: plain HTTP

	// ProxyProtocol means that trusted proxies begin each connection with a header of the PROXY protocol, version 1 or 2.
	ProxyProtocol bool `yaml:"proxy_protocol" default:"false"`

	// ForwardAuth means that the clients are proxies that ask whether they may forward a request; nil: they are not.
	ForwardAuth *forwardauth.Settings `yaml:"forward_auth"`
}

// TLS has the certificate of a listener, and how it authenticates clients.
type TLS struct {
	CertFile     string `yaml:"cert_file"`      // PEM, the leaf first
	KeyFile      string `yaml:"key_file"`       // PEM
	ClientCAFile string `yaml:"client_ca_file"` // PEM; the authorities of client certificates
	ClientAuth   string `yaml:"client_auth" default:"none" enum:"none,request,require,verify_if_given,require_and_verify"`
	MinVersion   string `yaml:"min_version" default:"1.2" enum:"1.2,1.3"`
	// CipherSuites are the cipher suites of TLS 1.2, by their names in RFC 5246 and its successors; default: those of package crypto/tls.
	CipherSuites []string `yaml:"cipher_suites"`

	ACME *acmecert.Settings `yaml:"acme"` // in place of the files; nil: off
}

// Admin is the listener for health and metrics.
type Admin struct {
	Listen string      `yaml:"listen" scalar:"true" default:"127.0.0.1:9000"` // host:port, or off
	Token  auth.Secret `yaml:"token"`

	RecentRefusals int `yaml:"recent_refusals" default:"200" min:"0" max:"2000"` // that the console shows; 0: none are kept
}

// Log has the settings of the log.
type Log struct {
	Level  string `yaml:"level" default:"info" enum:"debug,info,warn,error"`
	Format string `yaml:"format" default:"json" enum:"text,json"`
	Access bool   `yaml:"access" default:"true"` // a line for each request
	Audit  string `yaml:"audit"`                 // a file, stderr or stdout; empty: none
}

// Metrics has the settings of /metrics.
type Metrics struct {
	Enabled   bool `yaml:"enabled" default:"true"`
	MaxRoutes int  `yaml:"max_routes" default:"1000" min:"1" max:"100000"` // with metrics of their own; the others share the label other
}

// Tracing has the settings of traces besides those of the environment (OTEL_EXPORTER_OTLP_ENDPOINT and others).
type Tracing struct {
	TrustIncoming string `yaml:"trust_incoming" default:"trusted_proxies" enum:"none,trusted_proxies"` // whose traceparent counts
	Issuers       bool   `yaml:"issuers" default:"false"`                                              // send traceparent to issuers
}

// Limits bounds the time and memory that a client can use.
type Limits struct {
	ReadHeaderTimeout time.Duration `yaml:"read_header_timeout" default:"10s" min:"1ms"`
	IdleTimeout       time.Duration `yaml:"idle_timeout" default:"120s" min:"1ms"`
	BodyTimeout       time.Duration `yaml:"body_timeout" default:"10s" min:"1ms"`   // for one read of a body; six times that for all
	AnswerTimeout     time.Duration `yaml:"answer_timeout" default:"30s" min:"1ms"` // for a client to read a response of the gate itself
	MaxHeaderBytes    int           `yaml:"max_header_bytes" default:"65536" min:"4096" max:"16777216"`
	DrainTimeout      time.Duration `yaml:"drain_timeout" default:"30s"` // for requests in flight at a shutdown
}

// A Route is a route with the defaults of the process.
type Route struct {
	Name    string // the file's name without folder and extension; route-N for entry N of routes:
	Place   string // file:line of route:
	Route   proxy.RouteSettings
	OIDC    OIDC
	HasOIDC bool // false: the route has no issuer, and only rules with auth: off
	Rules   []Rule
	MCP     *mcp.Settings // nil: the route is no MCP server
	Issuers []Issuer      // the entries of oidc.issuers; if there are any, OIDC has what they share

	OwnPages *page.Set // the contents of Route.Pages; nil: the process's pages

	block    *strict.Block
	mcpBlock *strict.Block // of MCP
	siblings []Issuer      // for a route of perIssuer, all issuers of the route
}

// An Issuer is an entry of oidc.issuers with its oidc block, which has what the entries share.
type Issuer struct {
	IssuerEntry
	OIDC OIDC

	block *strict.Block
}

// An IssuerEntry has the keys of an entry of oidc.issuers besides those of an oidc block.
type IssuerEntry struct {
	Name         string   `yaml:"name" required:"true"` // for URLs and rules
	Title        string   `yaml:"title"`                // on the page where users choose an issuer; default Name
	LoginDomains []string `yaml:"login_domains"`        // mail domains in login_hint that choose this issuer
}

// OIDC has the keys of an oidc block, without issuers.
type OIDC struct {
	Flow      flow.Settings          `yaml:",inline"`
	Authz     authz.Settings         `yaml:",inline"`
	Headers   proxy.HeaderSettings   `yaml:",inline"`
	Errors    proxy.ErrorSettings    `yaml:",inline"`
	Responses proxy.ResponseSettings `yaml:",inline"`

	Profile fapi.Settings `yaml:",inline"`

	RunOnPreflight bool `yaml:"run_on_preflight" place:"true" default:"true"` // false: CORS preflights go to the upstream unchecked
}

// A Rule is an entry of rules.
type Rule struct {
	authz.RuleSettings
	Headers proxy.RuleHeaderSettings `yaml:",inline"`
	Place   string                   `yaml:"-"` // file:line

	block *strict.Block
}

// Problem returns an error about a key of the route, with its place, for checks after Load.
func (r *Route) Problem(key, message string) error { return problem(r.block, key, message) }

// Problem returns an error about a key of the issuer, with its place, for checks after Load.
func (i *Issuer) Problem(key, message string) error { return problem(i.block, key, message) }

// Problem returns an error about a key of the rule, with its place, for checks after Load.
func (r *Rule) Problem(key, message string) error { return problem(r.block, key, message) }

func problem(b *strict.Block, key, message string) error {
	m := b.Find(key).Mark
	return strict.Problem{File: m.File, Line: m.Line, Text: key + ": " + message}
}

// A Prefix is a network. An address is a network of one address.
type Prefix struct{ netip.Prefix }

// Wants describes a network for messages of package strict.
func (Prefix) Wants() string { return "an address or a network such as 10.0.0.0/8" }

// UnmarshalText parses 10.0.0.0/8 or 10.0.0.1. It changes IPv4 addresses in the form of IPv6, because those of clients never have that
// form.
func (p *Prefix) UnmarshalText(b []byte) error {
	text := string(b)
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		p.Prefix = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		return nil
	}
	network, err := netip.ParsePrefix(text)
	if a := network.Addr(); err == nil && a.Is4In6() && network.Bits() >= 96 {
		network = netip.PrefixFrom(a.Unmap(), network.Bits()-96)
	}
	p.Prefix = network.Masked()
	return err
}
