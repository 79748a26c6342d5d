package main

import (
	"strings"
	"testing"
	"time"
)

// TestPackageVersion checks versions of git describe, and that dpkg and rpm sort them in the order of the table.
func TestPackageVersion(t *testing.T) {
	table := []struct{ described, want string }{
		{"abcdef0", "0.0.0~20260102030405.abcdef012345"},
		{"v1.2.3-rc1", "1.2.3~rc1"},
		{"v1.2.3", "1.2.3"},
		{"v1.2.3-dirty", "1.2.3+dirty"},
		{"v1.2.3-4-gabcdef0", "1.2.3+4.gabcdef0"},
		{"v1.2.3-4-gabcdef0-dirty", "1.2.3+4.gabcdef0.dirty"},
		{"v1.2.10", "1.2.10"},
	}
	before := ""
	for _, c := range table {
		s := Stamp{Version: c.described, Commit: "abcdef012345", Time: time.Unix(1767323045, 0).UTC()}
		got := s.PackageVersion()
		if got != c.want {
			t.Errorf("%s: got %s, expected %s", c.described, got, c.want)
		}
		if before != "" && c.described != "v1.2.3-4-gabcdef0" { // a changed file is no later than the next commit, nor earlier
			mustRun(t, ".", "dpkg", "--compare-versions", got, "gt", before)
			if out := mustRun(t, ".", "rpm", "--eval", "%{lua:print(rpm.vercmp('"+got+"', '"+before+"'))}"); out != "1\n" {
				t.Errorf("rpm doesn't sort %s after %s: %s", got, before, out)
			}
		}
		before = got
	}
}

// TestSourceDate checks that SOURCE_DATE_EPOCH must be a number, and that a folder without git is refused with the reason.
func TestSourceDate(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err := sourceDate("."); err == nil || !strings.Contains(err.Error(), `expected seconds since 1970, got "yesterday"`) {
		t.Errorf("got %v", err)
	}
	if _, err := stampOf(t.TempDir()); err == nil || !strings.Contains(err.Error(), "a release is built from a git repository") {
		t.Errorf("got %v", err)
	}
}
