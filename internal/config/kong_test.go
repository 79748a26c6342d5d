package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// loadText loads a file with a text.
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

// TestAccepted loads the values of refused parameters that are accepted, and some that aren't.
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

// TestValues checks that the enums of settings don't have the values in kongValues, so that a new value doesn't stay refused.
func TestValues(t *testing.T) {
	for name, values := range kongValues {
		f := oidcShape.ByName[name]
		if f == nil || f.Enum == nil {
			t.Errorf("%s isn't a setting with an enum", name)
			continue
		}
		for v := range values {
			for _, e := range f.Enum {
				if e == v {
					t.Errorf("%s: %s is in the enum and refused", name, v)
				}
			}
		}
	}
}
