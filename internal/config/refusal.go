package config

import (
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/strict"
)

// A refusal is a key of Kong's plugin, or of a later version, that this version doesn't have. A file with it is refused, unless its value
// is what the gate does anyway.
type refusal struct {
	names  string // space-separated: keys that share a text
	accept string // YAML values, separated by |, of what the gate does anyway; null is always one
	advice string // why, and what to write instead
}

// refusals has the refused keys by mapping and name.
var refusals = map[string]map[string]*refusal{
	"oidc":       byName(kong, renamed),
	"oidc.redis": byName(kongRedis),

	"oidc.cluster_cache_redis": byName(kongRedis),
	"oidc.client_jwk":          byName(kongJWK),
	"route":                    byName(laterRoute),

	"oidc.proof_of_possession_mtls_from_header": byName(kongCertificate),
}

// byName returns the refusals by name. It panics if a name occurs twice.
func byName(tables ...[]refusal) map[string]*refusal {
	all := map[string]*refusal{}
	for _, table := range tables {
		for i := range table {
			for name := range strings.FieldsSeq(table[i].names) {
				if all[name] != nil {
					panic("config: " + name + " is refused twice")
				}
				all[name] = &table[i]
			}
		}
	}
	return all
}

// accepts reports whether a value is what the gate does anyway.
func (r *refusal) accepts(v *strict.Value) bool {
	if v.Null {
		return true
	}
	if r.accept == "" {
		return false
	}
	return slices.ContainsFunc(strings.Split(r.accept, "|"), func(text string) bool { return equal(strict.Literal(text), v) })
}

// equal reports whether a value is equal to an accepted one. The order of lists doesn't matter, and a single value is a list of one. A
// mapping needs only the accepted members, because {enabled: false} switches the others off.
func equal(want, got *strict.Value) bool {
	switch {
	case want.Kind == strict.Mapping:
		return got.Kind == strict.Mapping && !slices.ContainsFunc(want.Pairs, func(p strict.Pair) bool {
			q := got.Get(p.Key)
			return q == nil || !equal(p.Value, q.Value)
		})
	case want.Kind == strict.List && got.Kind == strict.Scalar:
		return len(want.Items) == 1 && equal(want.Items[0], got)
	case want.Kind == strict.List:
		return got.Kind == strict.List && len(want.Items) == len(got.Items) && !slices.ContainsFunc(want.Items, func(w *strict.Value) bool {
			return !slices.ContainsFunc(got.Items, func(g *strict.Value) bool { return equal(w, g) })
		})
	}
	return got.Kind == strict.Scalar && want.Text == got.Text
}

// text returns the problem with a key.
func (r *refusal) text(key string) string {
	if accepted := strings.ReplaceAll(r.accept, "|", " or "); accepted != "" && accepted != "[]" {
		return fmt.Sprintf("%s: this version supports only %s: %s", key, accepted, r.advice)
	}
	return fmt.Sprintf("%s: not in this version: %s", key, r.advice)
}

// unsupportedValue returns the problem with a value of a parameter that isn't in this version, or "".
func unsupportedValue(scope, key, text string) string {
	advice := kongValues[key][text]
	if scope != "oidc" || advice == "" {
		return ""
	}
	return text + " isn't in this version: " + advice
}
