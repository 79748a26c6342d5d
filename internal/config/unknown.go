package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/proxy"
	"sallyport/internal/strict"
)

// hints say what a file may have meant by what no setting has.
var hints = &strict.Hints{Unknown: unknown, Value: notBuilt, OneOnly: oneOnly}

// unknown returns the complaint about a key that no field has: one that isn't in this version, one that belongs elsewhere, or a slip. It is
// empty for one that says what happens anyway.
func unknown(scope, path string, p strict.Pair, s *strict.Shape) string {
	if r := refusals[scope][p.Key]; r != nil {
		if r.means(p.Value) {
			return ""
		}
		return r.sentence(path)
	}
	known := keysOf(scope, s)
	if scope == "oidc" && p.Value.Kind == strict.Mapping {
		known = append(known, prefixes(known)...)
	}
	return fmt.Sprintf("unknown key %s%s", path, hint(scope, p.Key, known))
}

// keysOf lists what may stand in a mapping, with what is refused by name.
func keysOf(scope string, s *strict.Shape) []string {
	names := slices.Collect(maps.Keys(refusals[scope]))
	for i := range s.Fields {
		names = append(names, s.Fields[i].Name)
	}
	switch scope {
	case "":
		names = append(names, "route", "routes", "oidc", "rules")
	case "oidc":
		names = append(names, issuersKey)
	}
	slices.Sort(names)
	return names
}

// prefixes lists what may stand before the members of a nested mapping, such as session.
func prefixes(names []string) (all []string) {
	for _, n := range names {
		for i := range n {
			if n[i] == '_' {
				all = append(all, n[:i])
			}
		}
	}
	return all
}

// homes are the mappings in which a key may have been meant to stand, and their shapes.
var homes = []struct {
	scope, where string
	shape        *strict.Shape
}{
	{"route", "under route:", strict.ShapeOf(reflect.TypeFor[proxy.RouteSettings]())},
	{"oidc", "under oidc:", oidcShape},
	{"rules", "in an entry of rules:", strict.ShapeOf(reflect.TypeFor[Rule]())},
	{"", "beside route: or routes:, not below another key", strict.ShapeOf(reflect.TypeFor[File]())},
}

// hint says what an unknown key may have been meant as.
func hint(scope, key string, known []string) string {
	var places []string
	for _, h := range homes {
		if h.scope != scope && slices.Contains(keysOf(h.scope, h.shape), key) {
			places = append(places, h.where)
		}
	}
	if say := foreignKey(scope, key, false); say != "" {
		return ": " + say
	}
	if len(places) > 0 {
		return ": it belongs " + strings.Join(places, " or ")
	}
	if scope == "oidc" {
		if parent, member, ok := member(key); ok {
			return fmt.Sprintf(": write %s: {%s: ...}", parent, member)
		}
	}
	if say := foreignKey(scope, key, true); say != "" {
		return ": " + say
	}
	if near := check.Nearest(key, known); near != "" {
		return ", did you mean " + near + "?"
	}
	return ": take it out"
}

// member splits redis_host into redis and host.
func member(key string) (parent, name string, ok bool) {
	for i := range oidcShape.Fields {
		f := &oidcShape.Fields[i]
		t, isStruct := strict.Structure(f.Type)
		rest, found := strings.CutPrefix(key, f.Name+"_")
		if isStruct && found && strict.ShapeOf(t).ByName[rest] != nil {
			return f.Name, rest, true
		}
	}
	return "", "", false
}
