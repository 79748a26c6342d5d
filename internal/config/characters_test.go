package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sallyport/internal/proxy"
	"sallyport/internal/strict"
)

// TestNoControlCharacters decodes a control character, a byte order mark and a line break in every setting with a text, at any depth. It
// expects a problem with the name of the variable and without its value.
func TestNoControlCharacters(t *testing.T) {
	count := 0
	for _, root := range []reflect.Type{
		reflect.TypeFor[File](), reflect.TypeFor[proxy.RouteSettings](), reflect.TypeFor[OIDC](), reflect.TypeFor[Rule](),
		reflect.TypeFor[IssuerEntry](),
	} {
		everyText(root, nil, func(path []*strict.Field) {
			count++
			for text, want := range map[string]string{
				"s3cret\x1b":     "holds the control character U+001B at byte 7",
				"\ufeffs3cret":   "holds a byte order mark",
				"s3cret\nsecond": "has more than one line",
			} {
				t.Setenv("CHARACTERS", text)
				got := decodeAt(root, path, "${env:CHARACTERS}").Error()
				last := path[len(path)-1]
				if last.Lines && strings.Contains(want, "line") {
					continue
				}
				if !strings.Contains(got, "the environment variable CHARACTERS "+want) || !strings.Contains(got, last.Name) ||
					strings.Contains(got, "s3cret") {
					t.Errorf("%s: %q is refused with %q", last.Name, text, got)
				}
			}
		})
	}
	if count < 150 {
		t.Errorf("only %d settings were found", count)
	}
}

// TestFinalNewline decodes a value from each source, with a final newline and without.
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
			b := strict.NewBlock(&strict.Report{}, strict.Mark{File: "x", Line: 1})
			b.Decode("oidc", treeAt([]*strict.Field{oidcShape.ByName["client_secret"]}, written), &oidc)
			if got := oidc.Flow.Client.ClientSecret; len(got) != 1 || got[0] != "s3cret" {
				t.Errorf("%q with the end %q is read as %q", written, end, []string{string(got[0])})
			}
		}
	}
}

// everyText calls f with the path of each setting below a struct type whose value is a text, except those with an enum.
func everyText(t reflect.Type, above []*strict.Field, f func(path []*strict.Field)) {
	s := strict.ShapeOf(t)
	for i := range s.Fields {
		path := append(above[:len(above):len(above)], s.Fields[i])
		inner := strict.Element(s.Fields[i].Type)
		switch {
		case s.Fields[i].Enum != nil:
		case inner.Kind() == reflect.Struct && s.Fields[i].IsObject():
			everyText(inner, path, f)
		case inner.Kind() == reflect.String:
			f(path)
		}
	}
}

// treeAt returns a mapping with one text at a path.
func treeAt(path []*strict.Field, text string) *strict.Value {
	at := strict.Mark{File: "x", Line: 1}
	v := &strict.Value{Mark: at, Kind: strict.Scalar, Text: text}
	for i := len(path) - 1; i >= 0; i-- {
		if path[i].Type.Kind() == reflect.Slice && path[i].IsObject() {
			v = &strict.Value{Mark: at, Kind: strict.List, Items: []*strict.Value{v}}
		}
		outer := &strict.Value{Mark: at, Kind: strict.Mapping}
		outer.Put(strict.Pair{Mark: at, Key: path[i].Name, Value: v})
		v = outer
	}
	return v
}

// decodeAt decodes a text at a path, and returns the problems.
func decodeAt(root reflect.Type, path []*strict.Field, text string) strict.Problems {
	b := strict.NewBlock(&strict.Report{}, strict.Mark{File: "x", Line: 1})
	b.Decode("", treeAt(path, text), reflect.New(root).Interface())
	return b.Problems
}
