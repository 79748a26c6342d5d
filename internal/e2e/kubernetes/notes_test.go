package kubernetes

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNotes checks what helm install says at its end, without a cluster.
func TestNotes(t *testing.T) {
	t.Parallel()
	const memory = "each replica has sessions of its own"
	for values, expected := range map[string]struct {
		says, doesnt string
	}{
		"edge":       {"kubectl -n sallyport rollout status deployment/gate-sallyport\n", memory},
		"autoscaled": {memory, "Envoy Gateway"},
		"ext-auth":   {"\n    app in team-a\n    wiki\nNothing else is protected.", memory},
	} {
		got := mustOutput(t, helm, "install", release, chart(), "-n", namespace, "--dry-run=client", "-f", "testdata/"+values+".yaml")
		_, notes, _ := strings.Cut(got, "\nNOTES:\n")
		if !strings.Contains(notes, expected.says) || strings.Contains(notes, expected.doesnt) {
			t.Errorf("%s: helm install says\n%s\nexpected %q, and not %q", values, notes, expected.says, expected.doesnt)
		}
	}
}

// TestReadme renders the release that the command in the README installs.
func TestReadme(t *testing.T) {
	t.Parallel()
	command := regexp.MustCompile(`(?m)^    helm install (.*)$`).FindStringSubmatch(mustRead(t, filepath.Join(root, "README.md")))
	if command == nil {
		t.Fatal("the README has no helm install")
	}
	config := mustWrite(t, filepath.Join(t.TempDir(), "sallyport.yaml"), "route: {upstream: \"http://app:8080\"}\n"+
		"oidc: {issuer: \"https://idp.example.com\", client_id: app}\n")
	args := strings.Fields(strings.NewReplacer("deploy/helm/sallyport", chart(), "=sallyport.yaml", "="+config).Replace(command[1]))
	o := mustDecode(t, "README", mustOutput(t, helm, append([]string{"template"}, args...)...))
	if out, err := sallyport(t, o, "check"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
