package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// pageOfScenario matches the command of scenarios that runs a configuration of a page.
var pageOfScenario = regexp.MustCompile(`(?m)^page \S+ (\S+) (\d+)$`)

// TestPagesOfProviders checks that the table of configs/providers names each page, and that a scenario runs each whole configuration.
// Those of keycloak.md run against Keycloak in package e2e.
func TestPagesOfProviders(t *testing.T) {
	table, err := os.ReadFile("../../configs/providers/README.md")
	if err != nil {
		t.Fatal(err)
	}
	run, pages := pagesInScenarios(t), 0
	for _, p := range mustReadPages(t) {
		name := filepath.Base(p.name)
		if filepath.Base(filepath.Dir(p.name)) != "providers" || name == "README.md" {
			continue
		}
		pages++
		if !strings.Contains(string(table), "]("+name+")") {
			t.Errorf("the table of providers doesn't name %s", name)
		}
		for n, snippet := range strings.Split(strings.Join(p.lines, "\n"), "```yaml\n")[1:] {
			isWhole := strings.HasPrefix(snippet, "route:")
			if isWhole && name != "keycloak.md" && !slices.Contains(run, fmt.Sprintf("%s %d", name, n+1)) {
				t.Errorf("%s: no scenario runs the configuration %d", name, n+1)
			}
		}
	}
	if pages < 14 {
		t.Errorf("only %d pages were found", pages)
	}
}

// pagesInScenarios returns the configurations that scenarios run, each as the page and the number in it.
func pagesInScenarios(t *testing.T) (all []string) {
	t.Helper()
	files, err := filepath.Glob("../../testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pageOfScenario.FindAllStringSubmatch(string(data), -1) {
			all = append(all, m[1]+" "+m[2])
		}
	}
	return all
}
