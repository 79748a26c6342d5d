package config

import (
	"os"
	"strings"
	"testing"
)

// TestVariablesAreDocumented compares the variables with their table in configs/container.md.
func TestVariablesAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../configs/container.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range variables {
		row := "| `" + v.name + "` | `" + v.path + "`"
		where := "| read where the file doesn't say it |"
		if v.noFile {
			where = "| not read |"
		}
		line := lineWith(string(page), row)
		if line == "" || !strings.HasSuffix(line, where) || strings.Contains(line, "separated by") != v.list {
			t.Errorf("configs/container.md has the line %q for %s, expected one that begins with %s and ends with %s",
				line, v.name, row, where)
		}
	}
	if rows, names := strings.Count(string(page), "\n| `SALLYPORT_"), len(variables); rows != names {
		t.Errorf("configs/container.md has %d variables, and %d are read", rows, names)
	}
}

// lineWith returns the line that begins with start, or "".
func lineWith(text, start string) string {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, start) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}
