package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"sallyport/internal/check"
	"sallyport/internal/proxy"
)

// unknown reports a key that no field has: one that is built later, one that belongs elsewhere, or a slip.
func (b *block) unknown(scope, prefix string, p pair, s *shape) {
	if r := refusals[scope][p.key]; r != nil {
		if !r.means(p.value) {
			b.problem(p.mark, "%s", r.sentence(keyName(prefix+p.key)))
		}
		return
	}
	known := keysOf(scope, s)
	if scope == "oidc" && p.value.kind == mapping {
		known = append(known, prefixes(known)...)
	}
	b.problem(p.mark, "unknown key %s%s", keyName(prefix+p.key), hint(scope, p.key, known))
}

// keysOf lists what may stand in a mapping, with what is refused by name.
func keysOf(scope string, s *shape) []string {
	names := slices.Collect(maps.Keys(refusals[scope]))
	for i := range s.fields {
		names = append(names, s.fields[i].name)
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
	shape        *shape
}{
	{"route", "under route:", shapeOf(reflect.TypeFor[proxy.RouteSettings]())},
	{"oidc", "under oidc:", oidcShape},
	{"rules", "in an entry of rules:", shapeOf(reflect.TypeFor[Rule]())},
	{"", "beside route: or routes:, not below another key", shapeOf(reflect.TypeFor[File]())},
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
	for i := range oidcShape.fields {
		f := &oidcShape.fields[i]
		t, isStruct := structure(f.typ)
		rest, found := strings.CutPrefix(key, f.name+"_")
		if isStruct && found && shapeOf(t).byName[rest] != nil {
			return f.name, rest, true
		}
	}
	return "", "", false
}
