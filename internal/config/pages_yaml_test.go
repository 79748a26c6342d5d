package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
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
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"oidc-secret": []byte("0123456789abcdef0123456789abcdef"),
		"client.pem":  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		"client.key":  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
