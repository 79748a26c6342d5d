package importer

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/strict"
)

// A Result is a configuration, and what differs from the source.
type Result struct {
	Header    string     // a comment at the beginning of the process file
	Process   *Mapping   // the keys of the process file, without routes
	Routes    []Route    // at least one
	Files     []File     // files that the routes name, such as certificates; see AddFile
	Variables []Variable // environment variables that the configuration reads
	Notes     []Note
}

// NewResult returns a Result without routes.
func NewResult() *Result { return &Result{Process: NewMapping()} }

// A Route is the file of a route: route, oidc, rules.
type Route struct {
	Name     string // of the file, without folder and extension; AddRoute makes it unique
	Document *Mapping
}

// A File is a file of the configuration.
type File struct {
	Name    string // with slashes, relative to the folder of the process file
	Data    []byte
	Private bool // only the owner may read it
	places  map[int]strict.Mark
}

// A Variable is an environment variable that the configuration reads. It has a Value if the source has it, and else a Sample: a value of
// the right form, with which the configuration is checked while the variable isn't set.
type Variable struct {
	Name   string
	Value  auth.Secret
	Sample string
}

// AddRoute adds a route. It changes the name into one that a file can have and that no other route has.
func (r *Result) AddRoute(name string, document *Mapping) {
	taken := map[string]bool{}
	for _, other := range r.Routes {
		taken[other.Name] = true
	}
	r.Routes = append(r.Routes, Route{unique(fileName(name), taken), document})
}

// AddFile adds a file that routes name, and returns how they name it: relative to the folder of the file of the route.
func (r *Result) AddFile(name string, data []byte, private bool) string {
	for _, f := range r.Files {
		if f.Name == name && string(f.Data) == string(data) {
			return name
		}
	}
	r.Files = append(r.Files, File{Name: name, Data: data, Private: private})
	return name
}

// AddVariable adds a variable and returns the reference to it, which Set takes. Another value gets another name: NAME_2.
func (r *Result) AddVariable(v Variable) Raw {
	base := v.Name
	for n := 2; ; n++ {
		same, taken := r.variable(v)
		if !taken {
			r.Variables = append(r.Variables, v)
		}
		if same || !taken {
			return Raw("${env:" + v.Name + "}")
		}
		v.Name = fmt.Sprintf("%s_%d", base, n)
	}
}

// variable reports whether a variable with the name of v exists, and whether it is the same.
func (r *Result) variable(v Variable) (same, taken bool) {
	for _, other := range r.Variables {
		if other.Name == v.Name {
			return other.Value == v.Value, true
		}
	}
	return false, false
}

// Config returns the process file and a file for each route, and the files that they name.
func (r *Result) Config() []File {
	root := r.process("routes/*.yaml")
	files := []File{newFile(ProcessFile, root)}
	for _, route := range r.Routes {
		files = append(files, newFile("routes/"+route.Name+".yaml", route.Document))
	}
	for _, f := range r.Files {
		f.Name = "routes/" + f.Name
		files = append(files, f)
	}
	return files
}

// Single returns the whole configuration as one process file.
func (r *Result) Single() File {
	routes := []*Mapping{}
	for _, route := range r.Routes {
		routes = append(routes, route.Document)
	}
	return newFile(ProcessFile, r.process(routes))
}

// process returns the process file with routes.
func (r *Result) process(routes any) *Mapping {
	root := &Mapping{pairs: slices.Clone(r.Process.pairs)}
	root.Set("routes", routes)
	root.Comment(root.pairs[0].key, r.Header)
	return root
}

// ProcessFile is the name of the process file.
const ProcessFile = "sallyport.yaml"

// newFile returns the file of a document.
func newFile(name string, document *Mapping) File {
	data := document.encode()
	return File{Name: name, Data: data, places: document.places(data)}
}

// Place returns the place in the source from which a line of the file is made, and whether it is known.
func (f File) Place(line int) (strict.Mark, bool) {
	for ; line > 0; line-- {
		if place, known := f.places[line]; known {
			return place, true
		}
	}
	return strict.Mark{}, false
}

// fileName returns a text with dashes in place of what a file name on any system shouldn't have.
func fileName(text string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, text)
	name = strings.Trim(name[:min(len(name), 60)], "-")
	if name == "" {
		return "route"
	}
	return name
}

// unique returns a name that isn't taken: name, name-2, name-3.
func unique(name string, taken map[string]bool) string {
	free := name
	for n := 2; taken[free]; n++ {
		free = fmt.Sprintf("%s-%d", name, n)
	}
	return free
}

// Lookup returns the value of an environment variable for a check of the configuration: the one in the source, else the environment's,
// else a
// sample.
func (r *Result) Lookup(name string) (string, bool) {
	set, isSet := os.LookupEnv(name)
	for _, v := range r.Variables {
		switch {
		case v.Name != name:
		case v.Value != "":
			return string(v.Value), true
		case !isSet && v.Sample != "":
			return v.Sample, true
		}
	}
	return set, isSet
}
