package importer

import (
	"bytes"
	"cmp"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// convert makes the process file and the routes of all hosts.
func (s *apacheServer) convert() {
	s.setListeners()
	for _, h := range s.hosts {
		h.setOIDC()
	}
	shared := s.sharedOIDC()
	if shared != nil {
		s.Process.Set("oidc", shared)
	}
	for _, h := range s.hosts {
		h.addRoutes(shared != nil)
	}
}

// sharedOIDC returns the oidc block if it is the same for all hosts.
func (s *apacheServer) sharedOIDC() *Mapping {
	first := newFile("", s.hosts[0].oidc).Data
	for _, h := range s.hosts[1:] {
		if !bytes.Equal(first, newFile("", h.oidc).Data) {
			return nil
		}
	}
	return s.hosts[0].oidc
}

// setListeners sets listen: the addresses of Listen, or else those of the virtual hosts.
func (s *apacheServer) setListeners() {
	var listeners []*Mapping
	seen := map[string]bool{}
	add := func(address string, h *apacheHost) {
		address, ok := listenAddress(address)
		if !ok || seen[address] {
			return
		}
		seen[address] = true
		l := NewMapping().Set("address", address)
		if h = s.secureHost(address, h); h != nil {
			l.Set("tls", h.tls())
		}
		listeners = append(listeners, l)
	}
	for _, n := range s.nodes {
		if n.is("Listen") {
			add(n.arg(0), nil)
		}
	}
	if len(listeners) == 0 {
		for _, h := range s.hosts {
			for _, address := range h.addresses {
				add(address, h)
			}
		}
	}
	if len(listeners) > 0 {
		s.Process.Set("listen", listeners)
	}
}

// listenAddress returns host:port of an address of Apache: 443, *:443, 10.0.0.1:443 or [::]:443.
func listenAddress(text string) (string, bool) {
	if !strings.Contains(text, ":") {
		text = ":" + text
	}
	host, port, err := net.SplitHostPort(text)
	if n, wrong := strconv.Atoi(port); err != nil || wrong != nil || n < 1 || n > 65535 {
		return "", false
	}
	if host == "*" || host == "_default_" {
		host = ""
	}
	return net.JoinHostPort(host, port), true
}

// secureHost returns the host with TLS at an address, or nil. Other hosts there with other certificates are noted.
func (s *apacheServer) secureHost(address string, only *apacheHost) (found *apacheHost) {
	_, port, _ := net.SplitHostPort(address)
	for _, h := range s.hosts {
		if !h.hasTLS() || !h.hasPort(port) && h != only {
			continue
		}
		if found != nil && found.text("SSLCertificateFile") != h.text("SSLCertificateFile") {
			h.differs("SSLCertificateFile", "a listener has one certificate: write one with the names of all hosts, or tls: {acme: ...}")
		}
		found = cmp.Or(found, h)
	}
	return found
}

// hasPort reports whether one of the addresses of a virtual host has a port.
func (h *apacheHost) hasPort(port string) bool {
	return slices.ContainsFunc(h.addresses, func(a string) bool { return strings.HasSuffix(a, ":"+port) }) || len(h.addresses) == 0
}

// tls returns the TLS settings of a listener.
func (h *apacheHost) tls() *Mapping {
	tls := NewMapping().Set("cert_file", h.text("SSLCertificateFile"))
	if key := h.text("SSLCertificateKeyFile"); key != "" {
		tls.Set("key_file", key)
	} else {
		tls.Set("key_file", h.text("SSLCertificateFile"))
	}
	if words := h.words("SSLProtocol"); len(words) > 0 && !strings.Contains(strings.Join(words, " "), "TLSv1.2") && slices.ContainsFunc(words,
		func(w string) bool { return strings.TrimLeft(w, "+") == "TLSv1.3" }) {
		tls.Set("min_version", "1.3")
	}
	return tls
}

// addRoutes adds a route for each path that the host forwards, or one for all paths.
func (h *apacheHost) addRoutes(shared bool) {
	if len(h.proxies) == 0 {
		h.Notef(h.node.place, "the gate serves no files and runs no scripts: let Apache do it without this module, here at "+
			"http://127.0.0.1:8080")
		h.proxies = []apacheProxy{{"/", "http://127.0.0.1:8080/", h.node}}
	}
	for _, p := range h.proxies {
		if upstream := h.upstream(p); upstream != nil {
			h.addRoute(p, upstream, shared)
		}
	}
	if h.text("OIDCRedirectURI") != "" {
		h.differs("OIDCRedirectURI", "a logout is at oauth2/logout below the route's first path, and no longer at this address with ?logout=")
	}
}

// addRoute adds the route of a path.
func (h *apacheHost) addRoute(p apacheProxy, upstream *Mapping, shared bool) {
	route := NewMapping()
	if names := h.hostNames(); len(names) > 0 {
		route.Set("hosts", names)
	}
	if p.path != "/" {
		route.Set("paths", []string{p.path})
	}
	h.setUpstream(route, upstream)
	if h.preserve {
		route.Set("preserve_host", true)
	}
	if len(h.names) > 0 && h.scheme() == "https" && len(h.hostNames()) == 1 && !strings.HasPrefix(h.names[0], "*") {
		route.Set("public_url", "https://"+h.names[0])
	}
	document := NewMapping().Set("route", route)
	oidc := NewMapping()
	if !shared {
		oidc = &Mapping{pairs: slices.Clone(h.oidc.pairs)}
	}
	if redirect := h.redirectURI(p); redirect != "" {
		oidc.Set("redirect_uri", redirect)
	}
	if oidc.Len() > 0 {
		document.Set("oidc", oidc)
	}
	document.Set("rules", h.rules(p))
	h.AddRoute(h.routeName(p), document)
}

// routeName returns the name of a route: its host and path.
func (h *apacheHost) routeName(p apacheProxy) string {
	name := "all"
	if len(h.names) > 0 {
		name = h.names[0]
	}
	if p.path != "/" {
		name += p.path
	}
	return name
}

// hostNames returns the names of the host that a route can have.
func (h *apacheHost) hostNames() (all []string) {
	for _, name := range h.names {
		wild := strings.TrimPrefix(name, "*.")
		if name != "" && !slices.Contains(all, name) && !strings.ContainsAny(wild, "*?_/") {
			all = append(all, name)
		}
	}
	return all
}

// redirectURI returns the redirect URI of a route. The one of the source belongs to the route with the longest path that it is below.
func (h *apacheHost) redirectURI(p apacheProxy) string {
	logins, _ := h.kinds()
	text := h.text("OIDCRedirectURI")
	u, err := url.Parse(text)
	if !logins || text == "" || err != nil || strings.Contains(text, "${") {
		return ""
	}
	owner := ""
	for _, other := range h.proxies {
		if within(u.Path, other.path) && len(other.path) > len(owner) {
			owner = other.path
		}
	}
	if owner == p.path || owner == "" && p.path == h.proxies[0].path {
		return text
	}
	h.Notef(p.node.place, "logins that begin below %s end at %s/oauth2/callback: register this redirect URI, "+
		"too", p.path, strings.TrimSuffix(p.path, "/"))
	return ""
}

// setUpstream sets the upstream of a route, alone if it has no settings.
func (h *apacheHost) setUpstream(route, upstream *Mapping) {
	if upstream.Has("strip") {
		route.Set("strip_path", true)
		upstream = withoutKey(upstream, "strip")
	}
	if upstream.Len() == 1 && upstream.Has("url") {
		route.Set("upstream", upstream.Value("url"))
		return
	}
	route.Set("upstream", upstream)
}

// withoutKey returns a mapping without a key.
func withoutKey(m *Mapping, key string) *Mapping {
	return &Mapping{pairs: slices.DeleteFunc(slices.Clone(m.pairs), func(p *pair) bool { return p.key == key })}
}

// upstream returns the upstream of a path that is forwarded, with the key strip if its path is removed, or nil.
func (h *apacheHost) upstream(p apacheProxy) *Mapping {
	if socket, _, ok := strings.Cut(p.address, "|"); ok && strings.HasPrefix(socket, "unix:") {
		m := NewMapping().Set("url", socket)
		if p.path != "/" && !strings.HasSuffix(strings.TrimSuffix(p.address, "/"), p.path) {
			m.Set("strip", true)
		}
		return m
	}
	address := strings.NewReplacer("ws://", "http://", "wss://", "https://", "h2c://", "h2c://", "h2://", "https://").Replace(p.address)
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		h.Notef(p.node.place, "ProxyPass %s: the address isn't a URL that a route can have, and it is left out", p.path)
		return nil
	}
	switch u.Scheme {
	case "http", "https", "h2c":
		return h.pathOf(NewMapping(), p, u.Path, "url", []string{u.Scheme + "://" + u.Host})
	case "balancer":
		return h.balancer(p, u)
	}
	h.Notef(p.node.place, "ProxyPass %s: the gate speaks HTTP to upstreams, not %s: it is left out", p.path, u.Scheme)
	return nil
}

