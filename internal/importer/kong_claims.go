package importer

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sallyport/internal/strict"
)

// A claim is a path of a host that a route of Kong has, for some methods or requests.
type claim struct {
	route     *entity
	methods   []string
	condition string // an expression; empty: all requests
	policy    *policy
	prefix    string
	strip     bool
	lower     *claim // see below
	level     int    // Kong's order of routes: the highest level that takes a request comes before the longest path
	order     int    // of the routes in the file
}

// always reports whether the claim has all requests for the path.
func (c *claim) always() bool { return len(c.methods) == 0 && c.condition == "" }

// same reports whether requests of two claims are treated alike, so that one route of the gate can serve both.
func (c *claim) same(other *claim) bool {
	return c.sameUpstream(other) && sameProtection(c, other) && c.policy.condition == other.policy.condition &&
		c.policy.required == other.policy.required
}

// sameUpstream reports whether requests of two claims are forwarded alike.
func (c *claim) sameUpstream(other *claim) bool {
	return c.route.service == other.route.service && c.strip == other.strip &&
		c.route.text("preserve_host") == other.route.text("preserve_host") && c.policy.bodyLimit == other.policy.bodyLimit
}

// opens reports whether requests pass by a rule with auth: off.
func (c *claim) opens() bool { return c.policy.open() && c.policy.condition == "" && c.condition == "" }

// A group is a set of hosts and paths that the same routes of Kong claim. It becomes one route of the gate.
type group struct {
	name   string
	hosts  []string // empty: all
	paths  []string
	claims []*claim // the highest rank first
}

// importRoutes adds the routes of the gate.
func (k *kong) importRoutes() {
	byPlace := map[string][]*claim{} // by host and path
	var order []string
	for n, route := range k.all["routes"] {
		if k.leftOut(route) {
			continue
		}
		for _, place := range k.claim(route, n, byPlace) {
			if len(byPlace[place]) == 1 {
				order = append(order, place)
			}
		}
	}
	inherit(order, byPlace)
	groups := groupsOf(order, byPlace)
	k.noteBeginnings(groups)
	k.shareOIDC(groups)
	for _, g := range groups {
		k.addGroup(g)
	}
}

// inherit adds claims to the places below theirs that they have in Kong as well, because their level is higher.
func inherit(order []string, byPlace map[string][]*claim) {
	inherited := map[string][]*claim{}
	for _, place := range order {
		host, path, _ := strings.Cut(place, " ")
		least := slices.MinFunc(byPlace[place], func(a, b *claim) int { return a.level - b.level }).level
		for _, above := range order {
			aboveHost, prefix, _ := strings.Cut(above, " ")
			if above == place || !coversHost(aboveHost, host) || !covers(prefix, path) {
				continue
			}
			for _, c := range byPlace[above] {
				if c.level > least && !slices.Contains(byPlace[place], c) {
					inherited[place] = append(inherited[place], c.below())
				}
			}
		}
	}
	for place, list := range inherited {
		byPlace[place] = append(byPlace[place], list...)
	}
}

// below returns the claim for a longer path. There the gate would remove more of the path than Kong does, so such requests are refused.
func (c *claim) below() *claim {
	if !c.strip {
		return c
	}
	if c.lower == nil {
		lower := *c
		lower.policy = &policy{closed: true}
		c.lower = &lower
	}
	return c.lower
}

// coversHost reports whether a host of a route covers another one. An empty host is every host.
func coversHost(host, other string) bool {
	suffix, wild := strings.CutPrefix(host, "*")
	return host == "" || host == other || wild && strings.HasSuffix(other, suffix)
}

// leftOut reports whether a route has no HTTP requests, or is switched off with its service.
func (k *kong) leftOut(route *entity) bool {
	protocols := texts(route.get("protocols"))
	streams := func(p string) bool { return slices.Contains([]string{"tcp", "tls", "tls_passthrough", "udp"}, p) }
	switch {
	case len(protocols) > 0 && !slices.ContainsFunc(protocols, func(p string) bool { return !streams(p) }):
		k.Notef(route.at("protocols"), "the route %s is left out: the gate forwards HTTP, not %s", route.name(), strings.Join(protocols, " and "))
		return true
	case route.service != nil && route.service.text("enabled") == "false":
		k.Notef(route.Mark, "the route %s is left out, because its service is switched off", route.name())
		return true
	case len(protocols) > 0 && !slices.Contains(protocols, "http") && slices.Contains(protocols, "https"):
		k.Notef(route.at("protocols"),
			"Kong refuses or redirects plain http here; the gate serves what its listeners accept: write listen: with tls:")
	}
	return false
}

// claim adds the claims of a route, and returns their places.
func (k *kong) claim(route *entity, n int, byPlace map[string][]*claim) (places []string) {
	hosts, conditions, p := k.hostsOf(route), k.conditionsOf(route), k.policyOf(route)
	strip := cmp.Or(route.text("strip_path"), "true") != "false"
	own := map[string]*claim{} // by prefix
	for _, match := range k.pathsOf(route) {
		c := &claim{route: route, methods: texts(route.get("methods")), policy: p, prefix: match.prefix, level: levelOf(route, match), order: n,
			condition: both(match.condition, conditions), strip: strip && match.prefix != "/"}
		if strip && match.whole {
			c.condition = never
			k.Notef(route.at("paths"), "strip_path removes all that the regular expression matches, and the gate removes prefixes: "+
				"requests are refused; write a prefix, or strip_path: false")
		}
		c.closeUnknown()
		if first := own[match.prefix]; first != nil { // two paths with one prefix
			first.merge(c)
			continue
		}
		own[match.prefix] = c
		for _, host := range hosts {
			place := host + " " + match.prefix
			byPlace[place] = append(byPlace[place], c)
			places = append(places, place)
		}
	}
	return places
}

