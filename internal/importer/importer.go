// Package importer makes configurations of the gate from those of other systems: a file for each system, and the table of them (systems).
//
// An importer reads its files into a Result: the documents of the configuration, and notes on everything that is different from now on.
// It never writes a secret into a note or a document. Package app loads the result as the gate would before it is written.
package importer

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sallyport/internal/strict"
)

// A Source is a file that is imported.
type Source struct {
	Name string // for messages
	Data []byte
}

// A system makes a Result from the files of one system. An error means that they can't be read at all, and has the place.
type system func([]Source) (*Result, error)

// systems has the systems by the names that the command line takes.
var systems = map[string]system{"kong": importKong, "oauth2-proxy": oauth2Proxy, "mod_auth_openidc": modAuthOpenIDC}

// Systems returns the names of the systems, sorted.
func Systems() []string { return slices.Sorted(maps.Keys(systems)) }

// Import makes a Result from the files of a system. Its notes are sorted by place.
func Import(name string, sources []Source) (*Result, error) {
	read := systems[name]
	if read == nil {
		return nil, fmt.Errorf("the system %q isn't known: write one of %s", name, strings.Join(Systems(), ", "))
	}
	result, err := read(sources)
	if err != nil {
		return nil, err
	}
	result.sortNotes()
	return result, nil
}

// A Note says what is different from the source, or left to do.
type Note struct {
	Place strict.Mark
	Text  string // what differs, and what to do; never a secret
}

// String returns file:line: text.
func (n Note) String() string { return n.Place.String() + ": " + n.Text }

// Notef adds a note.
func (r *Result) Notef(place strict.Mark, format string, args ...any) {
	r.Notes = append(r.Notes, Note{place, fmt.Sprintf(format, args...)})
}

// sortNotes sorts the notes by file and line, and drops repeated ones. Notes on one line keep their order.
func (r *Result) sortNotes() {
	slices.SortStableFunc(r.Notes, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.Place.File, b.Place.File), cmp.Compare(a.Place.Line, b.Place.Line))
	})
	r.Notes = slices.Compact(r.Notes)
}
