package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Problem is one mistake in a configuration file: what is wrong, and what to write instead. Its text never holds a
// secret's value.
type Problem struct {
	File string
	Line int // from 1; 0 is the file as a whole
	Text string
}

func (p Problem) Error() string { return mark{p.File, p.Line}.String() + ": " + p.Text }

// Problems are all mistakes of a configuration, sorted by file and line.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// A mark is a place in a file.
type mark struct {
	file string
	line int
}

func (m mark) String() string {
	if m.line == 0 {
		return m.file
	}
	return fmt.Sprintf("%s:%d", m.file, m.line)
}

// from says where m is as seen from another place: the line is enough within one file.
func (m mark) from(other mark) string {
	if m.file == other.file {
		return fmt.Sprintf("line %d", m.line)
	}
	return m.String()
}

// A report collects what is wrong and what one should know. What is said twice of one place, because several routes
// inherit it, is kept once.
type report struct {
	problems Problems
	warnings Problems
	seen     map[Problem]bool
}

func (r *report) problem(m mark, format string, args ...any) {
	r.problems = r.add(r.problems, m, fmt.Sprintf(format, args...))
}

func (r *report) warning(m mark, format string, args ...any) {
	r.warnings = r.add(r.warnings, m, fmt.Sprintf(format, args...))
}

func (r *report) add(list Problems, m mark, text string) Problems {
	p := Problem{m.file, m.line, text}
	if r.seen[p] {
		return list
	}
	if r.seen == nil {
		r.seen = map[Problem]bool{}
	}
	r.seen[p] = true
	return append(list, p)
}

// err returns the problems in order, or nil.
func (r *report) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	sortProblems(r.problems)
	return r.problems
}

func sortProblems(list Problems) {
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text))
	})
}
