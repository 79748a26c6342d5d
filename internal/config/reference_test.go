package config

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"sallyport/internal/mcp"
	"sallyport/internal/proxy"
	"sallyport/internal/redis"
	"sallyport/internal/strict"
)

// TestReference compares configs/reference.md with the structs: every key outside of oidc has a row with its type, its default and the
// values of its enum.
func TestReference(t *testing.T) {
	text, err := os.ReadFile("../../configs/reference.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	page := doc{"reference.md", strings.Split(string(text), "\n")}
	page.rows("| key", func(where, _ string, cells []string) {
		name := strings.Trim(cells[0], "`")
		if rows[name] != nil {
			t.Errorf("%s: %s has two rows", where, name)
		}
		rows[name] = cells
	})
	delete(rows, "routes")
	for prefix, root := range map[string]reflect.Type{
		"": reflect.TypeFor[File](), "route.": reflect.TypeFor[proxy.RouteSettings](), "rules[].": reflect.TypeFor[Rule](),
		"mcp.":       reflect.TypeFor[mcp.Settings](),
		"issuers[].": reflect.TypeFor[IssuerEntry](),
	} {
		eachKey(prefix, root, func(name string, f *strict.Field, byDefault string) {
			cells := rows[name]
			delete(rows, name)
			switch {
			case cells == nil:
				t.Errorf("%s has no row", name)
				return
			case cells[1] != kindOf(f.Type) || strings.Join(texts(cells[2]), "") != byDefault:
				t.Errorf("%s is a %s with the default %q, and its row says %q and %q", name, kindOf(f.Type), byDefault, cells[1], cells[2])
			}
			for _, value := range f.Enum {
				if !strings.Contains(cells[3], "`"+value+"`") {
					t.Errorf("%s: its row doesn't name the value %s", name, value)
				}
			}
		})
	}
	for name := range rows {
		t.Errorf("there is no key %s", name)
	}
}

// eachKey calls f with each key below a struct type whose value isn't a mapping, and its default.
func eachKey(prefix string, t reflect.Type, f func(name string, f *strict.Field, byDefault string)) {
	s := strict.ShapeOf(t)
	for _, field := range s.Fields {
		name, inner := prefix+field.Name, field.Type
		if inner.Kind() == reflect.Slice && field.IsObject() {
			name, inner = name+"[]", inner.Elem()
		}
		below, nested := strict.Structure(inner)
		if nested && below != reflect.TypeFor[redis.Settings]() {
			eachKey(name+".", below, f)
			continue
		}
		byDefault := t.FieldByIndex(field.Index).Tag.Get("default")
		if name == "listen[].address" {
			byDefault = strings.Trim(strict.ShapeFor[File]().ByName["listen"].Default.Items[0].Text, "[]")
		}
		f(name, field, byDefault)
	}
}
