package importer

import (
	"errors"
	"net/url"
	"path"
	"slices"
	"strings"
)

// modAuthOpenIDC imports Apache's configuration with mod_auth_openidc: a virtual host becomes routes, and its sections rules.
func modAuthOpenIDC(sources []Source) (*Result, error) {
	s := &apacheServer{Result: NewResult(), defines: map[string]string{}}
	for _, source := range sources {
		nodes, err := parseApache(source, s.defines)
		if err != nil {
			return nil, err
		}
		s.files = append(s.files, &apacheFile{name: source.Name, nodes: nodes})
	}
	s.joinFiles()
	s.readHosts()
	if len(s.hosts) == 0 {
		return nil, errors.New("no virtual host with OIDC directives, AuthType or ProxyPass was found: name the file of the site, such as " +
			"/etc/apache2/sites-enabled/app.conf, and that of the module, such as /etc/apache2/mods-enabled/auth_openidc.conf")
	}
	s.convert()
	return s.Result, nil
}

// An apacheServer is Apache's configuration while it is imported.
type apacheServer struct {
	*Result
	files   []*apacheFile
	defines map[string]string
	nodes   []*apacheNode
	hosts   []*apacheHost
}

// An apacheFile is a file that is imported.
type apacheFile struct {
	name     string
	nodes    []*apacheNode
	included bool // another one includes it
	open     bool // it is being included
}

// joinFiles makes one list of directives of the files that no other one includes.
func (s *apacheServer) joinFiles() {
	flat := map[*apacheFile][]*apacheNode{}
	for _, f := range s.files {
		if !f.included {
			flat[f] = s.flattenFile(f)
		}
	}
	for _, f := range s.files {
		if !f.included {
			s.nodes = append(s.nodes, flat[f]...)
		}
	}
}

// flattenFile returns the directives of a file, which it doesn't include in itself.
func (s *apacheServer) flattenFile(f *apacheFile) []*apacheNode {
	f.open = true
	defer func() { f.open = false }()
	return s.flatten(f.nodes)
}

// include returns the directives of the files that an Include names, if they are imported, too. If not, what they restrict isn't known.
func (s *apacheServer) include(n *apacheNode) (all []*apacheNode) {
	found := false
	for _, f := range s.files {
		if match, _ := path.Match(path.Base(n.arg(0)), path.Base(f.name)); match && !f.open {
			found, f.included = true, true
			all = append(all, s.flattenFile(f)...)
		}
	}
	if found && !strings.ContainsAny(n.raw, "*?[") {
		return all
	}
	s.Notef(n.place, "%s %s: name the files, too, when you import, in place of patterns. What they restrict isn't known, so what "+
		"would be open needs a login",
		n.name, n.raw)
	return append(all, &apacheNode{name: unknownMark, place: n.place})
}

// unknownMark is the name of a node that stands for directives that aren't known.
const unknownMark = "unknown"

// flatten returns directives with the contents of IfModule, as if every module were there, of IfDefine where the name is known, and of
// files.
func (s *apacheServer) flatten(nodes []*apacheNode) (all []*apacheNode) {
	for _, n := range nodes {
		if n.section {
			copied := *n // a file may be included several times
			copied.children = s.flatten(n.children)
			n = &copied
		}
		_, defined := s.defines[strings.TrimPrefix(n.arg(0), "!")]
		switch negated := strings.HasPrefix(n.arg(0), "!"); {
		case n.is("IfModule") && negated, n.is("IfDefine") && negated && defined:
		case n.is("IfModule"), n.is("IfDefine") && defined != negated && (defined || negated):
			all = append(all, n.children...)
		case n.is("IfDefine"):
			s.Notef(n.place, "<IfDefine %s> is left out, because no Define sets it", n.raw)
			all = append(all, closedParts(n.children)...)
		case n.is("Include", "IncludeOptional"):
			all = append(all, s.include(n)...)
		default:
			all = append(all, n)
		}
	}
	return all
}

// closedParts returns what closes what directives restrict that aren't imported: their sections, or what is around them.
func closedParts(nodes []*apacheNode) (all []*apacheNode) {
	for _, n := range nodes {
		switch {
		case !judges(n) || onlyOpens([]*apacheNode{n}) || onlyOpens(n.children) && n.section:
		case n.section && !n.is("RequireAll", "RequireAny", "RequireNone"):
			closed := *n
			closed.children = []*apacheNode{{name: closedMark, place: n.place}}
			all = append(all, &closed)
		default:
			all = append(all, &apacheNode{name: closedMark, place: n.place})
		}
	}
	return all
}

// readHosts makes the hosts. The server itself is one if it has anything that virtual hosts don't have.
func (s *apacheServer) readHosts() {
	var global []*apacheNode
	for _, n := range s.nodes {
		if !n.is("VirtualHost") {
			global = append(global, n)
		}
	}
	for _, n := range s.nodes {
		if n.is("VirtualHost") {
			s.addHost(n, append(slices.Clone(global), n.children...))
		}
	}
	if len(s.hosts) == 0 {
		server := &apacheNode{name: "server"}
		if len(global) > 0 {
			server.place = global[0].place
		}
		s.addHost(server, global)
	}
}

