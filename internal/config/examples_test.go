package config

import (
	"cmp"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// exampleValues has values of the environment variables in the examples. The others are secrets.
var exampleValues = map[string]string{
	"MACHINE_SECRET_HASH": "sha256:" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	"ISSUER":              "https://idp.example.com/realms/main", "ISSUER_TLS": "https://idp.example.com/realms/main",
	"UPSTREAM": "http://127.0.0.1:8081", "GATE": "http://127.0.0.1:8000",
	"OTHER_ISSUER": "https://idp.example.com/realms/other",
	"LISTEN":       "127.0.0.1:8000", "ADMIN_LISTEN": "127.0.0.1:9000", "CLIENT_ID": "app", "KEYS_FILE": "/var/lib/sallyport/keys",
}

// exampleWarnings has the warnings of examples, by the name of the file or of the page.
var exampleWarnings = map[string]string{"userinfo.yaml": "audience_required: any", "github.md": "audience_required: any"}

var environmentVariable = regexp.MustCompile(`\$\{env:([A-Z_]+)\}`)

// mustLoadExample loads a file with the environment variables that it names. It fails on a problem, or on a warning that exampleWarnings
// doesn't have.
func mustLoadExample(t *testing.T, name string) *File {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "CERT}") {
		setCertificates(t)
	}
	for _, m := range environmentVariable.FindAllStringSubmatch(string(text), -1) {
		if strings.HasPrefix(m[1], "JWK_") || strings.HasSuffix(m[1], "CERT") || strings.HasSuffix(m[1], "KEY") {
			continue // mustWriteClient and setCertificates set these
		}
		t.Setenv(m[1], cmp.Or(exampleValues[m[1]], "0123456789abcdef0123456789abcdef"))
	}
	f, err := Load(name)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return nil
	}
	example, _, _ := strings.Cut(filepath.Base(name), "-")
	for _, w := range f.Warnings() {
		if expected := exampleWarnings[example]; expected == "" || !strings.Contains(w, expected) {
			t.Errorf("%s: it warns: %s", name, w)
		}
	}
	return f
}

// setCertificates sets the environment variables with the files of a client's and of a server's certificate.
func setCertificates(t *testing.T) {
	t.Helper()
	cert, key := mustWriteCertificate(t, t.TempDir())
	for _, of := range []string{"", "SERVER_"} {
		t.Setenv(of+"CERT", cert)
		t.Setenv(of+"KEY", key)
	}
}

// TestExamples loads the files in configs and deploy. The process file configs/sallyport.yaml loads those in configs/routes.
func TestExamples(t *testing.T) {
	files, routes := []string{"../../deploy/compose.sallyport.yaml"}, 0
	err := filepath.WalkDir("../../configs", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !strings.HasSuffix(name, ".yaml"):
		case filepath.Base(filepath.Dir(name)) == "routes":
			routes++
		default:
			files = append(files, name)
		}
		return err
	})
	if err != nil || routes == 0 || len(files) < 10 {
		t.Fatalf("%d files and %d routes, %v", len(files), routes, err)
	}
	for _, name := range files {
		want := 1
		if name == "../../configs/sallyport.yaml" {
			want = routes
		}
		if f := mustLoadExample(t, name); f != nil && len(f.Routes) != want {
			t.Errorf("%s: %d routes, want %d", name, len(f.Routes), want)
		}
	}
}

// TestComposeSecret checks that the compose file and the Keycloak realm have the same client secret.
func TestComposeSecret(t *testing.T) {
	compose, err := os.ReadFile("../../deploy/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	realm, err := os.ReadFile("../../testdata/keycloak/sallyport-realm.json")
	if err != nil {
		t.Fatal(err)
	}
	var imported struct {
		Clients []struct{ ClientID, Secret string }
	}
	if err := json.Unmarshal(realm, &imported); err != nil {
		t.Fatal(err)
	}
	for _, c := range imported.Clients {
		if c.ClientID == "app" && strings.Contains(string(compose), "OIDC_CLIENT_SECRET: "+c.Secret+"\n") {
			return
		}
	}
	t.Error("OIDC_CLIENT_SECRET isn't the secret of the realm's client app")
}
