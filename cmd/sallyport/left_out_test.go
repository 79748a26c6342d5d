//go:build !race

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/tools/txtar"
	"gopkg.in/yaml.v3"
)

// TestLeftOut checks that scenarios depend on the settings that they show. For each setting in testdata/kong-parameters.txt and
// testdata/settings.txt with a scenario, it removes the setting from the scenario, which must fail then. The build tag excludes
// it from race tests, because it would be slow.
func TestLeftOut(t *testing.T) {
	dir := t.TempDir()
	for table, block := range map[string]string{"kong-parameters": "oidc.", "settings": ""} {
		data, err := os.ReadFile("../../testdata/" + table + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			column := strings.Split(strings.TrimSuffix(line, "\n"), " | ")
			scenario, works := strings.CutPrefix(column[len(column)-1], "works ")
			if works && !strings.Contains(scenario, " ") {
				name := block + column[0]
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					leaveOut(t, dir, scenario, name)
				})
			}
		}
	}
}

// leaveOut checks that a scenario fails without a setting.
func leaveOut(t *testing.T, dir, scenario, name string) {
	archive, changed := changeFiles(t, scenario, func(file []byte) ([]byte, bool) { return without(t, file, name) })
	if !changed {
		t.Fatalf("the scenario %s doesn't have the setting %s", scenario, name)
	}
	if passes(t, dir, name, archive) {
		t.Errorf("the scenario %s passes without %s", scenario, name)
	}
}

// changeFiles calls change for each YAML file of a scenario. It returns the scenario and whether a file has changed.
func changeFiles(t *testing.T, scenario string, change func(file []byte) ([]byte, bool)) (archive *txtar.Archive, changed bool) {
	t.Helper()
	archive, err := txtar.ParseFile("../../testdata/" + scenario + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	for i := range archive.Files {
		f := &archive.Files[i]
		if !strings.HasSuffix(f.Name, ".yaml") {
			continue
		}
		if text, ok := change(f.Data); ok {
			f.Data, changed = text, true
		}
	}
	return archive, changed
}

// passes runs a scenario and reports whether it passes. It writes the scenario to a file called name.
func passes(t *testing.T, dir, name string, archive *txtar.Archive) bool {
	t.Helper()
	file := filepath.Join(dir, strings.NewReplacer("[]", "", ".", "-").Replace(name)+".txtar")
	if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
		t.Fatal(err)
	}
	result := &expectation{T: t}
	func() {
		defer func() {
			if r := recover(); r != nil && r != errEnded {
				panic(r)
			}
		}()
		testscript.RunT(result, testscript.Params{
			Files: []string{file}, Setup: setUp, Cmds: commands, RequireExplicitExec: true, RequireUniqueNames: true,
		})
	}()
	return !result.failed
}

// An expectation is a testscript.T that records a failure instead of reporting it.
type expectation struct {
	*testing.T
	failed bool
}

// errEnded is the panic value that ends a failed scenario.
var errEnded = new(int)

func (e *expectation) Parallel()        {}
func (e *expectation) Verbose() bool    { return false }
func (e *expectation) Log(...any)       {}
func (e *expectation) Skip(args ...any) { e.T.Fatal(args...) }
func (e *expectation) Fatal(...any)     { e.FailNow() }
func (e *expectation) FailNow()         { e.failed = true; panic(errEnded) }
func (e *expectation) Run(_ string, f func(testscript.T)) {
	defer func() {
		if r := recover(); r != nil && r != errEnded {
			panic(r)
		}
	}()
	f(e)
}

// without removes a setting from all blocks of a YAML file, nested or not. It reports whether the file had the setting.
func without(t *testing.T, file []byte, name string) ([]byte, bool) {
	var document yaml.Node
	if yaml.Unmarshal(file, &document) != nil || len(document.Content) == 0 {
		return file, false // an invalid file of the scenario
	}
	found := false
	blocks, path := blocksOf(document.Content[0], name)
	for _, block := range blocks {
		found = remove(block, strings.Split(path, ".")) || found
	}
	text, err := yaml.Marshal(&document)
	if err != nil {
		t.Fatal(err)
	}
	return text, found
}

// blocksOf returns the blocks of a file that may have a setting, and the path of the setting in these blocks.
func blocksOf(root *yaml.Node, name string) (blocks []*yaml.Node, path string) {
	key, path, _ := strings.Cut(name, ".")
	files := []*yaml.Node{root}
	if routes := member(root, "routes"); routes != nil && routes.Kind == yaml.SequenceNode {
		files = append(files, routes.Content...)
	}
	for _, f := range files {
		switch oidc := member(f, "oidc"); {
		case key == "route":
			if route := member(f, key); route != nil {
				blocks = append(blocks, route)
			}
		case key == "rules[]":
			blocks = append(blocks, elements(member(f, "rules"))...)
		case oidc != nil && key == "issuers[]":
			blocks = append(blocks, elements(member(oidc, "issuers"))...)
		case oidc != nil && key == "oidc":
			blocks = append(append(blocks, oidc), elements(member(oidc, "issuers"))...)
		}
	}
	if key != "route" && key != "rules[]" && key != "issuers[]" && key != "oidc" {
		return []*yaml.Node{root}, name
	}
	return blocks, path
}

// elements returns the elements of a list, or nil.
func elements(n *yaml.Node) []*yaml.Node {
	if n == nil {
		return nil
	}
	return n.Content
}

// member returns the value of a key of a mapping, or nil.
func member(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// remove removes a setting from a mapping, where a part of its name may be a nested mapping (session: {storage: ...}). It
// reports whether the mapping had the setting.
func remove(n *yaml.Node, path []string) bool {
	if n.Kind == yaml.SequenceNode {
		found := false
		for _, item := range n.Content {
			found = remove(item, path) || found
		}
		return found
	}
	if n.Kind != yaml.MappingNode {
		return false
	}
	found, name := false, strings.TrimSuffix(path[0], "[]")
	for i := len(n.Content) - 2; i >= 0; i -= 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		rest, nested := strings.CutPrefix(name, key+"_")
		switch {
		case key == name && len(path) == 1:
			n.Content, found = slices.Delete(n.Content, i, i+2), true
		case key == name:
			found = remove(value, path[1:]) || found
		case nested:
			found = remove(value, append([]string{rest}, path[1:]...)) || found
		}
	}
	return found
}
