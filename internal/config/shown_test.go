package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sallyport/internal/strict"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// checkShown looks whether what is to show a setting mentions it. Its path is below the struct in.
func checkShown(t *testing.T, name, shown string, in reflect.Type, path string) {
	t.Helper()
	folder, test, ofGo := strings.Cut(shown, " ")
	if !ofGo {
		checkScenario(t, name, shown, path)
		return
	}
	names := strings.Split(strings.ReplaceAll(path, "[]", ""), ".")
	field := goName(in, names)
	files, _ := filepath.Glob("../../" + folder + "/*_test.go")
	var tests strings.Builder // and what they begin with
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(data)
	}
	said := regexp.MustCompile(`\b(` + field + `\b|` + names[len(names)-1] + `:)`) // as a field, or as a key
	if !strings.Contains(tests.String(), "\nfunc "+test+"(t *testing.T) {\n") || !said.MatchString(tests.String()) {
		t.Errorf("%s: the tests of %s have no %s, or don't say %s", name, folder, test, field)
	}
}

// checkScenario looks whether a file of a scenario has a key at the end of a path, in whatever block. That this is the
// setting, and that the scenario fails without it, is what TestLeftOut of cmd/sallyport says.
func checkScenario(t *testing.T, name, scenario, path string) {
	t.Helper()
	archive, err := txtar.ParseFile("../../testdata/" + scenario + ".txtar")
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	for _, f := range archive.Files {
		if !strings.HasSuffix(f.Name, ".yaml") {
			continue
		}
		var r strict.Report
		if root := r.Parse("file", f.Data); root != nil && slices.ContainsFunc(append(members(root, ""), namesIn(string(f.Data))...), func(n string) bool {
			return n == path || strings.HasSuffix(n, "."+path)
		}) {
			return
		}
	}
	t.Errorf("%s: the scenario %s doesn't say it", name, scenario)
}

// goName is the last name of the field in which a parameter ends up.
func goName(in reflect.Type, path []string) string {
	f := strict.ShapeOf(in).ByName[path[0]]
	if len(path) == 1 {
		return in.FieldByIndex(f.Index).Name
	}
	return goName(elementOf(f.Type), path[1:])
}
