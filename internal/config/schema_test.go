package config

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"
)

// mustSchema returns the compiled result of Schema.
func mustSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	text, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("sallyport.json", document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("sallyport.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validate returns the schema's error for a YAML file.
func validate(t *testing.T, s *jsonschema.Schema, text string) error {
	t.Helper()
	var v any
	if err := yaml.Unmarshal([]byte(text), &v); err != nil {
		return err
	}
	return s.Validate(v)
}

// ofOthers has the folders in deploy with files for other programs.
var ofOthers = []string{"prometheus", "helm", "kubernetes"}

// TestSchemaTakesWhatLoads validates the examples and every valid file of the tests.
func TestSchemaTakesWhatLoads(t *testing.T) {
	s, found := mustSchema(t), 0
	take := func(name, text string) {
		found++
		if err := validate(t, s, text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range archives(t, "good") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for file, text := range filesOf(string(data)) {
			if strings.HasSuffix(file, ".yaml") {
				take(name+" "+file, text)
			}
		}
	}
	for _, root := range []string{"../../configs", "../../deploy", "../../testdata"} {
		err := filepath.WalkDir(root, func(name string, _ fs.DirEntry, err error) error {
			data, errRead := os.ReadFile(name)
			switch {
			case err != nil:
				return err
			case slices.Contains(ofOthers, strings.TrimPrefix(name, "../../deploy/")):
				return fs.SkipDir
			case errRead != nil || filepath.Base(name) == "compose.yaml":
			case strings.HasSuffix(name, ".yaml"):
				take(name, string(data))
			case strings.HasSuffix(name, ".txtar") && root == "../../testdata":
				if text := filesOf(string(data))["sallyport.yaml"]; text != "" {
					take(name, text)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if found < 100 {
		t.Errorf("only %d files were found", found)
	}
}

// visible matches problems that a schema can find.
var visible = regexp.MustCompile(`unknown key|expected one of|expected true or false|expected a whole number|expected a list|` +
	`expected a mapping|is missing: add it`)

// invisible are files with such problems about an expression, about the value of a variable, and about a key that is required only with
// some listeners.
var invisible = []string{"allow_type.txtar", "env_not_yaml.txtar", "required.txtar", "forward_auth_protocol.txtar"}

// TestSchemaRefusesWhatItCanSee validates the files whose mistakes are unknown keys and wrong types.
func TestSchemaRefusesWhatItCanSee(t *testing.T) {
	s, refused := mustSchema(t), 0
	for _, name := range archives(t, "bad") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files := filesOf(string(data))
		if !visible.MatchString(files["want"]) || slices.Contains(invisible, filepath.Base(name)) {
			continue
		}
		var faulty bool
		for file, text := range files {
			if strings.HasSuffix(file, ".yaml") && validate(t, s, text) != nil {
				faulty = true
			}
		}
		if refused++; !faulty {
			t.Errorf("%s: the schema accepts it, and Load says %s", filepath.Base(name), files["want"])
		}
	}
	if refused < 25 {
		t.Errorf("only %d files with such a mistake were found", refused)
	}
}
