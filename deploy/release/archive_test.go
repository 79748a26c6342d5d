package main

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestArchive extracts the archives, runs the binary of this machine's system, and follows the links of the README.
func TestArchive(t *testing.T) {
	b := mustBuild(t)
	for _, target := range testTargets() {
		r := Release{Stamp: Stamp{Version: "v1.2.3"}}
		folder := t.TempDir()
		listing := mustRun(t, folder, "tar", "--numeric-owner", "--utc", "-tvzf", filepath.Join(b.dist, r.base(target)+".tar.gz"))
		for line := range strings.Lines(listing) {
			if !strings.Contains(line, " 0/0 ") || !strings.Contains(line, " 2026-01-02 03:04 "+r.base(target)+"/") {
				t.Errorf("%v: expected owner 0/0, the commit's time and one folder: %s", target, line)
			}
		}
		mustContain(t, target.String(), listing, "/LICENSE\n", "/README.md\n", "/CHANGELOG.md\n", "/man/sallyport.1\n",
			"/completions/_sallyport\n", "/completions/sallyport.bash\n", "/completions/sallyport.fish\n", "/configs/minimal.yaml\n")
		mustRun(t, folder, "tar", "-xzf", filepath.Join(b.dist, r.base(target)+".tar.gz"))
		checkBinary(t, filepath.Join(folder, r.base(target), "sallyport"), target)
		checkLinks(t, filepath.Join(folder, r.base(target)))
	}
}

// checkBinary checks the system of a binary and that it is static, and runs it if it is for this machine.
func checkBinary(t *testing.T, name string, target Target) {
	t.Helper()
	kind := map[Target]string{
		{"linux", "amd64"}: "ELF 64-bit LSB executable, x86-64", {"linux", "arm64"}: "ELF 64-bit LSB executable, ARM aarch64",
		{"darwin", "amd64"}: "Mach-O 64-bit x86_64 executable", {"darwin", "arm64"}: "Mach-O 64-bit arm64 executable",
	}[target]
	out := mustRun(t, ".", "file", "-b", name)
	mustContain(t, target.String(), out, kind)
	if target.OS == "linux" {
		mustContain(t, target.String(), out, "statically linked")
	}
	if target == (Target{runtime.GOOS, runtime.GOARCH}) {
		mustContain(t, "sallyport version", mustRun(t, ".", name, "version"), "sallyport v1.2.3 commit ", " "+target.String()+"\n")
		mustContain(t, "sallyport man", mustRun(t, ".", name, "man"), ".TH SALLYPORT 1 2026-01-02 ")
	}
}

var link = regexp.MustCompile(`\]\(([a-zA-Z][^):#]*)[)#]`)

// checkLinks checks that the README's links to files lead somewhere. CONTRIBUTING.md is for people who have the repository.
func checkLinks(t *testing.T, folder string) {
	t.Helper()
	links := link.FindAllStringSubmatch(string(mustRead(t, filepath.Join(folder, "README.md"))), -1)
	if len(links) < 10 {
		t.Fatalf("the README has %d links", len(links))
	}
	for _, m := range links {
		if _, err := os.Stat(filepath.Join(folder, m[1])); err != nil && m[1] != "CONTRIBUTING.md" {
			t.Errorf("the README's link %s: %v", m[1], err)
		}
	}
}
