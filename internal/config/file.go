package config

import (
	"fmt"
	"net/netip"
	"time"

	"gopkg.in/yaml.v3"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
	"sallyport/internal/flow"
	"sallyport/internal/proxy"
)

// A File is the configuration of one process.
type File struct {
	Process
	Routes   []Route
	warnings []Problem
}

// Process are the keys of the process, beside routes.
type Process struct {
	Listen         []Listen `yaml:"listen" default:"[127.0.0.1:8000]" min:"1"`
	Admin          Admin    `yaml:"admin"`
	TrustedProxies []Prefix `yaml:"trusted_proxies"` // whose X-Forwarded-* are believed
	Log            Log      `yaml:"log"`
	Limits         Limits   `yaml:"limits"`
}

// Listen is one address that clients connect to.
type Listen struct {
	Address string `yaml:"address" scalar:"true" required:"true"` // host:port
	TLS     *TLS   `yaml:"tls"`
}

// TLS says how a listener ends TLS.
type TLS struct {
	CertFile     string `yaml:"cert_file" required:"true"`
	KeyFile      string `yaml:"key_file" required:"true"`
	ClientCAFile string `yaml:"client_ca_file"`
	ClientAuth   string `yaml:"client_auth" default:"none" enum:"none,request,require,verify_if_given,require_and_verify"`
}

// Admin is the listener for health and readiness.
type Admin struct {
	Listen string      `yaml:"listen" default:"127.0.0.1:9000"` // "off": none
	Token  auth.Secret `yaml:"token"`
}

// Log says what is logged.
type Log struct {
	Level  string `yaml:"level" default:"info" enum:"debug,info,warn,error"`
	Format string `yaml:"format" default:"json" enum:"json,text"`
	Access bool   `yaml:"access" default:"true"` // a line for each request
}

// Limits bound what a client can make the process hold.
type Limits struct {
	ReadHeaderTimeout time.Duration `yaml:"read_header_timeout" default:"10s" min:"1ms"`
	IdleTimeout       time.Duration `yaml:"idle_timeout" default:"120s" min:"1ms"`
	MaxHeaderBytes    int           `yaml:"max_header_bytes" default:"65536" min:"4096"`
	DrainTimeout      time.Duration `yaml:"drain_timeout" default:"30s"`
}

// A Route is one route: file or list entry.
type Route struct {
	Name    string // the file's base name, or route-N
	Route   proxy.RouteSettings
	OIDC    OIDC
	HasOIDC bool
	Rules   []Rule

	read  *reader
	route block
	oidc  block
}

// OIDC is the oidc: block.
type OIDC struct {
	Flow    flow.Settings        `yaml:",inline"`
	Authz   authz.Settings       `yaml:",inline"`
	Headers proxy.HeaderSettings `yaml:",inline"`
	Errors  proxy.ErrorSettings  `yaml:",inline"`
}

// A Rule is one entry of rules:.
type Rule struct {
	authz.RuleSettings
	Place string // file:line

	block block
}

// Problem is a mistake that was found later, at a key of the route.
func (r *Route) Problem(key, text string) error {
	n := r.oidc.keys[key]
	if n == nil {
		n = r.route.at(key)
	}
	return Problem{File: r.read.files[n], Line: n.Line, Text: fmt.Sprintf("%s: %s", key, text)}
}

// Place is file:line of the route.
func (r *Route) Place() string { return r.read.place(r.route.place) }

func (r *reader) place(n *yaml.Node) string { return fmt.Sprintf("%s:%d", r.files[n], n.Line) }

// A Prefix is a network; a bare address is the network of it alone.
type Prefix struct{ netip.Prefix }

// UnmarshalText reads 10.0.0.0/8 or 10.0.0.1.
func (p *Prefix) UnmarshalText(b []byte) error {
	if a, err := netip.ParseAddr(string(b)); err == nil {
		p.Prefix = netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen())
		return nil
	}
	var err error
	p.Prefix, err = netip.ParsePrefix(string(b))
	return err
}