// pathOf adds the addresses of an upstream, with the path that stands in front of the rest of the request's path.
func (h *apacheHost) pathOf(m *Mapping, p apacheProxy, path, key string, origins []string) *Mapping {
	path = strings.TrimSuffix(path, "/")
	strip := path != strings.TrimSuffix(p.path, "/")
	for i := range origins {
		if strip {
			origins[i] += path
		}
	}
	if key == "url" {
		m.Set("url", origins[0])
	} else {
		m.Set(key, origins)
	}
	if strip && p.path != "/" {
		m.Set("strip", true)
	}
	return m
}

// balancer returns the upstream of the members of a balancer.
func (h *apacheHost) balancer(p apacheProxy, u *url.URL) *Mapping {
	var origins []string
	for _, n := range h.nodesOf("Proxy") {
		if !strings.EqualFold(strings.TrimSuffix(n.arg(0), "/"), "balancer://"+u.Host) {
			continue
		}
		for _, member := range n.children {
			if at := parseHTTP(member.arg(0)); member.is("BalancerMember") && at != nil {
				origins = append(origins, at.Scheme+"://"+at.Host)
			}
		}
	}
	if len(origins) == 0 {
		h.Notef(p.node.place, "ProxyPass %s: no BalancerMember of it is known, and it is left out", p.path)
		return nil
	}
	h.Notef(p.node.place, "ProxyPass %s: weights and stickiness of the balancer aren't imported: load_balancing and weight say them", p.path)
	return h.pathOf(NewMapping(), p, u.Path, "targets", origins)
}

