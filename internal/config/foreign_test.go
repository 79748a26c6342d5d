package config

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/proxy"
	"sallyport/internal/strict"
)

// notKeys are words before a colon in an advice, or with an underscore, that aren't keys.
var notKeys = []string{
	"https", "http", "app", "write", "authorization_code", "preferred_username", "email_verified", "config", "name", "out",
}

// TestForeignKeys checks that the keys in the advice for foreign keys exist, and that the gate has no foreign key.
func TestForeignKeys(t *testing.T) {
	known := []string{"oidc", "rules", "route", "routes", "issuers", "healthz"}
	for _, root := range []reflect.Type{
		reflect.TypeFor[File](), reflect.TypeFor[proxy.RouteSettings](), reflect.TypeFor[OIDC](), reflect.TypeFor[Rule](),
		reflect.TypeFor[IssuerEntry](),
	} {
		known = append(known, keysBelow(root, map[reflect.Type]bool{})...)
	}
	key := regexp.MustCompile(`[a-z]+(_[a-z]+)+|[a-z]+:`)
	for scope, entries := range foreignKeys {
		for _, f := range entries {
			for _, word := range key.FindAllString(f.advice, -1) {
				if word = strings.TrimSuffix(word, ":"); !slices.Contains(known, word) && !slices.Contains(notKeys, word) {
					t.Errorf("the advice for %s has %q, which is not a key", f.names, word)
				}
			}
			for name := range strings.FieldsSeq(f.names) {
				for _, m := range mappings {
					if (scope == m.scope || scope == "top" && m.scope == "") && m.shape.ByName[name] != nil {
						t.Errorf("%s is a key of the gate in %q", name, m.scope)
					}
				}
			}
		}
	}
}

// keysBelow returns the keys of a struct type and of the structs in it.
func keysBelow(t reflect.Type, seen map[reflect.Type]bool) (all []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if _, isStruct := strict.Structure(t); !isStruct || seen[t] {
		return nil
	}
	seen[t] = true
	for _, f := range strict.ShapeOf(t).Fields {
		all = append(append(all, f.Name), keysBelow(f.Type, seen)...)
	}
	return all
}
