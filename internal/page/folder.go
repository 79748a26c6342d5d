package page

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"sallyport/internal/check"
)

// ReadFolder reads a folder of the operator's own pages. The problems are of its files, whose paths they have; err is of the folder itself.
// Without an error and without problems the set is complete.
func ReadFolder(folder string) (set *Set, problems []Problem, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, nil, check.Cause(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") { // editors' files and Kubernetes' ..data
			continue
		}
		name := filepath.Join(folder, e.Name())
		text, problem := readPage(name)
		if problem != "" {
			problems = append(problems, Problem{File: name, Text: problem})
		}
		files[e.Name()] = text
	}
	if len(problems) > 0 || len(files) == 0 {
		return nil, problems, nil
	}
	set, found := New(files)
	for _, p := range found {
		problems = append(problems, Problem{filepath.Join(folder, p.File), p.Line, p.Text})
	}
	return set, problems, nil
}

// readPage reads one file; problem says why it can't be a page.
func readPage(path string) (text, problem string) {
	if name := filepath.Base(path); !Part(name) && !slices.Contains(Names(), name) {
		if near := check.Nearest(name, Names()); near != "" {
			return "", "no page has this name, did you mean " + near + "?"
		}
		return "", "no page has this name: take it out; there are " + strings.Join(Names(), ", ") + ", and parts such as _head.html"
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() { // a pipe would block
		return "", "it isn't a regular file: write the page into a file of this name"
	}
	data, err := check.ReadFile(path)
	switch {
	case err != nil:
		return "", "the file can't be read: " + err.Error()
	case !utf8.Valid(data):
		return "", "it isn't UTF-8: save it as UTF-8"
	}
	return string(data), ""
}
