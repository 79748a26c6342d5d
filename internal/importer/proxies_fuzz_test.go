package importer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// addSeeds adds the files of testdata/SYSTEM with some extensions.
func addSeeds(f *testing.F, system string, extensions ...string) {
	f.Helper()
	for _, extension := range extensions {
		names, _ := filepath.Glob(filepath.Join("testdata", system, "*"+extension))
		inFolders, _ := filepath.Glob(filepath.Join("testdata", system, "*", "*"+extension))
		if len(names)+len(inFolders) == 0 {
			f.Fatalf("no file of testdata/%s ends with %s", system, extension)
		}
		for _, name := range append(names, inFolders...) {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
}

// fuzzImport imports data as a file with an extension. Whatever it is, the importer returns a result with a route or an error, and its notes
// don't hold the client's secret.
func fuzzImport(f *testing.F, system, extension string) {
	f.Fuzz(func(t *testing.T, data []byte) {
		result, err := Import(system, []Source{{Name: "fuzz" + extension, Data: data}})
		if err != nil {
			return
		}
		if len(result.Routes) == 0 && len(result.Notes) == 0 {
			t.Error("a result without a route says nothing about it")
		}
		result.Single()
		for _, n := range result.Notes {
			if strings.Contains(n.Text, "literal-portal-secret") {
				t.Errorf("the note has a secret: %s", n)
			}
		}
	})
}

func FuzzOAuth2ProxyTOML(f *testing.F) {
	addSeeds(f, "oauth2-proxy", ".cfg")
	fuzzImport(f, "oauth2-proxy", ".cfg")
}

func FuzzOAuth2ProxyYAML(f *testing.F) {
	addSeeds(f, "oauth2-proxy", ".yaml")
	fuzzImport(f, "oauth2-proxy", ".yaml")
}

func FuzzOAuth2ProxyText(f *testing.F) {
	addSeeds(f, "oauth2-proxy", ".env", ".sh", ".args", ".txt")
	fuzzImport(f, "oauth2-proxy", "")
}

func FuzzApache(f *testing.F) {
	addSeeds(f, "mod_auth_openidc", ".conf")
	fuzzImport(f, "mod_auth_openidc", ".conf")
}
