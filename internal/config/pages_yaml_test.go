package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPagesYAML loads every piece of YAML in a page. The line "# ..." stands for issuer and client_id. whole adds other missing parts.
func TestPagesYAML(t *testing.T) {
	dir := t.TempDir()
	mustWriteClient(t, dir)
	if err := os.CopyFS(filepath.Join(dir, "pages"), os.DirFS("../../configs/pages")); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, p := range mustReadPages(t) {
		var snippet []string
		inside := false
		for n, line := range p.lines {
			switch {
			case line == "```yaml":
				inside, snippet = true, nil
			case line == "```" && inside:
				inside = false
				found++
				name := filepath.Join(dir, fmt.Sprintf("%s-%d.yaml", filepath.Base(p.name), n))
				if err := os.WriteFile(name, []byte(whole(snippet)), 0o600); err != nil {
					t.Fatal(err)
				}
				mustLoadExample(t, name)
			case inside && strings.TrimSpace(line) == "# ...":
				indent, _, _ := strings.Cut(line, "#")
				snippet = append(snippet, indent+"issuer: https://idp.example.com/realms/main", indent+"client_id: app")
			case inside:
				snippet = append(snippet, line)
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d pieces were found", found)
	}
}

// whole returns a piece of a file with the route and the issuer if the piece doesn't have them.
func whole(piece []string) string {
	begins := func(keys ...string) bool {
		return slices.ContainsFunc(piece, func(line string) bool {
			return slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(line, key+":") })
		})
	}
	text := strings.Join(piece, "\n") + "\n"
	if !begins("route", "routes") {
		text += "route: {upstream: http://127.0.0.1:8081}\n"
	}
	if !begins("oidc", "routes") {
		text += "oidc: {issuer: https://idp.example.com/realms/main, client_id: app}\n"
	}
	return text
}

// mustWriteClient writes the secret, key and certificate of the pages' client, and sets the variables with its JWK.
func mustWriteClient(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	private, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string][]byte{"JWK_X": public[1:33], "JWK_Y": public[33:], "JWK_D": private} {
		t.Setenv(name, base64.RawURLEncoding.EncodeToString(value))
	}
	t.Setenv("OIDC_CLIENT_SECRET", "secret")
	mustWriteCertificate(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "oidc-secret"), []byte("0123456789abcdef0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// mustWriteCertificate writes client.pem and client.key into a folder and returns their names.
func mustWriteCertificate(t *testing.T, dir string) (cert, key string) {
	t.Helper()
	cert, key = filepath.Join(dir, "client.pem"), filepath.Join(dir, "client.key")
	certificate, private := MustCertify(t)
	if err := errors.Join(os.WriteFile(cert, []byte(certificate), 0o600), os.WriteFile(key, []byte(private), 0o600)); err != nil {
		t.Fatal(err)
	}
	return cert, key
}
