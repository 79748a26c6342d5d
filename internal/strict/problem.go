package strict

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

func (p Problem) Error() string { return Mark{p.File, p.Line}.String() + ": " + p.Text }

// Problems are all mistakes of a configuration, sorted by file and line.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}

// A Mark is a place in a file.
type Mark struct {
	File string
	Line int
}

func (m Mark) String() string {
	if m.Line == 0 {
		return m.File
	}
	return fmt.Sprintf("%s:%d", m.File, m.Line)
}

// From says where m is as seen From another place: the line is enough within one file.
func (m Mark) From(other Mark) string {
	if m.File == other.File {
		return fmt.Sprintf("line %d", m.Line)
	}
	return m.String()
}

// A Report collects what is wrong and what one should know. What is said twice of one place, because several routes
// inherit it, is kept once.
type Report struct {
	Hints    *Hints // nil: none
	Problems Problems
	Warnings Problems
	seen     map[Problem]bool
}

func (r *Report) Problemf(m Mark, format string, args ...any) {
	r.Problems = r.add(r.Problems, m, fmt.Sprintf(format, args...))
}

func (r *Report) Warningf(m Mark, format string, args ...any) {
	r.Warnings = r.add(r.Warnings, m, fmt.Sprintf(format, args...))
}

func (r *Report) add(list Problems, m Mark, text string) Problems {
	p := Problem{m.File, m.Line, text}
	if r.seen[p] {
		return list
	}
	if r.seen == nil {
		r.seen = map[Problem]bool{}
	}
	r.seen[p] = true
	return append(list, p)
}

// Err returns the problems in order, or nil.
func (r *Report) Err() error {
	if len(r.Problems) == 0 {
		return nil
	}
	SortProblems(r.Problems)
	return r.Problems
}

func SortProblems(list Problems) {
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text))
	})
}
