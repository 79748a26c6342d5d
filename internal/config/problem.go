// Package config reads the YAML strictly: every mistake is found at load, all of them at once, each with its place and what
// to write instead. What it returns needs no further checks.
package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A Problem is one mistake in a configuration file.
type Problem struct {
	File string
	Line int
	Text string // what is wrong, and what to write instead
}

func (p Problem) Error() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Text) }

// Problems are all mistakes of a configuration, by file and line.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// A reader collects problems while it walks nodes.
type reader struct {
	files    map[*yaml.Node]string // which file a node came from
	problems Problems
}

// fail notes a mistake at a node.
func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	p := Problem{File: r.files[n], Line: n.Line, Text: fmt.Sprintf(format, args...)}
	if !slices.Contains(r.problems, p) {
		r.problems = append(r.problems, p)
	}
}

func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return r.problems
}
