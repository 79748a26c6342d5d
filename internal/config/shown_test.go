package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"sallyport/internal/strict"
)

// checkShown checks that the scenario or test that shows a setting has the setting. The path is that of the setting in the struct in.
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
	var tests strings.Builder
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(data)
	}
	mention := regexp.MustCompile(`\b(` + field + `\b|` + names[len(names)-1] + `:)`) // as a field, or as a key
	if !strings.Contains(tests.String(), "\nfunc "+test+"(t *testing.T) {\n") || !mention.MatchString(tests.String()) {
		t.Errorf("%s: the tests of %s don't have %s, or don't have %s", name, folder, test, field)
	}
}

// checkScenario checks that a file of a scenario has a key with the path in any block. TestLeftOut in cmd/sallyport checks that the
// scenario fails without the setting.
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
		root := r.Parse("file", f.Data)
		if root == nil {
			continue
		}
		names := append(members(root, ""), namesIn(string(f.Data))...)
		if slices.ContainsFunc(names, func(n string) bool { return n == path || strings.HasSuffix(n, "."+path) }) {
			return
		}
	}
	t.Errorf("%s: the scenario %s doesn't have it", name, scenario)
}

// goName returns the name of the Go field of a setting.
func goName(in reflect.Type, path []string) string {
	f := strict.ShapeOf(in).ByName[path[0]]
	if len(path) == 1 {
		return in.FieldByIndex(f.Index).Name
	}
	return goName(elementOf(f.Type), path[1:])
}
