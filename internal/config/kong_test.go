package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// loadText loads a file with this text.
func loadText(t *testing.T, text string) (*File, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "sallyport.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(name)
}

const minimal = `route: {upstream: http://127.0.0.1:8080}
oidc:
  issuer: https://idp.example.com/realms/main
  client_id: app
`

// TestKongParameters writes each of the plugin's parameters: it is a setting, or it is refused by its name in a sentence,
// and null for it means nothing.
func TestKongParameters(t *testing.T) {
	data, err := os.ReadFile("../../testdata/kong-parameters.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(data))
	if len(names) != 235 {
		t.Fatalf("expected 235 parameters, got %d", len(names))
	}
	for _, name := range names {
		if oidcShape.byName[name] != nil {
			if refusals["oidc"][name] != nil {
				t.Errorf("%s is both a setting and refused", name)
			}
			continue
		}
		value := "neither default nor known"
		_, err := loadText(t, minimal+"  "+name+": "+value+"\n")
		switch {
		case err == nil:
			t.Errorf("%s is ignored", name)
		case len(err.(Problems)) != 1 || !strings.HasPrefix(err.(Problems)[0].Text, name+": ") || err.(Problems)[0].Line != 5:
			t.Errorf("%s isn't refused by name: %v", name, err)
		case strings.Contains(err.Error(), "unknown key"):
			t.Errorf("%s is unknown: %v", name, err)
		}
		if _, err := loadText(t, minimal+"  "+name+": null\n"); err != nil {
			t.Errorf("null for %s: %v", name, err)
		}
	}
}

// TestAccepted writes the values of refused parameters that mean what happens anyway.
func TestAccepted(t *testing.T) {
	for name, r := range refusals["oidc"] {
		for accepted := range strings.SplitSeq(r.accept, "|") {
			if accepted == "" {
				continue
			}
			if _, err := loadText(t, minimal+"  "+name+": "+accepted+"\n"); err != nil {
				t.Errorf("%s: %s: %v", name, accepted, err)
			}
		}
	}
	for _, refused := range []string{
		"principals: {enabled: true}", "principals: {}",
		"http_version: 1.0", "hide_credentials: [true]",
	} {
		if _, err := loadText(t, minimal+"  "+refused+"\n"); err == nil {
			t.Errorf("%s was accepted", refused)
		}
	}
}

// TestValues says that every value of a setting that has a sentence of its own is one that the setting's enum refuses: a
// flow that is built must not stay refused.
func TestValues(t *testing.T) {
	for name, values := range kongValues {
		f := oidcShape.byName[name]
		if f == nil || f.enum == nil {
			t.Errorf("%s isn't a setting with an enum", name)
			continue
		}
		for v := range values {
			for _, e := range f.enum {
				if e == v {
					t.Errorf("%s: %s is built and refused", name, v)
				}
			}
		}
	}
}
