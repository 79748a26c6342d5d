package session

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
)

const (
	secretA = auth.Secret("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	secretB = auth.Secret("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
)

func mustKeyring(t testing.TB, secrets ...auth.Secret) *keyring.Keyring {
	t.Helper()
	k, err := keyring.New(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestIDsNeverPrint(t *testing.T) {
	id := newID()
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "id", id, "pointer", &id, "opened", Opened{ID: id})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "id", id, "pointer", &id, "opened", Opened{ID: id})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&log, verb+" "+verb+" "+verb+"\n", id, Opened{ID: id}, []ID{id})
	}
	encoded, _ := json.Marshal(map[string]any{"id": id, "opened": Opened{ID: id, Session: &Session{}}})
	log.Write(encoded)
	fmt.Fprintln(&log, errors.Join(fmt.Errorf("session %v", id)), id)
	for form, leak := range map[string]string{
		"hex": fmt.Sprintf("%x", id[:4]), "HEX": fmt.Sprintf("%X", id[:4]), "list": fmt.Sprint(id[:4])[1:],
		"base64": base64.StdEncoding.EncodeToString(id[:6]),
	} {
		if strings.Contains(log.String(), strings.TrimSuffix(leak, "]")) {
			t.Errorf("the ID printed as %s:\n%s", form, log.String())
		}
	}
}
