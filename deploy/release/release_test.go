package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// all makes the tests build for all targets. Without it they build for Linux, which takes half of the time.
var all = flag.Bool("all", false, "build for all targets, as make release does")

// testTargets returns the targets that the tests build for.
func testTargets() []Target {
	if *all {
		return targets
	}
	return targets[:2]
}

// A built is a release that the tests have built, with the folder of its sources.
type built struct{ source, dist string }

var (
	buildOnce  sync.Once
	theRelease built
	buildErr   error
)

// TestMain removes the release that the tests share.
func TestMain(m *testing.M) {
	code := m.Run()
	if theRelease.source != "" {
		os.RemoveAll(filepath.Dir(theRelease.source))
	}
	os.Exit(code)
}

// mustBuild returns a release of the files of this repository, built once for all tests.
func mustBuild(t *testing.T) built {
	t.Helper()
	buildOnce.Do(func() {
		var folder string
		if folder, buildErr = os.MkdirTemp("", "release-test-"); buildErr == nil {
			theRelease, buildErr = buildCopy("../..", folder)
		}
	})
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return theRelease
}

// buildCopy copies the files of a repository to a folder, commits them there as v1.2.3, and builds a release.
func buildCopy(repository, folder string) (b built, err error) {
	b = built{filepath.Join(folder, "source"), filepath.Join(folder, "dist")}
	list, err := exec.Command("git", "-C", repository, "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	if err != nil {
		return b, err
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if err := copyFile(filepath.Join(repository, name), filepath.Join(b.source, name)); err != nil {
			return b, err
		}
	}
	for _, command := range [][]string{{"init", "-q"}, {"add", "-A", "-f"}, {"commit", "-q", "-m", "A release"}, {"tag", "v1.2.3"}} {
		if err := gitCommit(b.source, command...); err != nil {
			return b, err
		}
	}
	return b, run(b.source, b.dist, testTargets())
}

// copyFile copies a file of the repository. One that is deleted and not yet committed doesn't exist.
func copyFile(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, content, info.Mode().Perm())
}

// gitCommit runs git with an author and a date of its own, so that equal files are equal commits.
func gitCommit(folder string, args ...string) error {
	cmd := exec.Command("git", append([]string{"-C", folder, "-c", "commit.gpgSign=false"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_AUTHOR_DATE=2026-01-02T03:04:05Z",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_COMMITTER_DATE=2026-01-02T03:04:05Z")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %v: %w: %s", args, err, out)
	}
	return nil
}

// TestReproducible builds the release a second time, in another folder, time zone and language and from files with other permissions and
// times, and compares every byte.
func TestReproducible(t *testing.T) {
	first := mustBuild(t)
	t.Setenv("TZ", "Asia/Kathmandu")
	t.Setenv("LC_ALL", "C")
	t.Setenv("GOFLAGS", "-tags=other")
	t.Setenv("GOAMD64", "v2")
	defer syscall.Umask(syscall.Umask(0o077))
	second, err := buildCopy(first.source, filepath.Join(t.TempDir(), "a folder/with another name")) // not of files that change meanwhile
	if err != nil {
		t.Fatal(err)
	}
	names := mustList(t, first.dist)
	if other := mustList(t, second.dist); !slices.Equal(names, other) {
		t.Errorf("the second build has the files %q, the first %q", other, names)
	}
	if len(names) != fileCount(testTargets()) {
		t.Errorf("%d files, expected %d: %q", len(names), fileCount(testTargets()), names)
	}
	for _, name := range names {
		a, b := mustRead(t, filepath.Join(first.dist, name)), mustRead(t, filepath.Join(second.dist, name))
		if !bytes.Equal(a, b) {
			t.Errorf("%s differs between the two builds", name)
		}
	}
}

// fileCount returns the number of files of a release: an archive and an SBOM for each target, two packages for Linux, the Helm chart, and
// the checksums.
func fileCount(targets []Target) int {
	n := 2
	for _, t := range targets {
		n += 2
		if t.OS == "linux" {
			n += 2
		}
	}
	return n
}

// TestChecksums lets sha256sum check the files, also after one has changed.
func TestChecksums(t *testing.T) {
	b := mustBuild(t)
	folder := t.TempDir()
	for _, name := range mustList(t, b.dist) {
		if err := copyFile(filepath.Join(b.dist, name), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	out := mustRun(t, folder, "sha256sum", "-c", checksums)
	if n := strings.Count(out, ": OK\n"); n != fileCount(testTargets())-1 {
		t.Errorf("sha256sum checked %d files, expected %d: %s", n, fileCount(testTargets())-1, out)
	}
	changed := filepath.Join(folder, "sallyport_1.2.3_linux_amd64.tar.gz")
	if err := os.WriteFile(changed, append(mustRead(t, changed), 0), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sha256sum", "-c", "--quiet", checksums)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("sha256sum accepts a changed file: %s", out)
	}
}

// mustRun runs a program in a folder and returns its output.
func mustRun(t *testing.T, folder, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// mustList returns the names of the files in a folder.
func mustList(t *testing.T, folder string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// mustContain checks that a text has a line with each of the words.
func mustContain(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%s: expected %q in\n%s", what, w, text)
		}
	}
}
