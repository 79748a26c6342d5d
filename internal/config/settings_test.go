package config

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"sallyport/internal/mcp"
	"sallyport/internal/proxy"
	"sallyport/internal/strict"
)

// settingsRoots has the structs that a file is decoded into, by the prefix of their settings' names.
var settingsRoots = map[string]reflect.Type{
	"": reflect.TypeFor[File](), "route.": reflect.TypeFor[proxy.RouteSettings](), "rules[].": reflect.TypeFor[Rule](),
	"mcp.":       reflect.TypeFor[mcp.Settings](),
	"issuers[].": reflect.TypeFor[IssuerEntry](), "oidc.": reflect.TypeFor[OIDC](),
}

// TestSettings compares testdata/settings.txt with the structs: each setting that isn't Kong's has a row with a test or scenario that shows
// its effect, and each row has a setting.
func TestSettings(t *testing.T) {
	rows := readSettings(t)
	for _, name := range namedSettings() {
		shown, found := rows[name]
		delete(rows, name)
		if !found {
			t.Errorf("%s has no row: add one with a test or scenario that shows its effect", name)
			continue
		}
		in, path := rootOf(name)
		how, what, _ := strings.Cut(shown, " ")
		switch how {
		case "works":
			checkShown(t, name, what, in, path)
		case "as":
			checkSameField(t, name, what)
		default:
			t.Errorf("%s: expected works or as: %s", name, shown)
		}
	}
	for name := range rows {
		t.Errorf("%s has a row and isn't a setting", name)
	}
}

// readSettings returns the rows of testdata/settings.txt by name.
func readSettings(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("../../testdata/settings.txt")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		name, shown, ok := strings.Cut(line, " | ")
		if _, twice := rows[name]; twice || !ok {
			t.Errorf("expected two columns, and a name that has no row yet: %s", line)
		}
		rows[name] = shown
	}
	return rows
}

// namedSettings returns all settings that aren't Kong's.
func namedSettings() (names []string) {
	for prefix, root := range settingsRoots {
		if prefix != "oidc." {
			eachKey(prefix, root, func(name string, _ *strict.Field, _ string) { names = append(names, name) })
		}
	}
	for _, name := range ours {
		names = append(names, "oidc."+name)
	}
	return names
}

// rootOf returns the struct of settingsRoots that has a setting, and the path of the setting there.
func rootOf(name string) (in reflect.Type, path string) {
	if first, rest, found := strings.Cut(name, "."); found && settingsRoots[first+"."] != nil {
		return settingsRoots[first+"."], rest
	}
	return settingsRoots[""], name
}

// checkSameField checks that two settings are the same field of one struct, so that a test of one is a test of the other.
func checkSameField(t *testing.T, name, other string) {
	t.Helper()
	owner := func(name string) (reflect.Type, string) {
		in, path := rootOf(name)
		names := strings.Split(strings.ReplaceAll(path, "[]", ""), ".")
		if len(names) > 1 {
			in = elementOf(settingAt(in, names[:len(names)-1]).Type)
		}
		return in, names[len(names)-1]
	}
	in, key := owner(name)
	otherIn, otherKey := owner(other)
	if in != otherIn || key != otherKey {
		t.Errorf("%s isn't the same field as %s", name, other)
	}
}
