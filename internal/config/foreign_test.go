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

// words that stand before a colon in a remedy, or have an underscore, and are no key.
var notKeys = []string{"https", "http", "app", "write", "authorization_code", "preferred_username", "email_verified", "config", "name", "out"}

// TestForeignKeys asserts that what is told to write instead of a foreign key exists, and that no foreign key is one of ours.
func TestForeignKeys(t *testing.T) {
	known := []string{"oidc", "rules", "route", "routes", "issuers", "healthz"}
	for _, root := range []reflect.Type{
		reflect.TypeFor[File](), reflect.TypeFor[proxy.RouteSettings](), reflect.TypeFor[OIDC](), reflect.TypeFor[Rule](), reflect.TypeFor[IssuerEntry](),
	} {
		known = append(known, keysBelow(root, map[reflect.Type]bool{})...)
	}
	key := regexp.MustCompile(`[a-z]+(_[a-z]+)+|[a-z]+:`)
	for _, f := range foreignKeys {
		for _, word := range key.FindAllString(f.say, -1) {
			if word = strings.TrimSuffix(word, ":"); !slices.Contains(known, word) && !slices.Contains(notKeys, word) {
				t.Errorf("instead of %s: %q is no key", f.names, word)
			}
		}
		for name := range strings.FieldsSeq(f.names) {
			for _, h := range homes {
				if (f.scope == h.scope || f.scope == "top" && h.scope == "") && h.shape.ByName[name] != nil {
					t.Errorf("%s is one of our keys in %q", name, h.scope)
				}
			}
		}
	}
}

// keysBelow lists the keys of a struct type and of what is below it.
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
