package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

var writeCompat = flag.Bool("write-compat", false, "write the files of testdata/compat that don't exist")

const compat = "../../testdata/compat/"

// TestOldKeys checks that every key of the first version is a key now, with the same default and at least the same values.
func TestOldKeys(t *testing.T) {
	now := mustKeys(t)
	for line := range strings.Lines(mustReadCompat(t, "v1-keys.txt", func() []byte { return []byte(writeKeys(now)) })) {
		old := parseKey(line)
		new, ok := now[old.path]
		switch {
		case !ok:
			t.Errorf("%s was a key of the first version, and is none now", old.path)
		case new.usual != old.usual:
			t.Errorf("%s had the default %s, and has %s now", old.path, old.usual, new.usual)
		}
		for _, value := range old.values {
			if len(new.values) > 0 && !slices.Contains(new.values, value) {
				t.Errorf("%s could be %s, and can't be that now", old.path, value)
			}
		}
	}
}

// A schemaKey is a key of configuration files as their schema describes it.
type schemaKey struct {
	path   string   // its keys joined with dots; below $defs for what stands in several places
	usual  string   // the default as JSON; - if it has none
	values []string // as JSON; nil if there is no list of them
}

// mustKeys returns the keys of the schema by their paths.
func mustKeys(t *testing.T) map[string]*schemaKey {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	keys := map[string]*schemaKey{}
	collectKeys(keys, "", schema)
	for name, definition := range schema["$defs"].(map[string]any) {
		collectKeys(keys, "$defs."+name, definition)
	}
	if len(keys) < 500 {
		t.Fatalf("the schema has %d keys", len(keys))
	}
	return keys
}

// collectKeys adds the keys below a node of the schema. It doesn't follow references: what they refer to is below $defs.
func collectKeys(keys map[string]*schemaKey, path string, node any) {
	n, ok := node.(map[string]any)
	if !ok {
		return
	}
	key := keys[path]
	if key == nil {
		key = &schemaKey{path: path, usual: "-"}
		keys[path] = key
	}
	if usual, ok := n["default"]; ok {
		key.usual = asJSON(usual)
	}
	values, _ := n["enum"].([]any)
	for _, value := range values {
		key.values = append(key.values, asJSON(value))
	}
	properties, _ := n["properties"].(map[string]any)
	for name, below := range properties {
		collectKeys(keys, strings.TrimPrefix(path+"."+name, "."), below)
	}
	for _, kind := range []string{"anyOf", "oneOf", "allOf"} {
		alternatives, _ := n[kind].([]any)
		for _, alternative := range alternatives {
			collectKeys(keys, path, alternative)
		}
	}
	collectKeys(keys, path+"[]", n["items"])
}

func asJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // it was JSON
	}
	return string(text)
}

// writeKeys returns the lines of v1-keys.txt: path, default and values, separated by tabs.
func writeKeys(keys map[string]*schemaKey) string {
	var lines []string
	for path, k := range keys {
		if path != "" {
			lines = append(lines, strings.Join(append([]string{path, k.usual}, k.values...), "\t"))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}

// parseKey reads a line of v1-keys.txt.
func parseKey(line string) schemaKey {
	parts := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
	return schemaKey{parts[0], parts[1], parts[2:]}
}

// TestOldFiles loads configuration files that the first version has accepted: its examples, and those of its scenarios.
func TestOldFiles(t *testing.T) {
	archive := txtar.Parse([]byte(mustReadCompat(t, "v1-files.txtar", func() []byte { return txtar.Format(collectFiles(t)) })))
	if len(archive.Files) < 200 {
		t.Fatalf("%d files", len(archive.Files))
	}
	for _, f := range archive.Files {
		t.Run(f.Name, func(t *testing.T) {
			if err := loadOld(t, f); err != nil {
				t.Errorf("%v\n%s", err, f.Data)
			}
		})
	}
}

// loadOld loads a configuration file by itself.
func loadOld(t *testing.T, f txtar.File) error {
	t.Helper()
	setCertificates(t)
	mustWriteClient(t, t.TempDir())
	for name, value := range oldValues {
		t.Setenv(name, value)
	}
	for _, m := range environmentVariable.FindAllStringSubmatch(string(f.Data), -1) {
		if os.Getenv(m[1]) == "" {
			t.Setenv(m[1], oldValue(m[1]))
		}
	}
	name := filepath.Join(t.TempDir(), filepath.Base(f.Name))
	if err := os.WriteFile(name, f.Data, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Load(name)
	return err
}

// oldValues has values of environment variables in the files of scenarios; exampleValues has those of the examples.
var oldValues = map[string]string{"GATE": "127.0.0.1:8000", "ADMIN": "127.0.0.1:9000", "REDIS_PORT": "6379"}

// oldValue returns the value of another environment variable.
func oldValue(name string) string {
	if value, ok := exampleValues[name]; ok {
		return value
	}
	return "0123456789abcdef0123456789abcdef"
}

// collectFiles returns the configuration files of this version that can be loaded alone.
func collectFiles(t *testing.T) *txtar.Archive {
	all := &txtar.Archive{Comment: []byte("Configuration files that the first version has accepted. Later versions must accept them, too.\n")}
	add := func(name string, data []byte) {
		if f := (txtar.File{Name: name, Data: data}); loadOld(t, f) == nil {
			all.Files = append(all.Files, f)
		}
	}
	scenarios, err := filepath.Glob("../../testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, scenario := range scenarios {
		archive, err := txtar.ParseFile(scenario)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			if strings.HasSuffix(f.Name, ".yaml") && bytes.Contains(f.Data, []byte("oidc")) {
				add(fmt.Sprintf("scenarios/%s/%s", strings.TrimSuffix(filepath.Base(scenario), ".txtar"), f.Name), f.Data)
			}
		}
	}
	err = filepath.WalkDir("../../configs", func(name string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".yaml") {
			var data []byte
			data, err = os.ReadFile(name)
			add(strings.TrimPrefix(name, "../../"), data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// mustReadCompat reads a file of testdata/compat. With -write-compat it writes what make returns if the file doesn't exist.
func mustReadCompat(t *testing.T, name string, make func() []byte) string {
	t.Helper()
	text, err := os.ReadFile(compat + name)
	if errors.Is(err, fs.ErrNotExist) && *writeCompat {
		text = make()
		err = os.WriteFile(compat+name, text, 0o644)
	}
	if err != nil {
		t.Fatalf("%v: go test ./internal/config -run TestOld -write-compat writes it", err)
	}
	return string(text)
}
