package strict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Problem is a mistake in a configuration file, or a warning about one. Its text never has the value of a secret.
type Problem struct {
	File string
	Line int    // from 1; 0 is the file as a whole
	Text string // what is wrong, and what to write instead
}

// Error returns file:line: text.
func (p Problem) Error() string { return Mark{p.File, p.Line}.String() + ": " + p.Text }

// Problems are the mistakes in a configuration, sorted by file and line.
type Problems []Problem

// Error returns the problems, one a line.
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
	Line int // from 1; 0 is the file as a whole
}

// String returns file:line.
func (m Mark) String() string {
	if m.Line == 0 {
		return m.File
	}
	return fmt.Sprintf("%s:%d", m.File, m.Line)
}

// From returns the place for a message about another place: only the line if both are in one file.
func (m Mark) From(other Mark) string {
	if m.File == other.File {
		return fmt.Sprintf("line %d", m.Line)
	}
	return m.String()
}

// A Report collects problems and warnings. It drops a repeated message about the same place, which occurs when several routes inherit a
// setting.
type Report struct {
	Hints    *Hints // may be nil
	Problems Problems
	Warnings Problems
	Files    []string // the files and folders that Read, Expand and settings have named, also those that don't exist

	// Environment returns the value of an environment variable, and whether it is set. nil is os.LookupEnv.
	Environment func(name string) (string, bool)

	seen map[Problem]bool
}

// Uses adds a file or a folder to Files.
func (r *Report) Uses(name string) {
	if !slices.Contains(r.Files, name) {
		r.Files = append(r.Files, name)
	}
}

// Problemf adds a problem.
func (r *Report) Problemf(m Mark, format string, args ...any) {
	r.Problems = r.add(r.Problems, m, fmt.Sprintf(format, args...))
}

// Warningf adds a warning.
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

// Err returns the sorted Problems, or nil if there are none.
func (r *Report) Err() error {
	if len(r.Problems) == 0 {
		return nil
	}
	SortProblems(r.Problems)
	return r.Problems
}

// SortProblems sorts by file, line and text.
func SortProblems(list Problems) {
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Text, b.Text))
	})
}
