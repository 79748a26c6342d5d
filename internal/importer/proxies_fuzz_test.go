package importer

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/strict"
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

// fuzzImport imports data as a file with an extension. Whatever it is, the importer returns a result with a route or an error, and its
// notes don't hold the client's secret.
func fuzzImport(f *testing.F, system, extension string) {
	f.Fuzz(func(t *testing.T, data []byte) {
		result, err := Import(system, []Source{{Name: "fuzz" + extension, Data: data}})
		if err != nil {
			return
		}
		if len(result.Routes) == 0 && len(result.Notes) == 0 {
			t.Error("a result without a route says nothing about it")
		}
		checkNoReferences(t, result)
		var problems strict.Problems
		if err := load(t, result, result.Config()); err != nil && !errors.As(err, &problems) {
			t.Errorf("expected problems with their places, got %v", err)
		}
		for _, n := range result.Notes {
			if strings.Contains(n.Text, "literal-portal-secret") {
				t.Errorf("the note has a secret: %s", n)
			}
		}
	})
}

var secretFile = regexp.MustCompile(`client_secret: '?\$\{file:[^${}]*\}`)

// checkNoReferences checks that no text of the source becomes a reference, except the name of the file with the client's secret.
func checkNoReferences(t *testing.T, r *Result) {
	t.Helper()
	text := strings.ReplaceAll(string(r.Single().Data), "$${", "")
	for _, v := range r.Variables {
		text = strings.ReplaceAll(text, "${env:"+v.Name+"}", "")
	}
	if text = secretFile.ReplaceAllString(text, ""); strings.Contains(text, "${") {
		t.Errorf("a text of the file is a reference:\n%s", text)
	}
}

func FuzzOAuth2ProxyTOML(f *testing.F) {
	addSeeds(f, "oauth2-proxy", ".cfg")
	f.Add([]byte("provider = \"oidc\"\noidc_issuer_url = \"${env:PATH}\"\nclient_id = \"${file:/etc/passwd}\"\n" +
		"client_secret_file = \"/a}${env:PATH\"\n" +
		"allowed_groups = [\"${env:PATH}\"]\nupstreams = [\"http://${env:PATH}/\"]\n" +
		"skip_auth_routes = [\"^/${env:PATH}$\"]\ntls_cert_file = \"a\"\n"))
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
	f.Add([]byte("OIDCClientID a${env:PATH}\nServerName ${file:/etc/passwd}\nOIDCScope ${env:PATH}\nOIDCCookie ${file:/x}\n" +
		"ProxyPass / http://${env:PATH}/\n" +
		"<Location />\nAuthType openid-connect\nRequire claim a:${file:/etc/passwd}\n</Location>\n"))
	fuzzImport(f, "mod_auth_openidc", ".conf")
}
