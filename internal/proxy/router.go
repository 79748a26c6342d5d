package proxy

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/check"
)

// A tree finds values by path prefixes of whole segments: /admin is a prefix of /admin/x, but not of /administrator.
type tree[T any] struct {
	children map[string]*tree[T]
	values   []T // of this prefix, in the order of add
}

func (t *tree[T]) add(prefix string, v T) {
	for segment := range strings.SplitSeq(strings.Trim(prefix, "/"), "/") {
		if segment == "" {
			break
		}
		if t.children == nil {
			t.children = map[string]*tree[T]{}
		}
		next := t.children[segment]
		if next == nil {
			next = &tree[T]{}
			t.children[segment] = next
		}
		t = next
	}
	t.values = append(t.values, v)
}

// each calls f with the values of every prefix of path, the shortest first.
func (t *tree[T]) each(path string, f func([]T)) {
	rest := strings.TrimPrefix(path, "/")
	for {
		if len(t.values) > 0 {
			f(t.values)
		}
		if t.children == nil || rest == "" {
			return
		}
		var segment string
		segment, rest, _ = strings.Cut(rest, "/")
		next := t.children[segment]
		if next == nil {
			return
		}
		t = next
	}
}

// A virtualHost has the routes and endpoints of one configured host.
type virtualHost struct {
	routes    tree[*route]
	endpoints map[string]*boundEndpoint // by exact path
}

// A boundEndpoint is an endpoint of a flow and the flow's route.
type boundEndpoint struct {
	auth.Endpoint
	route *route
}

// A router finds the route of a request. An exact host precedes wildcards, a longer wildcard a shorter one, and both the routes for any
// host. Among the routes of a host, the longest path is chosen.
type router struct {
	exact    map[string]*virtualHost
	wildcard []wildcard // the longest suffix first
	any      *virtualHost
	own      map[string]*boundEndpoint // endpoints of the process, on every host, by path
}

type wildcard struct {
	suffix string // ".example.com"
	*virtualHost
}

func newRouter(routes []*route, own []boundEndpoint) *router {
	r := &router{exact: map[string]*virtualHost{}, own: map[string]*boundEndpoint{}}
	for n := range own {
		r.own[own[n].Path] = &own[n]
	}
	for _, route := range routes {
		for _, e := range route.Chain.Endpoints() {
			if e.Path == "" {
				route.matching = append(route.matching, &boundEndpoint{e, route})
			}
		}
		hosts := route.Hosts
		if len(hosts) == 0 {
			hosts = []string{""}
		}
		for _, host := range hosts {
			s := r.virtualHost(host)
			for _, path := range route.Paths {
				s.routes.add(path, route)
			}
			for _, e := range route.Chain.Endpoints() {
				if e.Path != "" {
					s.endpoints[e.Path] = &boundEndpoint{e, route}
					if !strings.HasSuffix(e.Path, "/") { // a user or a proxy may have added the slash
						s.endpoints[e.Path+"/"] = s.endpoints[e.Path]
					}
				}
			}
		}
	}
	slices.SortStableFunc(r.wildcard, func(a, b wildcard) int { return len(b.suffix) - len(a.suffix) })
	return r
}

// virtualHost returns the virtualHost of a configured host. It adds one if necessary.
func (r *router) virtualHost(host string) *virtualHost {
	fresh := func() *virtualHost { return &virtualHost{endpoints: map[string]*boundEndpoint{}} }
	if suffix, found := strings.CutPrefix(host, "*"); found {
		for _, w := range r.wildcard {
			if w.suffix == suffix {
				return w.virtualHost
			}
		}
		r.wildcard = append(r.wildcard, wildcard{suffix, fresh()})
		return r.wildcard[len(r.wildcard)-1].virtualHost
	}
	if host == "" {
		if r.any == nil {
			r.any = fresh()
		}
		return r.any
	}
	if r.exact[host] == nil {
		r.exact[host] = fresh()
	}
	return r.exact[host]
}

// A match is the route and rule of a request.
type match struct {
	route    *route
	rule     *rule
	endpoint *boundEndpoint // if set, the gate answers the request itself
}

// find returns the match of a request. ok is false if no route has its host and path.
func (r *router) find(host, path, method string) (m match, ok bool) {
	if e := r.own[path]; e != nil {
		return match{route: e.route, rule: defaultRule, endpoint: e}, true
	}
	if m, ok = r.exact[host].find(host, path, method); ok {
		return m, ok
	}
	for _, w := range r.wildcard {
		if strings.HasSuffix(host, w.suffix) && len(host) > len(w.suffix) {
			if m, ok = w.find(host, path, method); ok {
				return m, ok
			}
		}
	}
	return r.any.find(host, path, method)
}

