package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sallyport/internal/proxy"
)

// TestNoControlCharacters writes a control character and a byte order mark into every setting that holds text, at any depth, and
// demands a complaint that names the variable it came from and not its value.
func TestNoControlCharacters(t *testing.T) {
	walked := 0
	for _, root := range []reflect.Type{
		reflect.TypeFor[File](), reflect.TypeFor[proxy.RouteSettings](), reflect.TypeFor[OIDC](), reflect.TypeFor[Rule](), reflect.TypeFor[IssuerEntry](),
	} {
		everyText(root, nil, func(path []*field) {
			walked++
			for text, want := range map[string]string{
				"s3cret\x1b":     "holds the control character U+001B at byte 7",
				"\ufeffs3cret":   "holds a byte order mark",
				"s3cret\nsecond": "has more than one line",
			} {
				t.Setenv("CHARACTERS", text)
				said := decodeAt(root, path, "${env:CHARACTERS}").Error()
				last := path[len(path)-1]
				if last.lines && strings.Contains(want, "line") {
					continue
				}
				if !strings.Contains(said, "the environment variable CHARACTERS "+want) || !strings.Contains(said, last.name) || strings.Contains(said, "s3cret") {
					t.Errorf("%s: %q is refused with %q", last.name, text, said)
				}
			}
		})
	}
	if walked < 150 {
		t.Errorf("only %d settings were found", walked)
	}
}

// TestFinalNewline reads one text in each of the ways in which a value can come, with a final newline and without.
func TestFinalNewline(t *testing.T) {
	dir := t.TempDir()
	for _, end := range []string{"", "\n", "\r\n"} {
		name := filepath.Join(dir, "value")
		if err := os.WriteFile(name, []byte("s3cret"+end), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("VALUE", "s3cret"+end)
		for _, written := range []string{"${env:VALUE}", "${file:" + name + "}", "{vault://env/value}", "s3cret" + end} {
			var oidc OIDC
			b := newBlock(&report{}, mark{"x", 1})
			b.decode("oidc", "", treeAt([]*field{shapeOf(reflect.TypeFor[OIDC]()).byName["client_secret"]}, written), reflect.ValueOf(&oidc).Elem())
			if got := oidc.Flow.Client.ClientSecret; len(got) != 1 || got[0] != "s3cret" {
				t.Errorf("%q with the end %q is read as %q", written, end, []string{string(got[0])})
			}
		}
	}
}

// everyText calls f with the path to each setting below a struct type that holds text, but for enumerations.
func everyText(t reflect.Type, above []*field, f func(path []*field)) {
	s := shapeOf(t)
	for i := range s.fields {
		path := append(above[:len(above):len(above)], &s.fields[i])
		inner := element(s.fields[i].typ)
		switch {
		case s.fields[i].enum != nil:
		case inner.Kind() == reflect.Struct && s.fields[i].object():
			everyText(inner, path, f)
		case inner.Kind() == reflect.String:
			f(path)
		}
	}
}

// treeAt is a mapping that says one text at a path.
func treeAt(path []*field, text string) *value {
	at := mark{"x", 1}
	v := &value{mark: at, kind: scalar, text: text}
	for i := len(path) - 1; i >= 0; i-- {
		if path[i].typ.Kind() == reflect.Slice && path[i].object() {
			v = &value{mark: at, kind: list, items: []*value{v}}
		}
		outer := &value{mark: at, kind: mapping}
		outer.put(pair{at, path[i].name, v})
		v = outer
	}
	return v
}

// decodeAt decodes a text at a path, and returns what is said of it.
func decodeAt(root reflect.Type, path []*field, text string) Problems {
	b := newBlock(&report{}, mark{"x", 1})
	b.decode("", "", treeAt(path, text), reflect.New(root).Elem())
	return b.problems
}
