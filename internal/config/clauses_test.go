package config

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestClauses checks that each row of the tables of clauses names tests and scenarios that exist, or is not applicable.
func TestClauses(t *testing.T) {
	text, err := os.ReadFile("../../configs/flows/fapi.md")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := exec.Command("grep", "-rhoE", `^func Test\w+`, "../..", "--include=*_test.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile("`([A-Za-z0-9-]+)`")
	page, rows := doc{"fapi.md", strings.Split(string(text), "\n")}, 0
	page.rows("| clause", func(where, _ string, cells []string) {
		rows++
		named := name.FindAllStringSubmatch(regexp.MustCompile(`\(.*\)`).ReplaceAllString(cells[2], ""), -1)
		if len(named) == 0 && cells[2] != "not applicable" {
			t.Errorf("%s names no test", where)
		}
		for _, n := range named {
			if strings.HasPrefix(n[1], "Test") {
				if !strings.Contains(string(sources), "func "+n[1]+"\n") {
					t.Errorf("%s: there is no test %s", where, n[1])
				}
			} else if _, err := os.Stat("../../testdata/" + n[1] + ".txtar"); err != nil {
				t.Errorf("%s: there is no scenario %s", where, n[1])
			}
		}
	})
	if rows < 45 {
		t.Errorf("only %d rows", rows)
	}
}
