package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestImportPages types the commands of the pages about imports, with the files that they show.
func TestImportPages(t *testing.T) {
	for page, file := range map[string]string{
		"import.md": "kong.yaml", "import-oauth2-proxy.md": "oauth2-proxy.cfg", "import-mod_auth_openidc.md": "portal.conf",
	} {
		t.Run(page, func(t *testing.T) {
			text, err := os.ReadFile("../../configs/" + page)
			if err != nil {
				t.Fatal(err)
			}
			source, script, want := pageCommands(string(text))
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, file), []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			shell := exec.CommandContext(ctx, "sh", "-c", script)
			shell.Dir = folder
			got, err := shell.CombinedOutput()
			if err != nil {
				t.Errorf("the commands of the page: %v", err)
			}
			pattern := strings.ReplaceAll(regexp.QuoteMeta(want), `\.\.\.`, `(?s:.*?)`)
			if !regexp.MustCompile(`^` + pattern + `$`).Match(got) {
				t.Errorf("expected the output of the page\n%s\ngot\n%s", want, got)
			}
		})
	}
}

// sourceKinds are the kinds of blocks that show files of other systems. A block of the gate's own YAML is yaml.
var sourceKinds = []string{"yml", "toml", "apache"}

// pageCommands returns the file that a page shows, a script of its commands, and what they print.
func pageCommands(page string) (source, script, want string) {
	kind, script := "", "exec 2>&1\n"
	for line := range strings.Lines(page) {
		text := strings.TrimPrefix(line, "   ")
		command, isCommand := strings.CutPrefix(text, "$ ")
		switch {
		case strings.HasPrefix(text, "```"):
			kind = strings.TrimSpace(strings.TrimPrefix(text, "```"))
		case slices.Contains(sourceKinds, kind):
			source += text
		case kind == "console" && isCommand:
			script += "echo '$ '\n" + command
			want += "$ \n"
		case kind == "console":
			want += text
		}
	}
	return source, script, want
}
