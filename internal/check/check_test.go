package check

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sallyport/internal/auth"
)

// A recorder is a Report of settings that are written in the order of keys, one a line.
type recorder struct {
	List
	keys     []string
	warnings []string
}

func (r *recorder) line(key string) int { return slices.Index(r.keys, key) + 1 }

func (r *recorder) Warn(key, format string, args ...any) {
	r.warnings = append(r.warnings, "warning: "+key+": "+fmt.Sprintf(format, args...))
}
func (r *recorder) IsSet(key string) bool      { return r.line(key) > 0 }
func (r *recorder) Shown(key string) string    { return fmt.Sprintf("the value on line %d", r.line(key)) }
func (r *recorder) Place(key, _ string) string { return fmt.Sprintf("line %d", r.line(key)) }
func (r *recorder) InOrder(all []SentHeader) []SentHeader {
	return slices.SortedFunc(slices.Values(all), func(a, b SentHeader) int { return r.line(a.Key) - r.line(b.Key) })
}

func TestChecker(t *testing.T) {
	wrong := func(string) error { return errors.New("it is wrong") }
	generated := auth.Secret(strings.Repeat("k", MinSecret))
	paths := func(path string, protects, opens bool, literal ...string) func(Checker) {
		return func(c Checker) { c.Paths([]string{path}, literal, protects, opens) }
	}
	const inHeaders = "choose another header, or take one of them out"
	for what, row := range map[string]struct {
		keys string
		run  func(Checker)
		want string
	}{
		"Below complains": {"", func(c Checker) { c.Below("a.").Complain("b", "%d is wrong", 1) }, "a.b: 1 is wrong"},
		"Below warns":     {"", func(c Checker) { c.Below("a.").Warn("b", "odd") }, "warning: a.b: odd"},
		"Below misses":    {"", func(c Checker) { c.Below("a.").Missing("b", "b: 1") }, "a.b: it is missing: write b: 1"},
		"Below shows":     {"x a.b", func(c Checker) { c.Below("a.").One("b", "v", wrong) }, "a.b: the value on line 2: it is wrong"},
		"Below twice":     {"", func(c Checker) { c.Below("a.").Below("b.").Complain("c", "wrong") }, "a.b.c: wrong"},
		"Below knows bad keys": {"", func(c Checker) {
			c.Complain("a.b[0]", "no")
			c.Below("a.").Each("b", []string{"v"}, wrong)
		}, "a.b[0]: no"},
		"Below places": {"x a.b", func(c Checker) { c.Complain("x", "see %s", c.Below("a.").Place("b", "c")) }, "x: see line 2"},

		"Aligned":             {"x y", func(c Checker) { c.Aligned("x", 2, "y", 2) }, ""},
		"Aligned differs":     {"x y", func(c Checker) { c.Aligned("x", 1, "y", 2) }, "x: it has 1 entry and y has 2: write one for each"},
		"Aligned one missing": {"y", func(c Checker) { c.Aligned("x", 0, "y", 2) }, "y: it has 2 entries and x has 0: write one for each"},
		"Aligned bad":         {"x y", func(c Checker) { c.Complain("y", "no"); c.Aligned("x", 1, "y", 2) }, "y: no"},
		"Aligned below":       {"a.y y", func(c Checker) { c.Below("a.").Aligned("x", 0, "y", 2) }, "a.y: it has 2 entries"},

		"SentOnce": {"x y", func(c Checker) { c.SentOnce([]SentHeader{{"x", "X-A"}, {"y", "X-B"}, {"z", ""}, {"w", ""}}) }, ""},
		"SentOnce in order": {"x y", func(c Checker) { c.SentOnce([]SentHeader{{"y", "x_a"}, {"x", "X-A:bearer"}}) },
			`y: "x_a" is sent by x at line 1 already, as "X-A:bearer": ` + inHeaders},
		"SentOnce in a list": {"x[0] x[1]", func(c Checker) { c.SentOnce(Sent("x", []string{"X-A", "x-a"})) },
			`x[1]: "x-a" is sent by x at line 1 already, as "X-A": ` + inHeaders},
		"SentOnce bad": {"x y", func(c Checker) { c.Complain("y", "no"); c.SentOnce([]SentHeader{{"x", "A"}, {"y", "A"}}) }, "y: no"},

		"Secrets": {"s", func(c Checker) { c.Secrets("s", []auth.Secret{generated, "", generated[1:]}) },
			"s[2]: it has 31 bytes and needs 32 or more: write the output of openssl rand -base64 32"},
		"Example":           {"s", func(c Checker) { c.Example("s", "Change-Me") }, "warning: s: it looks like a secret from an example"},
		"Example generated": {"s", func(c Checker) { c.Example("s", generated) }, ""},

		"Paths":           {"", paths("/a/b", true, true), ""},
		"Paths relative":  {"paths[0]", paths("a", false, false), "paths[0]: the value on line 1: a path begins with /"},
		"Paths glob":      {"", paths("/a/*", false, false), "write /a, which is /a and everything below it"},
		"Paths opens":     {"", paths("/a/*", false, true), "a path isn't a pattern: write each path in full"},
		"Paths list":      {"", paths("/a, /b", false, false), "write several paths as a list"},
		"Paths group":     {"", paths("/a(1)", false, false), "warning: paths[0]: "},
		"Paths protects":  {"", paths("/x/a(1)", true, false), "write /x, which is /x and everything below it"},
		"Paths literally": {"", paths("/a/*", true, true, "paths"), ""},
	} {
		r := &recorder{keys: strings.Fields(row.keys)}
		row.run(Checker{r})
		got := r.warnings
		for _, p := range r.Problems {
			got = append(got, p.Error())
		}
		if (row.want == "") != (len(got) == 0) || row.want != "" && (len(got) != 1 || !strings.Contains(got[0], row.want)) {
			t.Errorf("%s: got %q, want %q", what, got, row.want)
		}
	}
}

func TestLooksLikePattern(t *testing.T) {
	for text, want := range map[string]bool{
		"*": true, "a,b": true, "staff*": true, "^staff": true, "adm.+": true, "!admin": true, "a|b": true, "[a-z]": true, "{tenant}": true,
		"": false, "staff": false, "a.b": false, "read:all": false, "https://a.example.com/x?y=1": false, "cn=staff,dc=example": false,
	} {
		if LooksLikePattern(text) != want {
			t.Errorf("%q: expected %t", text, want)
		}
	}
}
