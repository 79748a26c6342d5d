package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestImportPage types the commands of configs/import.md, with the file of Kong that it shows.
func TestImportPage(t *testing.T) {
	page, err := os.ReadFile("../../configs/import.md")
	if err != nil {
		t.Fatal(err)
	}
	var script, want strings.Builder
	script.WriteString("exec 2>&1\n")
	folder, kind := t.TempDir(), ""
	kong := ""
	for line := range strings.Lines(string(page)) {
		text := strings.TrimPrefix(line, "   ")
		command, isCommand := strings.CutPrefix(text, "$ ")
		switch {
		case strings.HasPrefix(text, "```"):
			kind = strings.TrimSpace(strings.TrimPrefix(text, "```"))
		case kind == "yml":
			kong += text
		case kind == "console" && isCommand:
			script.WriteString("echo '$ '\n" + command)
			want.WriteString("$ \n")
		case kind == "console":
			want.WriteString(text)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "kong.yaml"), []byte(kong), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "sh", "-c", script.String())
	shell.Dir = folder
	got, err := shell.CombinedOutput()
	if err != nil {
		t.Errorf("the commands of the page: %v", err)
	}
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want.String()), `\.\.\.`, `(?s:.*?)`)
	if !regexp.MustCompile(`^` + pattern + `$`).Match(got) {
		t.Errorf("expected the output of the page\n%s\ngot\n%s", want.String(), got)
	}
}
