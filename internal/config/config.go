// Package config reads the YAML files strictly: every value has a safe default, and a mistake is refused at load with its
// file and line and what to write instead, all mistakes at once.
//
// A file passes through four steps, each in its own files: text to a tree of values that know their places (yaml.go,
// syntax.go), defaults merged into the routes' blocks (flatten.go), values to the settings' structs by their tags (shape.go,
// decode.go, scalar.go, expand.go), and what no tag can say (check_*.go). kong.go names every parameter of Kong's plugin
// that isn't built, so that nothing is silently ignored.
package config

import (
	"net/netip"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/authserver"
	"sallyport/internal/authz"
	"sallyport/internal/flow"
	"sallyport/internal/page"
	"sallyport/internal/proxy"
	"sallyport/internal/signer"
	"sallyport/internal/strict"
)

// A File is the configuration of one process, complete and checked.
type File struct {
	Name           string   `yaml:"-"` // as it was given to Load
	Listen         []Listen `yaml:"listen" default:"[127.0.0.1:8000]" min:"1"`
	Admin          Admin    `yaml:"admin"`
	TrustedProxies []Prefix `yaml:"trusted_proxies"` // whose X-Forwarded-* are believed; without one the client is unknown
	Log            Log      `yaml:"log"`
	Limits         Limits   `yaml:"limits"`
	Pages          string   `yaml:"pages"` // the folder of the pages that people see; default the built-in ones

	Consumers []authz.Consumer     `yaml:"consumers"`
	OAuth2    *authserver.Settings `yaml:"oauth2"` // the built-in authorization server of opaque tokens; nil: there is none

	Keys   signer.Settings `yaml:"keys"` // that the gate makes for private_key_jwt
	Routes []Route         `yaml:"-"`

	OwnPages *page.Set `yaml:"-"` // nil: none

	warnings []string
}

// Warnings are things that work but that one should know, each with its file and line.
func (f *File) Warnings() []string { return f.warnings }

// Listen is an address that clients connect to.
type Listen struct {
	Address string `yaml:"address" scalar:"true" required:"true"` // host:port; an empty host is every address
	TLS     *TLS   `yaml:"tls"`                                   // nil: plain HTTP
}

// TLS is how a listener proves who it is, and what it asks of clients.
type TLS struct {
	CertFile     string `yaml:"cert_file" required:"true"` // PEM, the leaf first
	KeyFile      string `yaml:"key_file" required:"true"`  // PEM
	ClientCAFile string `yaml:"client_ca_file"`            // PEM: who may sign client certificates
	ClientAuth   string `yaml:"client_auth" default:"none" enum:"none,request,require,verify_if_given,require_and_verify"`
}

// Admin is the listener for health and metrics.
type Admin struct {
	Listen string      `yaml:"listen" scalar:"true" default:"127.0.0.1:9000"` // host:port, or off
	Token  auth.Secret `yaml:"token"`
}

// Log says what is logged, and how.
type Log struct {
	Level  string `yaml:"level" default:"info" enum:"debug,info,warn,error"`
	Format string `yaml:"format" default:"json" enum:"text,json"`
	Access bool   `yaml:"access" default:"true"` // a line for each request
}

// Limits bound what a client can cost.
type Limits struct {
	ReadHeaderTimeout time.Duration `yaml:"read_header_timeout" default:"10s" min:"1ms"`
	IdleTimeout       time.Duration `yaml:"idle_timeout" default:"120s" min:"1ms"`
	BodyTimeout       time.Duration `yaml:"body_timeout" default:"10s" min:"1ms"`   // for the next bytes of a body that the gate reads; six times that for all
	AnswerTimeout     time.Duration `yaml:"answer_timeout" default:"30s" min:"1ms"` // for a client to take an answer of the gate's own
	MaxHeaderBytes    int           `yaml:"max_header_bytes" default:"65536" min:"4096" max:"16777216"`
	DrainTimeout      time.Duration `yaml:"drain_timeout" default:"30s"` // for requests in flight at the end
}

// A Route is one route with its defaults merged in.
type Route struct {
	Name    string // the file's base name without extension, or route-N for the Nth entry of an inline list
	Place   string // file:line of route:
	Route   proxy.RouteSettings
	OIDC    OIDC
	HasOIDC bool // false: every request is let through unseen (auth: off)
	Rules   []Rule
	Issuers []Issuer // where oidc.issuers names several; OIDC is what they share then

	OwnPages *page.Set // nil: the process's

	block   *strict.Block
	entries []Issuer // of the route that this is a part of
}

// An Issuer is one entry of oidc.issuers: a whole oidc block, which begins where the route's is.
type Issuer struct {
	IssuerEntry
	OIDC OIDC

	block *strict.Block
}

// IssuerEntry is what an entry of oidc.issuers says besides.
type IssuerEntry struct {
	Name         string   `yaml:"name" required:"true"` // of the issuer in addresses and rules
	Title        string   `yaml:"title"`                // on the page where people choose; default the name
	LoginDomains []string `yaml:"login_domains"`        // of addresses in login_hint whose people log in here
}

// OIDC is the oidc: block.
type OIDC struct {
	Flow    flow.Settings        `yaml:",inline"`
	Authz   authz.Settings       `yaml:",inline"`
	Headers proxy.HeaderSettings `yaml:",inline"`
	Errors  proxy.ErrorSettings  `yaml:",inline"`

	RunOnPreflight bool `yaml:"run_on_preflight" place:"true" default:"true"` // false lets CORS preflights through unseen
}

// A Rule is one entry of rules:.
type Rule struct {
	authz.RuleSettings
	Headers proxy.RuleHeaderSettings `yaml:",inline"`
	Place   string                   `yaml:"-"` // file:line

	block *strict.Block
}

// Problem returns a mistake that was found after Load, with the place of the key that it is about.
func (r *Route) Problem(key, message string) error {
	m := r.block.Find(key).Mark
	return strict.Problem{m.File, m.Line, key + ": " + message}
}

// Problem returns a mistake that was found after Load.
func (r *Rule) Problem(key, message string) error {
	m := r.block.Find(key).Mark
	return strict.Problem{m.File, m.Line, key + ": " + message}
}

// A Prefix is a network; a bare address is the network of it alone.
type Prefix struct{ netip.Prefix }

// Wants says what a network looks like.
func (Prefix) Wants() string { return "an address or a network such as 10.0.0.0/8" }

// UnmarshalText reads 10.0.0.0/8 or 10.0.0.1.
func (p *Prefix) UnmarshalText(b []byte) error {
	text := string(b)
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		p.Prefix = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		return nil
	}
	network, err := netip.ParsePrefix(text)
	if a := network.Addr(); err == nil && a.Is4In6() && network.Bits() >= 96 { // clients' addresses are never written so
		network = netip.PrefixFrom(a.Unmap(), network.Bits()-96)
	}
	p.Prefix = network.Masked()
	return err
}
