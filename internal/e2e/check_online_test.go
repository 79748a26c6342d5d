package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckOnline checks what check -online prints about Keycloak.
func TestCheckOnline(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	for name, c := range map[string]struct {
		change string // a line of oidc:, or public_url
		found  []string
	}{
		"good": {"", []string{
			"ok       metadata and keys: ", "ok       ID tokens: RS256 is announced", "ok       PKCE: S256 is announced",
			"ok       client app: the token endpoint accepts it", "ok       redirect URI: " + up.url + "/oauth2/callback is registered",
		}},
		"a wrong secret": {"client_secret: wrong", []string{"FAILED   client app: ", "client_secret"}},
		"an unknown client": {"client_id: nobody", []string{"FAILED   client nobody: the issuer refuses its authentication",
			"FAILED   redirect URI: "}},
		"another realm": {"issuer: " + keycloak.issuer("nowhere"), []string{"FAILED   metadata"}},
		"a foreign redirect": {"public_url: https://elsewhere.example.com", []string{
			"FAILED   redirect URI: the issuer shows an error page (400): register https://elsewhere.example.com/oauth2/callback",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			lines := map[string]string{"issuer": keycloak.issuer("sallyport"), "client_id": "app", "client_secret": appSecret,
				"session_secret": sessionSecret}
			publicURL := up.url
			switch key, value, found := strings.Cut(c.change, ": "); {
			case key == "public_url":
				publicURL = value
			case found:
				lines[key] = value
			}
			var text strings.Builder
			fmt.Fprintf(&text, "route: {upstream: %q, public_url: %q}\noidc:\n", up.url, publicURL)
			for key, value := range lines {
				fmt.Fprintf(&text, "  %s: %q\n", key, value)
			}
			file := filepath.Join(t.TempDir(), "app.yaml")
			if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.CommandContext(t.Context(), binary, "check", "-c", file, "-online").CombinedOutput()
			if failed := strings.Contains(string(out), "  FAILED   "); failed != (err != nil) {
				t.Errorf("it ends with %v", err)
			}
			for _, want := range c.found {
				if !strings.Contains(string(out), want) {
					t.Errorf("it doesn't say %q", want)
				}
			}
			if strings.Contains(string(out), appSecret) {
				t.Error("it shows the secret")
			}
			if t.Failed() || testing.Verbose() {
				t.Logf("it says:\n%s", out)
			}
		})
	}
}
