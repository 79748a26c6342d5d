package config

import (
	"fmt"
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
func (r *refusal) means(v *value) bool {
	if v.null {
		return true
	}
	if r.accept == "" {
		return false
	}
	return slices.ContainsFunc(strings.Split(r.accept, "|"), func(text string) bool { return alike(literal(text), v) })
}

// alike compares an accepted value with a given one: lists in any order, and a single value as a list of one. Of a mapping
// the accepted members must be there, whatever the others say: {enabled: false} switches all of them off.
func alike(want, got *value) bool {
	switch {
	case want.kind == mapping:
		return got.kind == mapping && !slices.ContainsFunc(want.pairs, func(p pair) bool {
			q := got.get(p.key)
			return q == nil || !alike(p.value, q.value)
		})
	case want.kind == list && got.kind == scalar:
		return len(want.items) == 1 && alike(want.items[0], got)
	case want.kind == list:
		return got.kind == list && len(want.items) == len(got.items) && !slices.ContainsFunc(want.items, func(w *value) bool {
			return !slices.ContainsFunc(got.items, func(g *value) bool { return alike(w, g) })
		})
	}
	return got.kind == scalar && want.text == got.text
}

// sentence is the complaint about a key.
func (r *refusal) sentence(key string) string {
	if accepted := strings.ReplaceAll(r.accept, "|", " or "); accepted != "" && accepted != "[]" {
		return fmt.Sprintf("%s: this version knows only %s: %s", key, accepted, r.say)
	}
	return fmt.Sprintf("%s: not in this version: %s", key, r.say)
}

// notBuilt returns the sentence for a value of a built parameter that this version doesn't have, or "".
func notBuilt(scope, key, text string) string {
	if scope != "oidc" {
		return ""
	}
	return kongValues[key][text]
}
