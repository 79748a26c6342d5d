package config

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"sallyport/internal/check"
	"sallyport/internal/strict"
)

// TestValuesOfParameters loads, for each of Kong's parameters, every value of a boolean or an enum, and the values in the tables of
// refusals. A parameter that works accepts at least two of them, a fixed one accepts one, and a refused one accepts none.
func TestValuesOfParameters(t *testing.T) {
	setKeys(t)
	for _, p := range readParameters(t) {
		var accepted []any
		tries := valuesOf(p)
		for _, value := range tries {
			_, err := loadText(t, pasted(withValue(t, p, value)))
			ofKey := check.KeyName(strings.ReplaceAll(p.name, "[]", "")) + ": "
			if err == nil || p.shown != "" && !strings.HasPrefix(err.(strict.Problems)[0].Text, ofKey) {
				accepted = append(accepted, value) // a problem with another key isn't about this value
			}
		}
		switch n := len(accepted); {
		case p.shown != "" && len(tries) > 0 && n < 2:
			t.Errorf("%s accepts only %v, and its row says that it works: write fixed", p.name, accepted)
		case p.fixed && n != 1:
			t.Errorf("%s is fixed, and accepts %v of %v", p.name, accepted, tries)
		case p.shown == "" && !p.fixed && n > 0:
			t.Errorf("%s is refused, and accepts %v: write fixed", p.name, accepted)
		}
	}
}

// valuesOf returns the values of a boolean or an enum, and for a refused parameter those in the tables.
func valuesOf(p parameter) (all []any) {
	add := func(value any) {
		if list, ok := value.([]any); ok && len(list) == 1 {
			value = list[0]
		}
		if !slices.ContainsFunc(all, func(v any) bool { return reflect.DeepEqual(v, value) }) {
			all = append(all, value)
		}
	}
	path := strings.Split(strings.ReplaceAll(p.name, "[]", ""), ".")
	f, refused := settingAt(reflect.TypeFor[OIDC](), path), refusalAt(path)
	if f != nil && strict.Element(f.Type).Kind() == reflect.Bool || f == nil {
		add(true)
		add(false)
	}
	if f != nil {
		for _, e := range f.Enum {
			add(e)
		}
		for e := range kongValues[p.name] {
			add(e)
		}
	}
	for _, text := range strings.Split(refused, "|") {
		if text != "" && text != "[]" { // an empty list is unset
			add(decoded(text))
		}
	}
	if p.shown == "" {
		for _, paste := range []string{p.paste, p.other} {
			if v, found := valueAt(decoded("{"+paste+"}"), path); found {
				add(v)
			}
		}
	}
	return all
}

// refusalAt returns the values that the refusal of a parameter accepts.
func refusalAt(path []string) string {
	scope := strings.Join(append([]string{"oidc"}, path[:len(path)-1]...), ".")
	if r := refusals[scope][path[len(path)-1]]; r != nil {
		return r.accept
	}
	return ""
}

// settingAt returns the field at a path of names, or nil.
func settingAt(in reflect.Type, path []string) *strict.Field {
	f := strict.ShapeOf(in).ByName[path[0]]
	if f == nil || len(path) == 1 {
		return f
	}
	return settingAt(elementOf(f.Type), path[1:])
}

// decoded returns the value of a YAML text.
func decoded(text string) (v any) {
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		panic(err)
	}
	return v
}

// memberAt returns the mapping that has the last name of a path. It uses the first element of lists.
func memberAt(in any, path []string) map[string]any {
	if list, ok := in.([]any); ok && len(list) > 0 {
		return memberAt(list[0], path)
	}
	m, ok := in.(map[string]any)
	if !ok || len(path) == 1 {
		return m
	}
	return memberAt(m[path[0]], path[1:])
}

// valueAt returns the value at a path.
func valueAt(in any, path []string) (any, bool) {
	v, found := memberAt(in, path)[path[len(path)-1]]
	return v, found
}

// withValue returns the paste of a row with another value.
func withValue(t *testing.T, p parameter, value any) string {
	t.Helper()
	path := strings.Split(strings.ReplaceAll(p.name, "[]", ""), ".")
	root := decoded("{" + p.paste + "}")
	memberAt(root, path)[path[len(path)-1]] = value
	text, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return string(text[1 : len(text)-1])
}
