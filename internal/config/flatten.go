package config

import (
	"slices"
	"strings"

	"sallyport/internal/strict"
)

var oidcShape = strict.ShapeFor[OIDC]()

// flatten returns an oidc block without the optional nesting: session: {storage: redis} becomes session_storage: redis. A parameter that is
// a mapping, such as redis, keeps its members. It reports a parameter in both spellings, and uses the first.
func flatten(r *strict.Report, oidc *strict.Value) *strict.Value {
	flat := strict.NewMapping(oidc.Mark)
	add := func(p strict.Pair) {
		if first := flat.Get(p.Key); first != nil {
			r.Problemf(p.Mark, "%s is written twice, first on %s: keep one of the two spellings", p.Key, first.From(p.Mark))
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
			r.Problemf(p.Mark, "%s: it is empty: write its members, or take it out", p.Key)
		}
		for _, inner := range p.Value.Pairs {
			name := p.Key + "_" + inner.Key
			if inner.Value.Kind == strict.Mapping && !isObject(name) {
				r.Problemf(inner.Mark, "%s: nesting is one level deep: write %s_...: for each of its members", name, name)
				continue
			}
			add(strict.Pair{Mark: inner.Mark, Key: name, Value: inner.Value})
		}
	}
	return flat
}

// merge returns the parameters of a route with the process's defaults for the others. Both are flat. A value replaces a default as a
// whole, and null removes it. A route with an issuer inherits no parameter that belongs to the issuer, and a route with a proxy doesn't
// inherit the credentials for another proxy, so that secrets reach only the server that they are for.
func merge(defaults, own *strict.Value) *strict.Value {
	merged := strict.NewMapping(own.Mark)
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

// isObject reports whether a parameter is a mapping or a list of mappings.
func isObject(name string) bool {
	if name == issuersKey {
		return true
	}
	if f := oidcShape.ByName[name]; f != nil {
		return f.IsObject()
	}
	return slices.Contains(kongObjects, name)
}

// isParameter reports whether an oidc block has a parameter, or refuses it by name.
func isParameter(name string) bool {
	return oidcShape.ByName[name] != nil || refusals["oidc"][name] != nil
}

// isPrefix reports whether the name of a parameter begins with name and an underscore.
func isPrefix(name string) bool {
	return slices.ContainsFunc(keysOf("oidc", oidcShape), func(k string) bool { return strings.HasPrefix(k, name+"_") })
}
