package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Load reads a configuration: a process file with routes, or a route file alone. The error is Problems: everything that is
// wrong, sorted by place.
func Load(name string) (*File, error) {
	r := &reader{files: map[*yaml.Node]string{}}
	root := r.parse(name)
	if root == nil {
		return nil, r.err()
	}
	f := &File{}
	r.file(root, name, f)
	r.checkFile(f)
	if err := r.err(); err != nil {
		return nil, err
	}
	return f, nil
}

// routeKeys stand beside each other in a route file and in an inline route.
var routeKeys = []string{"route", "oidc", "rules"}

// file reads the root of the file that was named on the command line.
func (r *reader) file(root *yaml.Node, name string, f *File) {
	var process []pair
	route := map[string]pair{}
	var routes *pair
	for _, p := range r.pairs(root, "the file") {
		switch {
		case slices.Contains(routeKeys, p.name):
			route[p.name] = p
		case p.name == "routes":
			routes = &p
		default:
			process = append(process, p)
		}
	}
	f.Process = Process{}
	r.decode(root, process, reflect.ValueOf(&f.Process).Elem(), func(p pair) string {
		return "unknown key " + p.name + r.elsewhere(p.name, append(keys(fields(reflect.TypeFor[Process]())), append(routeKeys, "routes")...))
	})
	base := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	_, single := route["route"]
	switch {
	case single && routes != nil:
		r.fail(routes.key, "routes: a file has either route: or routes:")
	case single:
		f.Routes = append(f.Routes, r.route(base, root, route, nil))
	case routes == nil:
		r.fail(root, "expected route: (one route) or routes: (files or a list of routes)")
	default:
		if rules, found := route["rules"]; found {
			r.fail(rules.key, "rules: belongs into a route, beside route: and oidc:")
		}
		r.routes(routes.value, name, route["oidc"], f)
	}
}

// elsewhere says what a key that isn't known may have been meant as.
func (r *reader) elsewhere(name string, known []string) string {
	if why := laterBlocks[name]; why != "" {
		return ": " + why
	}
	if _, found := fields(reflect.TypeFor[OIDC]())[name]; found || kong[name] != nil {
		return ": it belongs under oidc:"
	}
	if _, found := routeFields[name]; found {
		return ": it belongs under route:"
	}
	return didYouMean(name, known)
}

// routes reads the value of routes: patterns of files, inline routes, or both.
func (r *reader) routes(n *yaml.Node, name string, defaults pair, f *File) {
	entries := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		entries = n.Content
	}
	for _, e := range entries {
		switch {
		case e.Kind == yaml.MappingNode:
			f.Routes = append(f.Routes, r.route(fmt.Sprintf("route-%d", len(f.Routes)+1), e, r.routeParts(e), &defaults))
		case e.Kind == yaml.ScalarNode && !isNull(e):
			r.routeFiles(e, filepath.Dir(name), defaults, f)
		default:
			r.fail(e, "routes: expected files such as routes/*.yaml, or routes, got %s", kindName(e))
		}
	}
	if len(entries) == 0 {
		r.fail(n, "routes: expected at least one route")
	}
}

func (r *reader) routeFiles(e *yaml.Node, dir string, defaults pair, f *File) {
	pattern, err := expand(e.Value)
	if err != nil {
		r.fail(e, "routes: %v", err)
		return
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(dir, pattern)
	}
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		r.fail(e, "routes: no file is named %s", pattern)
		return
	}
	for _, name := range names {
		if root := r.parse(name); root != nil {
			base := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
			f.Routes = append(f.Routes, r.route(base, root, r.routeParts(root), &defaults))
		}
	}
}

// routeParts splits a route into its blocks.
func (r *reader) routeParts(n *yaml.Node) map[string]pair {
	parts := map[string]pair{}
	for _, p := range r.pairs(n, "a route") {
		if !slices.Contains(routeKeys, p.name) {
			if _, found := fields(reflect.TypeFor[Process]())[p.name]; found {
				r.fail(p.key, "%s belongs into the process's file, not into a route's", p.name)
			} else {
				r.fail(p.key, "unknown key %s%s", p.name, r.elsewhere(p.name, routeKeys))
			}
			continue
		}
		parts[p.name] = p
	}
	return parts
}

