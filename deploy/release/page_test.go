package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPage types the commands in the console blocks of configs/releases.md in the folder of a release, and compares their output with the
// page's: "..." stands for anything.
func TestPage(t *testing.T) {
	b, folder := mustBuild(t), t.TempDir()
	for _, name := range []string{checksums, "sallyport_1.2.3_linux_amd64.tar.gz"} { // what a reader has downloaded
		if err := copyFile(filepath.Join(b.dist, name), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	page := string(mustRead(t, "../../configs/releases.md"))
	blocks := regexp.MustCompile("(?s)```console\n(.*?)```").FindAllStringSubmatch(page, -1)
	if len(blocks) < 3 {
		t.Fatalf("the page has %d console blocks", len(blocks))
	}
	for _, block := range blocks {
		for _, typed := range strings.Split("\n"+block[1], "\n$ ")[1:] {
			line, shown, _ := strings.Cut(typed, "\n")
			out := mustType(t, folder, line)
			want := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(shown)), `\.\.\.`, `(?s:.*)`)
			if !regexp.MustCompile("^" + want + "$").MatchString(strings.TrimSpace(out)) {
				t.Errorf("%s\ngot\n%s\nthe page shows\n%s", line, out, shown)
			}
		}
	}
}

// mustType runs a command line in bash.
func mustType(t *testing.T, folder, line string) string {
	t.Helper()
	cmd := exec.Command("bash", "-eo", "pipefail", "-c", line)
	cmd.Dir, cmd.Env = folder, append(os.Environ(), "MANPAGER=cat", "MANWIDTH=80", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w\n%s", line, err, out))
	}
	return string(out)
}
