package forwardauth

import (
	"embed"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"sallyport/internal/proxy"
)

//go:embed snippets/*
var snippetFiles embed.FS

var snippets = template.Must(template.New("").Funcs(template.FuncMap{
	"lower": strings.ToLower, "join": strings.Join, "variable": variable, "hasPrefix": strings.HasPrefix,
	"wildcard": isWildcard, "suffix": suffix, "hostRule": hostRule,
}).ParseFS(snippetFiles, "snippets/*"))

// A Snippet is a part of a proxy's configuration with which it asks the gate.
type Snippet struct {
	Proxy     string
	Path      string // of the questions
	Gate      string // host:port at which the proxy reaches the gate
	Host      string // of Gate
	Port      string
	Scheme    string // http or https
	Names     []string
	Responses []string
	Sites     []site
	OwnPaths  []string // of all sites
	Cookies   []string
}

// A site has the gate's own paths on the hosts of a route.
type site struct {
	Route string
	Hosts []string // empty: every host
	Paths []string
}

// NewSnippet returns the snippet for a listener with the settings. address is that of the listener, overTLS whether it has tls.
func NewSnippet(s Settings, address string, overTLS bool, gate *proxy.Gate) (*Snippet, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	n := &Snippet{
		Proxy: s.Proxy, Path: s.Path, Gate: net.JoinHostPort(host, port), Host: host, Port: port, Scheme: "http",
		Names:     slices.DeleteFunc(slices.Clone(gate.PermitNames()), dialects[s.Proxy].isOwn),
		Responses: gate.ResponseNames(), Cookies: gate.CookieNames(),
	}
	if overTLS {
		n.Scheme = "https"
	}
	for _, own := range gate.OwnPaths() {
		i := slices.IndexFunc(n.Sites, func(s site) bool { return s.Route == own.Route })
		if i < 0 {
			i, n.Sites = len(n.Sites), append(n.Sites, site{Route: own.Route, Hosts: own.Hosts})
		}
		n.Sites[i].Paths = append(n.Sites[i].Paths, own.Path)
		if !slices.Contains(n.OwnPaths, own.Path) {
			n.OwnPaths = append(n.OwnPaths, own.Path)
		}
	}
	return n, nil
}

// Write writes the configuration in the proxy's language.
func (s *Snippet) Write(w io.Writer) error {
	if err := snippets.ExecuteTemplate(w, s.Proxy, s); err != nil {
		return fmt.Errorf("snippet for %s: %w", s.Proxy, err)
	}
	return nil
}

func isWildcard(host string) bool { return strings.HasPrefix(host, "*.") }

// suffix returns the end of the hosts of a wildcard: .example.com for *.example.com.
func suffix(wildcard string) string { return strings.TrimPrefix(wildcard, "*") }

// hostRule returns Traefik's rule for a host of a route.
func hostRule(host string) string {
	if isWildcard(host) {
		return "HostRegexp(`^.+" + regexp.QuoteMeta(suffix(host)) + "$`)"
	}
	return "Host(`" + host + "`)"
}

// variable returns a header's name as a part of a variable's name.
func variable(name string) string { return strings.ReplaceAll(strings.ToLower(name), "-", "_") }
