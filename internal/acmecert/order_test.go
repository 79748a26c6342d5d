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

// TestAccount checks what an ACME server is told when the account is made, that the key is stored before, and that the next process uses
// the same. Orders are tested with a real server in package e2e.
func TestAccount(t *testing.T) {
	var payloads, keys, agents []string
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	dir := t.TempDir()
	folder := filepath.Join(dir, "certificates")
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Replay-Nonce", "nonce")
		switch r.URL.Path {
		case "/directory":
			json.NewEncoder(w).Encode(map[string]any{
				"newNonce": server.URL + "/nonce", "newAccount": server.URL + "/account", "newOrder": server.URL + "/order",
				"meta": map[string]any{"termsOfService": "https://ca.example/terms"},
			})
		case "/account":
			if found, _ := filepath.Glob(folder + "/*/" + accountName); len(found) != 1 {
				t.Error("the account is made before its key is stored")
			}
			var jws struct{ Protected, Payload string }
			if err := json.NewDecoder(r.Body).Decode(&jws); err != nil {
				t.Error(err)
			}
			payload, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
			protected, _ := base64.RawURLEncoding.DecodeString(jws.Protected)
			_, key, _ := strings.Cut(string(protected), `"jwk":`)
			payloads, keys, agents = append(payloads, string(payload)), append(keys, key), append(agents, r.UserAgent())
			w.Header().Set("Location", server.URL+"/account/1")
			w.WriteHeader(map[bool]int{true: http.StatusCreated, false: http.StatusOK}[len(payloads) == 1])
			io.WriteString(w, `{"status":"valid"}`)
		case "/order":
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusTooManyRequests)
			io.WriteString(w, `{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many orders"}`)
		}
	})
	ca := filepath.Join(dir, "ca.pem")
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
	if len(payloads) != 2 || payloads[0] != want || keys[0] != keys[1] || keys[0] == "" || !strings.HasPrefix(agents[0], userAgent) {
		t.Errorf("accounts %q with the keys %q by %q", payloads, keys, agents)
	}
}
