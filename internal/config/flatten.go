package config

import (
	"reflect"
	"slices"
	"strings"
)

var oidcShape = shapeOf(reflect.TypeFor[OIDC]())

// flatten undoes the nesting of an oidc block: session: {storage: redis} is session_storage: redis. A parameter that is a
// mapping itself, such as redis, keeps its members. Both spellings of one parameter are a mistake; the first counts.
func (r *report) flatten(oidc *value) *value {
	flat := &value{mark: oidc.mark, kind: mapping}
	add := func(p pair) {
		if first := flat.get(p.key); first != nil {
			r.problem(p.mark, "%s stands here a second time, first on %s: keep one of the two spellings", p.key, first.from(p.mark))
			return
		}
		flat.put(p)
	}
	for _, p := range oidc.pairs {
		if isObject(p.key) || !isPrefix(p.key) || p.value.kind != mapping && (isParameter(p.key) || !p.value.null) {
			add(p)
			continue
		}
		if p.value.null {
			r.problem(p.mark, "%s: there is nothing below it: write its members, or take it out", p.key)
		}
		for _, inner := range p.value.pairs {
			name := p.key + "_" + inner.key
			if inner.value.kind == mapping && !isObject(name) {
				r.problem(inner.mark, "%s: nesting is one level deep: write %s_...: for each of its members", name, name)
				continue
			}
			add(pair{inner.mark, name, inner.value})
		}
	}
	return flat
}

// merge lays a route's own parameters over the process's defaults: by key, each value whole; null removes. A route that
// names an issuer inherits nothing that belongs to one, and one that names a proxy not the credential for another, so that
// no secret travels to where it wasn't meant for. Both are flat.
func merge(defaults, own *value) *value {
	merged := &value{mark: own.mark, kind: mapping}
	for _, p := range own.pairs {
		merged.put(p)
	}
	for _, p := range defaults.pairs {
		f := oidcShape.byName[p.key]
		if own.get(p.key) == nil && (f == nil || f.group == "" || own.get(f.group) == nil) {
			merged.put(p)
		}
	}
	return merged
}

// isObject reports whether a parameter is a mapping with members of its own, or a list of such.
func isObject(name string) bool {
	if name == issuersKey {
		return true
	}
	if f := oidcShape.byName[name]; f != nil {
		return f.object()
	}
	return slices.Contains(kongObjects, name)
}

func isParameter(name string) bool {
	return oidcShape.byName[name] != nil || refusals["oidc"][name] != nil
}

// isPrefix reports whether parameters begin with name and an underscore.
func isPrefix(name string) bool {
	return slices.ContainsFunc(keysOf("oidc", oidcShape), func(k string) bool { return strings.HasPrefix(k, name+"_") })
}
