package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/proxy"
	"sallyport/internal/strict"
)

// hints are the hints of all configuration files.
var hints = &strict.Hints{Unknown: unknown, Value: unsupportedValue, OneOnly: oneOnly}

// unknown returns the problem with an unknown key: it isn't in this version, belongs elsewhere, or is misspelled. It returns "" for a key
// that this version doesn't have, if its value is what the gate does anyway.
func unknown(scope, path string, p strict.Pair, s *strict.Shape) string {
	if r := refusals[scope][p.Key]; r != nil {
		if r.accepts(p.Value) {
			return ""
		}
		return r.text(path)
	}
	known := keysOf(scope, s)
	if scope == "oidc" && p.Value.Kind == strict.Mapping {
		known = append(known, prefixes(known)...)
	}
	return fmt.Sprintf("unknown key %s%s", path, hint(scope, p.Key, known))
}

// keysOf returns the keys of a mapping, including those that are refused by name.
func keysOf(scope string, s *strict.Shape) []string {
	names := slices.Collect(maps.Keys(refusals[scope]))
	for _, f := range s.Fields {
		names = append(names, f.Name)
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

// prefixes returns the keys of the optional nested mappings of an oidc block, such as session.
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

// mappings are the mappings that an unknown key may belong to.
var mappings = []struct {
	scope, where string
	shape        *strict.Shape
}{
	{"route", "under route:", strict.ShapeFor[proxy.RouteSettings]()},
	{"oidc", "under oidc:", oidcShape},
	{"rules", "in an entry of rules:", strict.ShapeFor[Rule]()},
	{"", "beside route: or routes:, not below another key", strict.ShapeFor[File]()},
}

// hint returns the advice for an unknown key. The known keys are those of its mapping.
func hint(scope, key string, known []string) string {
	var places []string
	for _, m := range mappings {
		if m.scope != scope && slices.Contains(keysOf(m.scope, m.shape), key) {
			places = append(places, m.where)
		}
	}
	if advice := foreignKey(cmp.Or(scope, "top"), key); advice != "" {
		return ": " + advice
	}
	if len(places) > 0 {
		return ": it belongs " + strings.Join(places, " or ")
	}
	if scope == "oidc" {
		if parent, member, ok := splitMember(key); ok {
			return fmt.Sprintf(": write %s: {%s: ...}", parent, member)
		}
	}
	if advice := foreignKey("", key); advice != "" {
		return ": " + advice
	}
	if near := check.Nearest(key, known); near != "" {
		return ", did you mean " + near + "?"
	}
	return ": take it out"
}

// splitMember splits the name of a member of a mapping, such as redis_host, into redis and host.
func splitMember(key string) (parent, name string, ok bool) {
	for _, f := range oidcShape.Fields {
		t, isStruct := strict.Structure(f.Type)
		rest, found := strings.CutPrefix(key, f.Name+"_")
		if isStruct && found && strict.ShapeOf(t).ByName[rest] != nil {
			return f.Name, rest, true
		}
	}
	return "", "", false
}
