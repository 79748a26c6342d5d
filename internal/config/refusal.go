package config

import (
	"fmt"
	"sallyport/internal/strict"
	"slices"
	"strings"
)

// A refusal is a key that this version knows by name and doesn't have. It is refused, so that nothing is silently ignored,
// unless its value says what happens here anyway.
type refusal struct {
	names  string // space-separated: keys that share a sentence
	accept string // YAML values, separated by |, that mean what happens here anyway; null always does
	say    string // why, and what to write instead
}

// refusals are the refused keys by the mapping in which they stand: "" is the top level.
var refusals = map[string]map[string]*refusal{
	"":           byName(process),
	"oidc":       byName(kong, renamed),
	"oidc.redis": byName(kongRedis),

	"oidc.cluster_cache_redis": byName(kongRedis),
	"oidc.client_jwk":          byName(kongJWK),
	"rules":                    byName(laterRules),
	"route":                    byName(laterRoute),
}

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

// means reports whether a value says what happens here anyway.
func (r *refusal) means(v *strict.Value) bool {
	if v.Null {
		return true
	}
	if r.accept == "" {
		return false
	}
	return slices.ContainsFunc(strings.Split(r.accept, "|"), func(text string) bool { return alike(strict.Literal(text), v) })
}

// alike compares an accepted value with a given one: lists in any order, and a single value as a list of one. Of a mapping
// the accepted members must be there, whatever the others say: {enabled: false} switches all of them off.
func alike(want, got *strict.Value) bool {
	switch {
	case want.Kind == strict.Mapping:
		return got.Kind == strict.Mapping && !slices.ContainsFunc(want.Pairs, func(p strict.Pair) bool {
			q := got.Get(p.Key)
			return q == nil || !alike(p.Value, q.Value)
		})
	case want.Kind == strict.List && got.Kind == strict.Scalar:
		return len(want.Items) == 1 && alike(want.Items[0], got)
	case want.Kind == strict.List:
		return got.Kind == strict.List && len(want.Items) == len(got.Items) && !slices.ContainsFunc(want.Items, func(w *strict.Value) bool {
			return !slices.ContainsFunc(got.Items, func(g *strict.Value) bool { return alike(w, g) })
		})
	}
	return got.Kind == strict.Scalar && want.Text == got.Text
}

// sentence is the complaint about a key.
func (r *refusal) sentence(key string) string {
	if accepted := strings.ReplaceAll(r.accept, "|", " or "); accepted != "" && accepted != "[]" {
		return fmt.Sprintf("%s: this version knows only %s: %s", key, accepted, r.say)
	}
	return fmt.Sprintf("%s: not in this version: %s", key, r.say)
}

// notBuilt returns the sentence for a value of a parameter that isn't in this version, or "".
func notBuilt(scope, key, text string) string {
	sentence := kongValues[key][text]
	if scope != "oidc" || sentence == "" {
		return ""
	}
	return text + " isn't in this version: " + sentence
}
