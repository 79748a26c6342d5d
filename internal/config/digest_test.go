package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDigest checks that the digest of a configuration depends on its settings, but not on its secrets.
func TestDigest(t *testing.T) {
	const base = `listen: 127.0.0.1:8001
trusted_proxies: [10.0.0.0/8]
limits: {idle_timeout: 60s}
route: {upstream: "http://127.0.0.1:1", hosts: [a.example]}
oidc: {issuer: "http://127.0.0.1:2", client_id: app, client_secret: the-first-secret, scopes: [openid]}
rules: [{paths: [/admin], roles_required: [admin]}]
`
	file := filepath.Join(t.TempDir(), "gate.yaml")
	digest := func(text string) string {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		loaded, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		return loaded.Digest()
	}
	first := digest(base)
	for _, change := range []struct {
		from, to string
		differs  bool
	}{
		{"the-first-secret", "another-secret", false},
		{"127.0.0.1:8001", "127.0.0.1:8002", true},
		{"10.0.0.0/8", "10.0.0.0/9", true},
		{"60s", "61s", true},
		{"a.example", "b.example", true},
		{"client_id: app", "client_id: other", true},
		{"[openid]", "[openid, email]", true},
		{"[admin]", "[editor]", true},
		{"rules:", "# a comment\nrules:", true}, // the places of rules are in logs and traces
	} {
		if got := digest(strings.Replace(base, change.from, change.to, 1)); (got != first) != change.differs {
			t.Errorf("%s instead of %s: the digest differs: %t, expected %t", change.to, change.from, got != first, change.differs)
		}
	}
}