// nodesOf returns the sections of a kind, of the server and of this host.
func (h *apacheHost) nodesOf(name string) (all []*apacheNode) {
	for _, n := range append(slices.Clone(h.nodes), h.node.children...) {
		if n.section && n.is(name) {
			all = append(all, n)
		}
	}
	return all
}

// rules returns the rules of a route: a section of a longer path comes before one of a shorter path.
func (h *apacheHost) rules(p apacheProxy) (rules []*Mapping) {
	last := h.policy(p.path).rule(h.conditions(p.path))
	for _, path := range h.pathsOf(p) {
		rule := h.policy(path).rule(h.conditions(path))
		rules = append(rules, &Mapping{pairs: append([]*pair{{key: "paths", value: []string{path}}}, rule.pairs...)})
	}
	return append(rules, last)
}

// conditions returns what every request below a path must satisfy.
func (h *apacheHost) conditions(path string) string {
	var all []string
	for _, e := range h.exclusions {
		if strings.HasPrefix(path, e.text) || strings.HasPrefix(e.text, path) {
			all = append(all, e.allow)
		}
	}
	return celAnd(all...)
}

// pathsOf returns the paths of sections that are below the path of a route and not below that of another one, the longest first.
func (h *apacheHost) pathsOf(p apacheProxy) (all []string) {
	for _, s := range h.sections {
		other := slices.ContainsFunc(h.proxies, func(o apacheProxy) bool { return len(o.path) > len(p.path) && within(s.path, o.path) })
		if within(s.path, p.path) && s.path != p.path && !other && !slices.Contains(all, s.path) {
			all = append(all, s.path)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	return all
}

// policy returns who may request a path: the sections around it are merged in their order, folders first.
func (h *apacheHost) policy(path string) *apachePolicy {
	logins, tokens := h.kinds()
	policy := &apachePolicy{unknown: h.unknown, mixed: logins && tokens, onAnonym: h.text("OIDCUnAuthAction")}
	for _, s := range h.sections {
		if within(path, s.path) {
			policy.merge(s, h.requirement())
		}
	}
	return policy
}

// requirement returns what turns the Require directives of the host into expressions.
func (h *apacheHost) requirement() *apacheRequirement {
	logins, tokens := h.kinds()
	user, suffix, named := h.remoteUser()
	r := &apacheRequirement{result: h.Result, user: user, named: named, hidden: h.isHidden, sets: "[claims]",
		filtered: h.text("OIDCFilterClaimsExpr")+h.text("OIDCUserInfoClaimsExpr") != ""}
	if logins {
		r.sets = claimSets{userinfo: true, token: tokens}.names()
	}
	if suffix {
		issuer, _ := h.oidc.Value("issuer").(string)
		r.issuer = "@" + strings.TrimPrefix(issuer, "https://")
	}
	return r
}