// route reads one route. defaults is the process's oidc block.
func (r *reader) route(name string, place *yaml.Node, parts map[string]pair, defaults *pair) Route {
	route := Route{Name: name, read: r, route: block{place: place}, oidc: block{place: place}}
	if p, found := parts["route"]; found {
		route.route = r.decode(p.key, r.pairs(p.value, "route"), reflect.ValueOf(&route.Route).Elem(), func(p pair) string {
			return "route: unknown key " + p.name + r.elsewhere(p.name, keys(routeFields))
		})
	} else {
		r.fail(place, "route is missing: write route: {upstream: http://host:port}")
	}
	var list []pair
	if defaults != nil && defaults.value != nil {
		list = r.flatten(defaults.value)
	}
	own, written := parts["oidc"]
	if written {
		route.oidc.place = own.key
		list = merge(list, r.flatten(own.value))
	}
	route.HasOIDC = len(list) > 0
	oidc := r.decode(route.oidc.place, list, reflect.ValueOf(&route.OIDC).Elem(), unknownOIDC)
	route.oidc = oidc
	r.rules(parts["rules"], &route)
	return route
}

func (r *reader) rules(p pair, route *Route) {
	if p.value == nil || isNull(p.value) {
		return
	}
	if p.value.Kind != yaml.SequenceNode {
		r.fail(p.value, "rules: expected a list: write - before each rule")
		return
	}
	for _, n := range p.value.Content {
		rule := Rule{Place: r.place(n)}
		rule.block = r.decode(n, r.pairs(n, "a rule"), reflect.ValueOf(&rule).Elem(), func(p pair) string {
			if p.name == "allow" || p.name == "acr_values" || p.name == "max_age" || p.name == "on_unauthenticated" || p.name == "report_only" {
				return "rules: " + p.name + " isn't in this version"
			}
			return "rules: unknown key " + p.name + r.elsewhere(p.name, keys(fields(reflect.TypeFor[Rule]())))
		})
		route.Rules = append(route.Rules, rule)
	}
}

// flatten undoes one level of nesting: session: {storage: redis} is session_storage: redis. A key that is a parameter itself
// keeps its members.
func (r *reader) flatten(n *yaml.Node) []pair {
	var all []pair
	seen := map[string]*yaml.Node{}
	add := func(p pair) {
		if before := seen[p.name]; before != nil && before.Line != p.key.Line {
			r.fail(p.key, "%s stands on line %d already: write it once", p.name, before.Line)
			return
		}
		seen[p.name] = p.key
		all = append(all, p)
	}
	for _, p := range r.pairs(n, "oidc") {
		if p.value.Kind != yaml.MappingNode || isParameter(p.name) || !isPrefix(p.name+"_") {
			add(p)
			continue
		}
		for _, inner := range r.pairs(p.value, p.name) {
			add(pair{p.name + "_" + inner.name, inner.key, inner.value})
		}
	}
	return all
}

func isParameter(name string) bool {
	_, found := fields(reflect.TypeFor[OIDC]())[name]
	return found || kong[name] != nil
}

func isPrefix(prefix string) bool {
	for name := range fields(reflect.TypeFor[OIDC]()) {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	for name := range kong {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// merge lays a route's own parameters over the defaults: by key, each value whole. A route that names an issuer inherits
// nothing that belongs to one, so that no secret travels to another.
func merge(defaults, own []pair) []pair {
	named := slices.ContainsFunc(own, func(p pair) bool { return p.name == "issuer" })
	known := fields(reflect.TypeFor[OIDC]())
	merged := slices.DeleteFunc(slices.Clone(defaults), func(d pair) bool {
		return named && known[d.name].tag.Get("group") == "issuer" ||
			slices.ContainsFunc(own, func(p pair) bool { return p.name == d.name })
	})
	return append(merged, own...)
}
