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

// TestLeftOut runs, for each of Kong's parameters that testdata/kong-parameters.txt says a scenario shows, that scenario with
// the parameter left out: it must fail. The race detector would only make it slow, so `make unit` runs it without.
func TestLeftOut(t *testing.T) {
	data, err := os.ReadFile("../../testdata/kong-parameters.txt")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for line := range strings.Lines(string(data)) {
		column := strings.SplitN(strings.TrimSuffix(line, "\n"), " | ", 3)
		if len(column) != 3 {
			continue
		}
		scenario, works := strings.CutPrefix(column[2], "works ")
		if works && !strings.Contains(scenario, " ") {
			name := column[0]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				leaveOut(t, dir, scenario, name)
			})
		}
	}
}

// leaveOut expects that a scenario fails without a parameter.
func leaveOut(t *testing.T, dir, scenario, name string) {
	archive, err := txtar.ParseFile("../../testdata/" + scenario + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	changed := false
	for i := range archive.Files {
		f := &archive.Files[i]
		if !strings.HasSuffix(f.Name, ".yaml") {
			continue
		}
		if text, ok := without(t, f.Data, name); ok {
			f.Data, changed = text, true
		}
	}
	if !changed {
		t.Fatalf("the scenario %s doesn't say %s", scenario, name)
	}
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
			Files: []string{file}, Setup: setUp, Cmds: words, RequireExplicitExec: true, RequireUniqueNames: true,
		})
	}()
	if !result.failed {
		t.Errorf("the scenario %s passes without %s", scenario, name)
	}
}

// An expectation is a testscript.T that notes a failure instead of reporting it.
type expectation struct {
	*testing.T
	failed bool
}

// errEnded ends a scenario that has failed.
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

// without returns a YAML file without a parameter, in whatever oidc block and spelling, and whether it was there.
func without(t *testing.T, file []byte, name string) ([]byte, bool) {
	var document yaml.Node
	if yaml.Unmarshal(file, &document) != nil || len(document.Content) == 0 {
		return file, false // a file that a scenario has wrong on purpose
	}
	found := false
	for _, block := range oidcBlocks(document.Content[0]) {
		found = remove(block, strings.Split(name, ".")) || found
	}
	text, err := yaml.Marshal(&document)
	if err != nil {
		t.Fatal(err)
	}
	return text, found
}

// oidcBlocks returns the oidc blocks of a file: the process's, its routes', and their issuers' entries.
func oidcBlocks(root *yaml.Node) (blocks []*yaml.Node) {
	files := []*yaml.Node{root}
	if routes := member(root, "routes"); routes != nil && routes.Kind == yaml.SequenceNode {
		files = append(files, routes.Content...)
	}
	for _, f := range files {
		block := member(f, "oidc")
		if block == nil {
			continue
		}
		blocks = append(blocks, block)
		if issuers := member(block, "issuers"); issuers != nil {
			blocks = append(blocks, issuers.Content...)
		}
	}
	return blocks
}

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

// remove takes a parameter out of a mapping, where it may be nested by a prefix (session: {storage: ...}).
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