// addHost adds a host, unless there is nothing to protect or to forward in it.
func (s *apacheServer) addHost(n *apacheNode, nodes []*apacheNode) {
	h := &apacheHost{apacheServer: s, node: n, addresses: n.args, settings: map[string]*apacheNode{}}
	for _, d := range nodes {
		h.readDirective(d)
	}
	h.readLocationProxies(nodes)
	if len(h.proxies) == 0 && !usesOIDC(nodes) {
		if n.section {
			s.Notef(n.place, "the virtual host has neither ProxyPass nor AuthType openid-connect, and is left out")
		}
		return
	}
	for _, d := range nodes {
		if d.section {
			h.addSection(d)
		} else if d.name == closedMark {
			h.close("/", d)
		}
	}
	h.claims = requiredClaims(nodes)
	s.hosts = append(s.hosts, h)
}

// readDirective reads a directive of a host.
func (h *apacheHost) readDirective(n *apacheNode) {
	switch {
	case n.section:
	case n.name == unknownMark:
		h.unknown = true
	case n.is("ServerName"):
		h.names = append([]string{hostOf(n.arg(0))}, h.names...)
	case n.is("ServerAlias"):
		for _, name := range n.args {
			h.names = append(h.names, hostOf(name))
		}
	case n.is("DocumentRoot"):
		h.root = n.arg(0)
	case n.is("Alias") && len(n.args) == 2:
		h.aliases = append(h.aliases, [2]string{n.args[0], n.args[1]})
	case n.is("ProxyPreserveHost"):
		h.preserve = strings.EqualFold(n.arg(0), "on")
	case n.is("RequestHeader"):
		h.headers = append(h.headers, n)
	case n.is("ProxyPass", "ProxyPassMatch"):
		h.addProxy(n, n.arg(0), n.arg(1))
	default:
		h.setSetting(n)
	}
}

// setSetting keeps a directive of the module, of TLS and of the listeners. The last one counts.
func (h *apacheHost) setSetting(n *apacheNode) {
	lower := strings.ToLower(n.name)
	switch {
	case strings.HasPrefix(lower, "oidc"), strings.HasPrefix(lower, "ssl"):
		h.settings[lower] = n
	case n.is("RewriteRule", "Redirect", "RedirectMatch", "RewriteCond", "Header", "ErrorDocument", "ProxyTimeout", "SetEnvIf",
		"AllowOverride"):
		h.Notef(n.place, "%s isn't imported", n.name)
	}
}

// hostOf returns the host of a name such as https://app.example.com:443.
func hostOf(text string) string {
	if u := parseHTTP(text); u != nil {
		return strings.ToLower(u.Hostname())
	}
	host, _, _ := strings.Cut(text, ":")
	return strings.ToLower(host)
}

// An apacheProxy is a path that is forwarded.
type apacheProxy struct {
	path    string // segments
	address string
	node    *apacheNode
}

// addProxy adds a path that is forwarded. The path ! and patterns aren't.
func (h *apacheHost) addProxy(n *apacheNode, path, address string) {
	trimmed := "/" + strings.Trim(path, "/")
	switch {
	case n.is("ProxyPassMatch"):
		h.Notef(n.place, "ProxyPassMatch isn't imported: its paths lead to another upstream, or are 404")
	case !plainPath(trimmed):
		h.Notef(n.place, "ProxyPass %s: a route can't have such a path, and it is left out", path)
	case address == "!":
		h.Notef(n.place, "ProxyPass %s !: Apache serves this path itself, and the gate can't: it is closed", path)
		h.close(trimmed, n)
	case !slices.ContainsFunc(h.proxies, func(p apacheProxy) bool { return p.path == trimmed }): // the first one counts
		h.proxies = append(h.proxies, apacheProxy{trimmed, address, n})
	}
}

// readLocationProxies adds the ProxyPass directives in Location sections, whose path is that of the section.
func (h *apacheHost) readLocationProxies(nodes []*apacheNode) {
	for _, n := range nodes {
		if !n.is("Location") {
			continue
		}
		for _, child := range n.children {
			switch {
			case child.is("ProxyPass") && len(child.args) > 0:
				h.addProxy(child, n.arg(0), child.arg(0))
			case child.is("RequestHeader"):
				h.headers = append(h.headers, child)
			}
		}
	}
}

// scheme returns https if the host has TLS, or its redirect URI is one of https.
func (h *apacheHost) scheme() string {
	if h.hasTLS() {
		return "https"
	}
	if u, err := url.Parse(h.text("OIDCRedirectURI")); err == nil && u.Scheme != "" {
		return u.Scheme
	}
	return "http"
}

// text returns the first argument of a directive, or "".
func (h *apacheHost) text(name string) string {
	if n := h.settings[strings.ToLower(name)]; n != nil {
		return n.arg(0)
	}
	return ""
}

// on returns the value of a switch, or its default.
func (h *apacheHost) on(name string, byDefault bool) bool {
	switch strings.ToLower(h.text(name)) {
	case "on", "true", "1":
		return true
	case "off", "false", "0":
		return false
	}
	return byDefault
}

func (h *apacheHost) hasTLS() bool { return h.on("SSLEngine", false) }

// differs notes something about a directive that is set.
func (h *apacheHost) differs(name, format string, args ...any) {
	if n := h.settings[strings.ToLower(name)]; n != nil {
		h.Notef(n.place, n.name+": "+format, args...)
	}
}
