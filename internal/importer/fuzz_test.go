package importer

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/strict"
)

// FuzzKong checks that each file is an error with a place, or a configuration that the gate accepts or refuses with places, whose
// references
// are whole: no text of the file becomes one.
func FuzzKong(f *testing.F) {
	for _, pattern := range []string{"*.yaml", "*.json"} {
		names, err := filepath.Glob(filepath.Join("testdata", "kong", pattern))
		if err != nil || len(names) == 0 {
			f.Fatalf("no seeds: %v", err)
		}
		for _, name := range names {
			f.Add(mustRead(f, name))
		}
	}
	f.Add([]byte("services: [{url: \"http://a\", routes: [{paths: [/a, '~/b+'], plugins: [{name: openid-connect, config: {issuer: x, " +
		"client_secret: '${env:PATH}', scopes: [\"${file:/etc/passwd}\"]}}]}]}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		result, err := Import("kong", []Source{{"kong.yaml", data}})
		if err != nil {
			if !strings.Contains(err.Error(), "kong.yaml") {
				t.Errorf("an error without its place: %v", err)
			}
			return
		}
		checkReferences(t, result)
		var problems strict.Problems
		if err := load(t, result, result.Config()); err != nil && !errors.As(err, &problems) {
			t.Errorf("expected problems with their places, got %v", err)
		}
		for _, n := range result.Notes {
			if n.Place.File == "" || n.Text == "" {
				t.Errorf("a note without a place or a text: %+v", n)
			}
		}
	})
}

// checkReferences checks that a configuration refers to no file, and to no variable that the result doesn't list.
func checkReferences(t *testing.T, r *Result) {
	t.Helper()
	known := map[string]bool{}
	for _, v := range r.Variables {
		known[v.Name] = true
	}
	text := strings.ReplaceAll(string(r.Single().Data), "$${", "")
	for _, part := range strings.Split(text, "${")[1:] {
		name, _, _ := strings.Cut(part, "}")
		if variable, isEnv := strings.CutPrefix(name, "env:"); !isEnv || !known[variable] {
			t.Errorf("the text ${%s} of the file is a reference", name)
		}
	}
}
