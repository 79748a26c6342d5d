package acmecert

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"
)

// A registry is an ACME server that makes accounts, and takes no orders.
type registry struct {
	*httptest.Server
	asked    func() // is called before an account is made
	payloads []string
	keys     []string
	agents   []string
}

func startRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (g *registry) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Replay-Nonce", "nonce")
	switch r.URL.Path {
	case "/directory":
		json.NewEncoder(w).Encode(map[string]any{
			"newNonce": g.URL + "/nonce", "newAccount": g.URL + "/account", "newOrder": g.URL + "/order",
			"meta": map[string]any{"termsOfService": "https://ca.example/terms"},
		})
	case "/account":
		g.asked()
		var jws struct{ Protected, Payload string }
		json.NewDecoder(r.Body).Decode(&jws)
		payload, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
		protected, _ := base64.RawURLEncoding.DecodeString(jws.Protected)
		_, key, _ := strings.Cut(string(protected), `"jwk":`)
		g.payloads, g.keys, g.agents = append(g.payloads, string(payload)), append(g.keys, key), append(g.agents, r.UserAgent())
		w.Header().Set("Location", g.URL+"/account/1")
		w.WriteHeader(map[bool]int{true: http.StatusCreated, false: http.StatusOK}[len(g.payloads) == 1])
		io.WriteString(w, `{"status":"valid"}`)
	case "/order":
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many orders"}`)
	}
}

// TestAccount checks what an ACME server is told when the account is made, that the key is stored before, and that the next process uses
// the same. Orders are tested with a real server in package e2e.
func TestAccount(t *testing.T) {
	server, dir := startRegistry(t), t.TempDir()
	ca, folder := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "certificates")
	server.asked = func() {
		if found, _ := filepath.Glob(folder + "/*/" + accountName); len(found) != 1 {
			t.Error("the account is made before its key is stored")
		}
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		c, err := New(Config{Log: slog.New(slog.DiscardHandler), Settings: Settings{
			Directory: server.URL + "/directory", AgreeTOS: true, Email: "ops@example.com", CAFile: ca, Challenge: tlsALPN01,
			Storage: "folder", Folder: folder, RenewBefore: time.Hour,
		}})
		if err != nil {
			t.Fatal(err)
		}
		_, ordered, err := c.order(t.Context(), "a.example")
		var problem *acme.Error
		if kind, _ := problemOf(err); ordered || !errors.As(err, &problem) || kind != "urn:ietf:params:acme:error:rateLimited" {
			t.Errorf("the order: %t, %v", ordered, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	const want = `{"termsOfServiceAgreed":true,"contact":["mailto:ops@example.com"]}`
	if len(server.payloads) != 2 || server.payloads[0] != want {
		t.Errorf("the accounts are %q", server.payloads)
	}
	if server.keys[0] != server.keys[1] || server.keys[0] == "" || !strings.HasPrefix(server.agents[0], userAgent) {
		t.Errorf("the keys are %q, the agents %q", server.keys, server.agents)
	}
}
