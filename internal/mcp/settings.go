// Package mcp has what a route needs to be a server of the Model Context Protocol (MCP, revisions 2025-06-18, 2025-11-25 and 2026-07-28)
// besides OAuth: its settings, which pages of browsers may call it, and which tool a request calls.
package mcp

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/check"
)

// Settings are the mcp block of a route.
type Settings struct {
	// Scopes are what the server offers: every call needs all of them unless its rule has scopes_required, and a client that asks for no
	// scope gets them.
	Scopes []string `yaml:"scopes"`

	// AuthorizationServer is the server that issues the tokens: the built-in one, or the issuer of the oidc block.
	AuthorizationServer string `yaml:"authorization_server" default:"gate" enum:"gate,provider"`

	// ClientHosts are the hosts whose metadata documents clients may have as their client_id: a host with any port, or host:port. The word
	// any, alone, accepts every host.
	ClientHosts []string `yaml:"client_hosts" default:"[claude.ai, chatgpt.com, vscode.dev, cursor.com, grok.com, zed.dev]"`

	Registration bool          `yaml:"registration" default:"false"`  // clients may register themselves (RFC 7591)
	Origins      []string      `yaml:"origins"`                       // whose pages may call the server, besides its own
	Recheck      time.Duration `yaml:"recheck" default:"1h" min:"1s"` // how often a refresh asks the provider about the user
}

// A Route is a route as an MCP server: its settings, and what else of the configuration counts for it. The zero Route is none.
type Route struct {
	Settings
	auth.Resource
	On       bool
	Known    []string // the scopes that a client may get
	Hosts    bool     // the route has hosts, or a public_url
	Loopback bool     // every listener is on a loopback address
}

// ByGate reports whether the built-in authorization server issues the tokens. It is false for nil.
func (s *Settings) ByGate() bool { return s != nil && s.AuthorizationServer == "gate" }

// ByGate reports whether the route is an MCP server for which the built-in authorization server issues the tokens.
func (r *Route) ByGate() bool { return r.On && r.Settings.ByGate() }

// TakesClient reports whether a client may have a metadata document at an https URL as its client_id.
func (s *Settings) TakesClient(document *url.URL) bool {
	return slices.ContainsFunc(s.ClientHosts, func(allowed string) bool {
		return allowed == anyHost || allowed == document.Host || allowed == document.Hostname() ||
			document.Port() == "" && allowed == document.Host+":443"
	})
}

const anyHost = "any"

// Check reports what is wrong with the settings, by key.
func (s *Settings) Check(c check.Checker) {
	c.Must("scopes", len(s.Scopes) > 0, "it is missing: write what clients may be allowed here, such as [tools]")
	c.Each("scopes", s.Scopes, check.Scope)
	c.Must("client_hosts", len(s.ClientHosts) == 1 || !slices.Contains(s.ClientHosts, anyHost), "any accepts every host: write it alone")
	c.Each("client_hosts", s.ClientHosts, checkClientHost)
	c.Each("origins", s.Origins, checkOrigin)
	c.Must("registration", !s.Registration || s.ByGate(),
		"the provider registers clients itself: take it out, or write authorization_server: gate")
}

// checkClientHost returns an error unless a text is a host or host:port.
func checkClientHost(text string) error {
	host := text
	if strings.Contains(text, "*") {
		return fmt.Errorf("patterns aren't known here: write each host, or any")
	}
	if h, port, err := net.SplitHostPort(text); err == nil {
		host = h
		if n, err := net.LookupPort("tcp", port); err != nil || n == 0 {
			return fmt.Errorf("%s isn't a port", port)
		}
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
		return nil
	}
	return check.Host(host)
}

// checkOrigin returns an error unless a text is an origin as browsers send it.
func checkOrigin(text string) error {
	u, err := check.ParseURL(text, "https", "http")
	switch {
	case err != nil:
		return err
	case u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		return fmt.Errorf("expected a scheme, a host and perhaps a port, such as %s://%s", u.Scheme, u.Host)
	case text != strings.ToLower(text):
		return fmt.Errorf("browsers send origins in lower case: write %s", strings.ToLower(text))
	}
	return nil
}
