package kubernetes

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A typed is a command on a page, with the output that the page shows.
type typed struct {
	line    int
	command string
	shown   []string
}

// TestPage types the commands of configs/kubernetes.md in a folder with a checkout's deploy and bin, and compares what they print. In the
// shown output "..." stands for anything on a line.
func TestPage(t *testing.T) {
	t.Parallel()
	all := mustReadPage(t, filepath.Join(root, "configs/kubernetes.md"))
	if len(all) < 15 {
		t.Fatalf("the page shows %d commands", len(all))
	}
	printed := mustType(t, all)
	for i, c := range all {
		shown := strings.Join(c.shown, "\n")
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(shown), `\.\.\.`, `[^\n]*`) + "$"
		if !regexp.MustCompile(pattern).MatchString(printed[i]) {
			t.Errorf("kubernetes.md:%d: %s\nthe page shows\n%s\nand this came back\n%s", c.line, c.command, shown, printed[i])
		}
	}
}

// mustReadPage returns the commands in the console blocks of a page.
func mustReadPage(t *testing.T, page string) (all []*typed) {
	t.Helper()
	inside := false
	for n, line := range strings.Split(mustRead(t, page), "\n") {
		switch last := len(all) - 1; {
		case line == "```console" || line == "```":
			inside = line == "```console"
		case !inside:
		case strings.HasPrefix(line, "$ "):
			all = append(all, &typed{line: n + 1, command: line[2:]})
		case strings.HasPrefix(line, "> ") && all[last].shown == nil:
			all[last].command += "\n" + line[2:]
		default:
			all[last].shown = append(all[last].shown, line)
		}
	}
	return all
}

// mustType types commands into one shell, and returns what each printed.
func mustType(t *testing.T, all []*typed) []string {
	t.Helper()
	dir := t.TempDir()
	for name, target := range map[string]string{"deploy": filepath.Join(root, "deploy"), "bin/sallyport": binary} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	var script strings.Builder
	for _, c := range all {
		fmt.Fprintf(&script, "%s\nprintf '\\036'\n", c.command)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "-c", script.String())
	shell.Dir = dir
	shell.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C", "PATH="+filepath.Dir(helm)+":"+os.Getenv("PATH"))
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("the commands: %v\n%s", err, out)
	}
	printed := strings.Split(string(out), "\x1e")
	for i := range printed {
		printed[i] = strings.TrimSuffix(printed[i], "\n")
	}
	return printed
}
