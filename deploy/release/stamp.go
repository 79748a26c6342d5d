package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// A Stamp says which commit a release is built from.
type Stamp struct {
	Version string    // of git describe: v1.2.3, v1.2.3-4-gabcdef0, or abcdef0 without a tag; -dirty if files differ from the commit
	Commit  string    // abbreviated
	Time    time.Time // of the commit, or $SOURCE_DATE_EPOCH
}

// stampOf returns the stamp of the commit that is checked out.
func stampOf(repository string) (s Stamp, err error) {
	for _, v := range []struct {
		to   *string
		args []string
	}{
		{&s.Version, []string{"describe", "--tags", "--always", "--dirty", "--match", "v[0-9]*"}},
		{&s.Commit, []string{"rev-parse", "--short=12", "HEAD"}},
	} {
		if *v.to, err = git(repository, v.args...); err != nil {
			return s, err
		}
	}
	s.Time, err = sourceDate(repository)
	return s, err
}

// sourceDate returns $SOURCE_DATE_EPOCH, or the time of the commit.
func sourceDate(repository string) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		var err error
		if text, err = git(repository, "log", "-1", "--format=%ct"); err != nil {
			return time.Time{}, err
		}
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH: expected seconds since 1970, got %q", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// git returns the output of a git command without its final newline.
func git(repository string, args ...string) (string, error) {
	out, err := exec.Command("git", append([]string{"-C", repository}, args...)...).Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w (a release is built from a git repository)", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

var described = regexp.MustCompile(`^v(\d+\.\d+\.\d+)(?:-((?:rc|beta|alpha)[.\d]*))?(?:-(\d+)-(g[0-9a-f]+))?(-dirty)?$`)

// PackageVersion returns the version for deb and rpm, where it must begin with a digit and ~ sorts before nothing: 1.2.3, 1.2.3~rc1,
// 1.2.3+4.gabcdef0. Without a tag it is 0.0.0~, the commit's date and the commit, so that each release is newer than it.
func (s *Stamp) PackageVersion() string {
	m := described.FindStringSubmatch(s.Version)
	if m == nil {
		version := "0.0.0~" + s.Time.Format("20060102150405") + "." + s.Commit
		return version + dirty(strings.HasSuffix(s.Version, "-dirty"), ".")
	}
	version := m[1]
	if m[2] != "" {
		version += "~" + m[2]
	}
	if m[3] != "" {
		return version + "+" + m[3] + "." + m[4] + dirty(m[5] != "", ".")
	}
	return version + dirty(m[5] != "", "+")
}

// dirty returns what the version of changed files ends with.
func dirty(is bool, separator string) string {
	if is {
		return separator + "dirty"
	}
	return ""
}

// FileVersion returns the version in the names of files.
func (s *Stamp) FileVersion() string { return strings.TrimPrefix(s.Version, "v") }
