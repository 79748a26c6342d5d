package importer

import (
	"regexp"
	"testing"
)

// TestReadPattern compares what a pattern is said to match with what its regular expression matches.
func TestReadPattern(t *testing.T) {
	paths := []string{"/", "/a", "/a/", "/a/b", "/ab", "/A", "/a/b/c", "/x/a", "/aa", "/a.b", "/axb"}
	for text, want := range map[string]pathPattern{
		"^/a":            {"/a", textPattern},
		"^/a/":           {"/a/", textPattern},
		"^/a.*":          {"/a", textPattern},
		"^/a/.*$":        {"/a/", textPattern},
		"^/a$":           {"/a", exactPattern},
		"^/a\\.b$":       {"/a.b", exactPattern},
		"^(/a)$":         {"/a", exactPattern},
		"^/a(/|$)":       {"/a", segmentPattern},
		"^/a(/.*)?$":     {"/a", segmentPattern},
		"^/a/(/|$)":      {"/a/", otherPattern},
		"^/a.b$":         {"/a", otherPattern},
		"^/(a|b)$":       {"/", otherPattern},
		"^/a/?$":         {"/a", otherPattern},
		"^/a+":           {"/", otherPattern},
		"(?i)^/a":        {"", otherPattern},
		"(?m)^/a$":       {"/a", otherPattern},
		"/a":             {"", otherPattern},
		"\\.png$":        {"", otherPattern},
		"^/a|^/b":        {"", otherPattern},
		"^/a$|/admin":    {"", otherPattern},
		"":               {"", otherPattern},
		"^":              {"", textPattern},
		"^/a.+":          {"/a", otherPattern},
		"^/a\\b":         {"/a", otherPattern},
		"^/x/a|(/|$)":    {"", otherPattern},
		"^/a|b(/|$)":     {"", otherPattern},
		"^/(?:a|x)(/|$)": {"/", otherPattern},
	} {
		got, err := readPattern(text)
		if err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
		for _, path := range paths {
			if matches := regexp.MustCompile(text).MatchString(path); got.kind != otherPattern && matches != got.matches(path) {
				t.Errorf("%q: %s: the pattern says %v, the expression %v", text, path, got.matches(path), matches)
			}
		}
	}
}

// matches reports whether a path is one that the pattern describes.
func (p pathPattern) matches(path string) bool {
	switch p.kind {
	case exactPattern:
		return path == p.prefix
	case textPattern:
		return len(path) >= len(p.prefix) && path[:len(p.prefix)] == p.prefix
	case segmentPattern:
		return within(path, p.prefix)
	}
	return false
}
