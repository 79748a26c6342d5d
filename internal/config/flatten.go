package config

import (
	"reflect"
	"sallyport/internal/strict"
	"slices"
	"strings"
)

var oidcShape = strict.ShapeOf(reflect.TypeFor[OIDC]())

// flatten undoes the nesting of an oidc block: session: {storage: redis} is session_storage: redis. A parameter that is a
// mapping itself, such as redis, keeps its members. Both spellings of one parameter are a mistake; the first counts.
func flatten(r *strict.Report, oidc *strict.Value) *strict.Value {
	flat := &strict.Value{Mark: oidc.Mark, Kind: strict.Mapping}
	add := func(p strict.Pair) {
		if first := flat.Get(p.Key); first != nil {
			r.Problemf(p.Mark, "%s stands here a second time, first on %s: keep one of the two spellings", p.Key, first.From(p.Mark))
			return
		}
		flat.Put(p)
	}
	for _, p := range oidc.Pairs {
		if isObject(p.Key) || !isPrefix(p.Key) || p.Value.Kind != strict.Mapping && (isParameter(p.Key) || !p.Value.Null) {
			add(p)
			continue
		}
		if p.Value.Null {
			r.Problemf(p.Mark, "%s: there is nothing below it: write its members, or take it out", p.Key)
		}
		for _, inner := range p.Value.Pairs {
			name := p.Key + "_" + inner.Key
			if inner.Value.Kind == strict.Mapping && !isObject(name) {
				r.Problemf(inner.Mark, "%s: nesting is one level deep: write %s_...: for each of its members", name, name)
				continue
			}
			add(strict.Pair{inner.Mark, name, inner.Value})
		}
	}
	return flat
}

// merge lays a route's own parameters over the process's defaults: by key, each value whole; null removes. A route that
// names an issuer inherits nothing that belongs to one, and one that names a proxy not the credential for another, so that
// no secret travels to where it wasn't meant for. Both are flat.
func merge(defaults, own *strict.Value) *strict.Value {
	merged := &strict.Value{Mark: own.Mark, Kind: strict.Mapping}
	for _, p := range own.Pairs {
		merged.Put(p)
	}
	for _, p := range defaults.Pairs {
		f := oidcShape.ByName[p.Key]
		if own.Get(p.Key) == nil && (f == nil || f.Group == "" || own.Get(f.Group) == nil) {
			merged.Put(p)
		}
	}
	return merged
}

// isObject reports whether a parameter is a mapping with members of its own, or a list of such.
func isObject(name string) bool {
	if name == issuersKey {
		return true
	}
	if f := oidcShape.ByName[name]; f != nil {
		return f.IsObject()
	}
	return slices.Contains(kongObjects, name)
}

func isParameter(name string) bool {
	return oidcShape.ByName[name] != nil || refusals["oidc"][name] != nil
}

// isPrefix reports whether parameters begin with name and an underscore.
func isPrefix(name string) bool {
	return slices.ContainsFunc(keysOf("oidc", oidcShape), func(k string) bool { return strings.HasPrefix(k, name+"_") })
}