// closeUnknown makes a claim that no expression describes one for all requests, which are refused. So none of its requests can get to a
// route
// that requires less.
func (c *claim) closeUnknown() {
	if c.condition == never {
		c.condition, c.policy = "", &policy{closed: true}
	}
}

// merge adds the requests of a claim of the same route and prefix.
func (c *claim) merge(other *claim) {
	if other.policy.closed {
		c.policy = other.policy
	}
	c.condition, c.level = either(c.condition, other.condition), max(c.level, other.level)
}

// either returns an expression that is true if one of two is. An empty one is true.
func either(a, b string) string {
	switch {
	case a == "" || b == "":
		return ""
	case a == never, a == b:
		return b
	case b == never:
		return a
	}
	return "(" + a + ") || (" + b + ")"
}

// hostsOf returns the hosts of a route, or an empty one for all hosts. Kong leaves ports of hosts out when it compares them.
func (k *kong) hostsOf(route *entity) []string {
	var hosts []string
	for _, h := range texts(route.get("hosts")) {
		name, port, found := strings.Cut(h, ":")
		if found {
			k.Notef(route.at("hosts"), "the port %s of the host %s isn't compared: the gate chooses routes by the name", port, name)
		}
		if name = strings.ToLower(name); !slices.Contains(hosts, name) {
			hosts = append(hosts, name)
		}
	}
	if len(hosts) == 0 {
		return []string{""}
	}
	return hosts
}

// levelOf returns the level of a path of a route: Kong prefers the route with more kinds of conditions, then regular expressions, and of
// these
// the one with the highest regex_priority.
func levelOf(route *entity, match pathMatch) int {
	level := kindsOf(route) * 10_000
	if match.expression {
		priority, _ := strconv.Atoi(route.text("regex_priority"))
		level += 5000 + max(0, min(priority, 4999))
	}
	return level
}

// before reports whether Kong prefers a claim to another one of the same path.
func (c *claim) before(other *claim) bool {
	return c.level > other.level || c.level == other.level && c.order < other.order
}

// kindsOf returns the number of kinds of conditions that a route has.
func kindsOf(route *entity) (n int) {
	for _, key := range []string{"hosts", "methods", "headers", "snis", "sources", "destinations", "paths"} {
		if v := route.get(key); v != nil && len(v.Items)+len(v.Pairs) > 0 {
			n++
		}
	}
	return n
}

// groupsOf puts the places with the same claims together: first the paths of each set of hosts.
func groupsOf(order []string, byPlace map[string][]*claim) (groups []*group) {
	hosts, firsts := map[string][]string{}, []string{} // the hosts by claims and path
	for _, place := range order {
		slices.SortStableFunc(byPlace[place], func(a, b *claim) int {
			return cmp.Or(b.level-a.level, a.order-b.order)
		})
		host, path, _ := strings.Cut(place, " ")
		key := claimsKey(byPlace[place]) + " " + path
		if hosts[key] == nil {
			firsts = append(firsts, place)
		}
		hosts[key] = append(hosts[key], host)
	}
	known := map[string]*group{}
	for _, place := range firsts {
		_, path, _ := strings.Cut(place, " ")
		list := byPlace[place]
		all := hosts[claimsKey(list)+" "+path]
		key := claimsKey(list) + fmt.Sprintf(" %q", all)
		g := known[key]
		if g == nil {
			g = &group{name: list[0].route.name(), claims: list, hosts: all}
			if all[0] == "" {
				g.hosts = nil
			}
			known[key] = g
			groups = append(groups, g)
		}
		g.paths = append(g.paths, path)
	}
	return groups
}

// claimsKey returns a text that is equal for equal claims: of the same routes with the same conditions.
func claimsKey(list []*claim) string {
	var key strings.Builder
	for _, c := range list {
		fmt.Fprintf(&key, "%p %p %q %t;", c.route, c.policy, c.condition, c.strip)
	}
	return key.String()
}

// main returns the claim that the route of the gate serves: the one that has all requests, or else the first of its own. If that one is
// open,
// and another one with the same service isn't, it is the other one, because a rule can open the rest.
func (g *group) main() *claim {
	main := g.claims[0]
	if n := slices.IndexFunc(g.claims, (*claim).always); n >= 0 {
		main = g.claims[n]
	} else if n := slices.IndexFunc(g.claims, g.has); n >= 0 {
		main = g.claims[n]
	}
	if main.opens() {
		for _, c := range g.claims {
			if !c.policy.open() && !c.policy.closed && c.sameUpstream(main) && len(c.methods) > 0 {
				return c
			}
		}
	}
	return main
}

// has reports whether a claim is for a path of the group, and not inherited from a shorter one.
func (g *group) has(c *claim) bool { return slices.Contains(g.paths, c.prefix) }

// mark returns the place of the group in the source.
func (g *group) mark() strict.Mark { return g.main().route.Mark }