func (s *virtualHost) find(host, path, method string) (m match, ok bool) {
	if s == nil {
		return m, false
	}
	if e := s.endpoints[path]; e != nil {
		return match{route: e.route, rule: defaultRule, endpoint: e}, true
	}
	s.routes.each(path, func(routes []*route) { m.route = routes[0] })
	if m.route == nil {
		return m, false
	}
	m.rule = m.route.rules.find(host, path, method, "")
	return m, true
}

// rules are the rules of a route, indexed by path and method. Of the rules that match a request, the first in the configuration applies.
type rules struct {
	all    []*rule
	tree   tree[*methods]
	byTool bool // some of them name tools
}

func newRules(list []*Rule) *rules {
	r := &rules{}
	var paths []string // in the order of their first rule
	byPath := map[string][]*rule{}
	for n, given := range list {
		rule := &rule{Rule: given, order: n, fields: mappedFields(given.Headers.UpstreamHeaders)}
		r.all = append(r.all, rule)
		r.byTool = r.byTool || len(rule.Tools) > 0
		for _, path := range orAny(rule.Paths) {
			if byPath[path] == nil {
				paths = append(paths, path)
			}
			byPath[path] = append(byPath[path], rule)
		}
	}
	for _, path := range paths {
		r.tree.add(path, newMethods(byPath[path]))
	}
	return r
}

func orAny(paths []string) []string {
	if len(paths) == 0 {
		return []string{"/"}
	}
	return paths
}

// find returns the rule of a request. The tool is empty unless an MCP server's rules name tools and the request calls one.
func (r *rules) find(host, path, method, tool string) *rule {
	chosen := defaultRule
	r.tree.each(path, func(all []*methods) {
		for _, m := range all {
			for _, rule := range m.of(method) {
				if rule.order >= chosen.order {
					break
				}
				if rule.onHost(host) && rule.forTool(tool) {
					chosen = rule
					break
				}
			}
		}
	})
	return chosen
}

// methods has the rules of one path by method, in the order of the configuration.
type methods struct {
	named map[string][]*rule // of the methods that a rule names
	other []*rule            // of all other methods
}

func newMethods(list []*rule) *methods {
	m := &methods{named: map[string][]*rule{}}
	for _, rule := range list {
		for _, method := range rule.Methods {
			m.named[method] = nil
			if method == http.MethodGet {
				m.named[http.MethodHead] = nil
			}
		}
		if len(rule.Methods) == 0 {
			m.other = append(m.other, rule)
		}
	}
	for method := range m.named {
		for _, rule := range list {
			if rule.hasMethod(method) {
				m.named[method] = append(m.named[method], rule)
			}
		}
	}
	return m
}

func (m *methods) of(method string) []*rule {
	if list, named := m.named[method]; named {
		return list
	}
	return m.other
}

// hasMethod reports whether a rule applies to a method. A rule for GET applies to HEAD, too (RFC 9110 §9.3.2).
func (r *Rule) hasMethod(method string) bool {
	return len(r.Methods) == 0 || slices.Contains(r.Methods, method) ||
		method == http.MethodHead && slices.Contains(r.Methods, http.MethodGet)
}

func (r *Rule) onHost(host string) bool {
	return len(r.Hosts) == 0 || slices.ContainsFunc(r.Hosts, func(h string) bool { return check.HostCovers(h, host) })
}

// forTool reports whether a rule applies to a call of a tool, or with "" to another request.
func (r *Rule) forTool(tool string) bool { return len(r.Tools) == 0 || slices.Contains(r.Tools, tool) }

// match returns the match of a request, and the other readings of its path by an upstream. It returns an error if no route matches, or if a
// reading has another match.
func (r *router) match(host, method string, t *target) (m match, readings []string, err error) {
	m, ok := r.find(host, t.path, method)
	if !ok {
		return m, nil, &auth.Error{Status: http.StatusNotFound, Description: "There is nothing at this address.", Reason: "no_route"}
	}
	if t.ambiguities == 0 {
		return m, nil, nil
	}
	if more := t.ambiguities &^ m.route.allow; more != 0 {
		return m, nil, badPath(more.refusal())
	}
	if readings, err = t.readings(); err == nil && m.route.StripPath {
		err = m.route.checkStripped(t)
	}
	if err != nil {
		return m, nil, badPath(err)
	}
	for _, reading := range readings {
		if other, ok := r.find(host, reading, method); !ok || other != m {
			return m, nil, badPath(errTwoRules)
		}
	}
	return m, readings, nil
}

var errTwoRules = errors.New("the path can be read in two ways that lead to different rules")

func badPath(err error) error {
	e := auth.InvalidRequest("bad_path", err)
	e.Description = "The address of this request is malformed."
	return e
}
