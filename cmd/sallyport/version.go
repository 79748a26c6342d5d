package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// The linker sets these: -X main.version=... -X main.commit=... -X main.date=...
var (
	version = "devel"
	commit  = ""
	date    = "" // of the commit, YYYY-MM-DD
)

// revision returns the commit: that of the linker, or of the Go toolchain.
func revision() string { return cmp.Or(commit, buildSetting("vcs.revision"), "unknown") }

// day returns the commit's date: that of the linker, or of the Go toolchain. It is "" for a build outside a repository.
func day() string {
	written, _, _ := strings.Cut(buildSetting("vcs.time"), "T")
	return cmp.Or(date, written)
}

// buildSetting returns a setting that the Go toolchain has written into the binary, or "".
func buildSetting(key string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == key {
				return s.Value
			}
		}
	}
	return ""
}

// versionLine returns the output of sallyport version.
func versionLine() string {
	return fmt.Sprintf("sallyport %s commit %s %s %s/%s", version, revision(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
