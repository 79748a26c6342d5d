package importer

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// proxyCases has the imports of testdata/SYSTEM/: the name of the golden file, and the files that are imported together.
var proxyCases = map[string]map[string][]string{
	"oauth2-proxy": {
		"keycloak": {"keycloak.cfg"}, "alpha": {"alpha.cfg", "alpha.yaml"}, "kubernetes": {"kubernetes.yaml"},
		"google": {"google.env", "emails.txt"}, "github": {"github.sh"}, "compose": {"compose.yaml"}, "precedence": {"precedence.cfg", "precedence.env", "precedence.args"},
	},
	"mod_auth_openidc": {"portal": {"portal.conf"}, "api": {"api.conf"}, "files": {"files.conf", "wiki-extra.conf"}, "mixed": {"mixed.conf"}},
}

// TestProxies imports the files of testdata and compares configuration and report with golden files. It writes those that are missing.
func TestProxies(t *testing.T) {
	for system, cases := range proxyCases {
		for name, files := range cases {
			t.Run(system+"/"+name, func(t *testing.T) {
				folder := filepath.Join("testdata", system)
				result, err := Import(system, readAll(t, folder, files))
				if err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join(folder, name+".golden"), report(result))
			})
		}
	}
}

// TestProxyCasesAreAll checks that each file of testdata is imported.
func TestProxyCasesAreAll(t *testing.T) {
	for system, cases := range proxyCases {
		entries, err := os.ReadDir(filepath.Join("testdata", system))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			used := strings.HasSuffix(e.Name(), ".golden") || e.Name() == "login"
			for _, files := range cases {
				used = used || slices.Contains(files, e.Name())
			}
			if !used {
				t.Errorf("testdata/%s/%s isn't imported by a case", system, e.Name())
			}
		}
	}
}

// readAll reads files as sources.
func readAll(t testing.TB, folder string, files []string) (all []Source) {
	t.Helper()
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Source{Name: name, Data: data})
	}
	return all
}

// report returns the configuration and the notes of a result.
func report(r *Result) []byte {
	var out bytes.Buffer
	out.Write(r.Single().Data)
	out.WriteString("---\n")
	for _, n := range r.Notes {
		out.WriteString(n.String() + "\n")
	}
	for _, v := range r.Variables {
		out.WriteString("variable " + v.Name + "\n")
	}
	return out.Bytes()
}

// golden compares a text with a file. It writes the file if it is missing, and fails then.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	want, err := os.ReadFile(name)
	if os.IsNotExist(err) {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
		t.Fatalf("%s was missing and is written: read it", name)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s : got\n%s\nRemove the file to have it written", name, got)
	}
}
