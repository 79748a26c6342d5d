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
)

const (
	secretA = auth.Secret("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	secretB = auth.Secret("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
)

func mustKeyring(t testing.TB, secrets ...auth.Secret) *Keyring {
	t.Helper()
	k, err := NewKeyring(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestShortSecretsAreRefused(t *testing.T) {
	for name, secrets := range map[string][]auth.Secret{
		"none":       nil,
		"31 bytes":   {secretA[:31]},
		"the second": {secretA, "short"},
	} {
		if _, err := NewKeyring(secrets); err == nil || !strings.Contains(err.Error(), "session_secret") {
			t.Errorf("%s: got %v, expected a refusal that names session_secret", name, err)
		} else if strings.Contains(err.Error(), "short") {
			t.Errorf("%s: the message shows the secret: %v", name, err)
		}
	}
	if one, two := GenerateSecret(), GenerateSecret(); one == two || len(one) < minSecret {
		t.Errorf("generated secrets must differ and be long enough")
	}
}

func TestSessionCookie(t *testing.T) {
	k, id := mustKeyring(t, secretA), newID()
	value, err := k.SignID("session", id)
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := k.OpenID("session", value); !ok || got != id {
		t.Fatal("our own cookie doesn't open")
	}
	sealed, _ := k.Seal("session", id[:])
	for name, open := range map[string]func() (ID, bool){
		"another cookie's name": func() (ID, bool) { return k.OpenID("session2", value) },
		"another secret":        func() (ID, bool) { return mustKeyring(t, secretB).OpenID("session", value) },
		"a login cookie":        func() (ID, bool) { return k.OpenID("session", sealed) },
		"empty":                 func() (ID, bool) { return k.OpenID("session", "") },
		"garbage":               func() (ID, bool) { return k.OpenID("session", "garbage|1|2") },
		"oversized":             func() (ID, bool) { return k.OpenID("session", strings.Repeat("A", 1<<20)) },
		"truncated":             func() (ID, bool) { return k.OpenID("session", value[:len(value)-4]) },
	} {
		if _, ok := open(); ok {
			t.Errorf("%s: opened", name)
		}
	}
	short, _ := k.rings[0].session.Encode("session", id[:16])
	if _, ok := k.OpenID("session", short); ok {
		t.Error("a signed value that is no ID opened")
	}
	for i := range value {
		changed := []byte(value)
		changed[i] ^= 1
		if got, ok := k.OpenID("session", string(changed)); ok && got != id {
			t.Errorf("byte %d changed: another ID opened", i)
		} else if ok && i < len(value)-2 { // the last characters have bits that base64 ignores
			t.Errorf("byte %d changed: it opened", i)
		}
	}
}

func TestSecretsRotate(t *testing.T) {
	id := newID()
	before, after := mustKeyring(t, secretA), mustKeyring(t, secretB, secretA)
	old, _ := before.SignID("session", id)
	if got, ok := after.OpenID("session", old); !ok || got != id {
		t.Error("the older secret doesn't open")
	}
	value, _ := after.SignID("session", id)
	if _, ok := before.OpenID("session", value); ok {
		t.Error("the older secret sealed")
	}
	if _, ok := mustKeyring(t, secretB).OpenID("session", value); !ok {
		t.Error("the newer secret didn't seal")
	}
}

func TestLoginCookie(t *testing.T) {
	k, plain := mustKeyring(t, secretA), []byte(`{"verifier":"very secret"}`)
	value, err := k.Seal("login_1", plain)
	if err != nil || string(plain) != `{"verifier":"very secret"}` {
		t.Fatalf("Seal: %v; the plain text is now %q", err, plain)
	}
	if got, ok := k.Unseal("login_1", value); !ok || !bytes.Equal(got, plain) {
		t.Fatalf("got %q, expected what was sealed", got)
	}
	if again, _ := k.Seal("login_1", plain); again == value {
		t.Error("sealed twice it looks the same")
	}
	if got, ok := mustKeyring(t, secretB, secretA).Unseal("login_1", value); !ok || !bytes.Equal(got, plain) {
		t.Error("it doesn't open after a rotation")
	}
	signed, _ := k.SignID("login_1", newID())
	for name, c := range map[string]struct {
		ring        *Keyring
		name, value string
	}{
		"another name":     {k, "login_2", value},
		"another secret":   {mustKeyring(t, secretB), "login_1", value},
		"a session cookie": {k, "login_1", signed},
		"garbage":          {k, "login_1", "garbage"},
		"oversized":        {k, "login_1", strings.Repeat("A", 1<<20)},
	} {
		if _, ok := c.ring.Unseal(c.name, c.value); ok {
			t.Errorf("%s: opened", name)
		}
	}
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
