package keyring

import (
	"bytes"
	"crypto/rand"
	"errors"
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
	k, err := New(secrets)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newID() (id [32]byte) {
	rand.Read(id[:])
	return id
}

func TestShortSecretsAreRefused(t *testing.T) {
	for name, secrets := range map[string][]auth.Secret{
		"none":       nil,
		"31 bytes":   {secretA[:31]},
		"the second": {secretA, "short"},
	} {
		if _, err := New(secrets); err == nil || !strings.Contains(err.Error(), "session_secret") {
			t.Errorf("%s: got %v, expected a refusal that names session_secret", name, err)
		} else if strings.Contains(err.Error(), "short") {
			t.Errorf("%s: the message shows the secret: %v", name, err)
		}
	}
	if one, two := Generate(), Generate(); one == two || len(one) < minSecret {
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
	for name, open := range map[string]func() ([32]byte, bool){
		"another cookie's name": func() ([32]byte, bool) { return k.OpenID("session2", value) },
		"another secret":        func() ([32]byte, bool) { return mustKeyring(t, secretB).OpenID("session", value) },
		"a login cookie":        func() ([32]byte, bool) { return k.OpenID("session", sealed) },
		"empty":                 func() ([32]byte, bool) { return k.OpenID("session", "") },
		"garbage":               func() ([32]byte, bool) { return k.OpenID("session", "garbage|1|2") },
		"oversized":             func() ([32]byte, bool) { return k.OpenID("session", strings.Repeat("A", 1<<20)) },
		"truncated":             func() ([32]byte, bool) { return k.OpenID("session", value[:len(value)-4]) },
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
		if _, ok := k.OpenID("session", string(changed)); ok {
			t.Errorf("byte %d changed: it opened", i)
		}
	}
}

// TestSessionCookieWithoutAllocations checks that a session cookie opens without an allocation: each request with a session opens one.
func TestSessionCookieWithoutAllocations(t *testing.T) {
	k := mustKeyring(t, secretA)
	value, _ := k.SignID("session", newID())
	if n := testing.AllocsPerRun(100, func() { k.OpenID("session", value) }); n >= 4 { // with the race detector a sync.Pool forgets some
		t.Errorf("%v allocations", n)
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
		t.Error("two sealed values of the same content are equal")
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

func TestRecord(t *testing.T) {
	k, plain := mustKeyring(t, secretA), []byte("the plain text")
	record, err := k.SealRecord("use", "name", "salt", plain)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := k.OpenRecord("use", "name", "salt", record); err != nil || !bytes.Equal(got, plain) {
		t.Fatalf("got %q, %v", got, err)
	}
	if strings.Contains(record, "plain") {
		t.Error("the record shows its content")
	}
	if again, _ := k.SealRecord("use", "name", "salt", plain); again[recordKey:recordHead] == record[recordKey:recordHead] {
		t.Error("the same nonce twice")
	}
	for name, open := range map[string]func() ([]byte, error){
		"moved to another name": func() ([]byte, error) { return k.OpenRecord("use", "other", "salt", record) },
		"another use":           func() ([]byte, error) { return k.OpenRecord("other", "name", "salt", record) },
		"another salt":          func() ([]byte, error) { return k.OpenRecord("use", "name", "other", record) },
		"another secret":        func() ([]byte, error) { return mustKeyring(t, secretB).OpenRecord("use", "name", "salt", record) },
		"empty":                 func() ([]byte, error) { return k.OpenRecord("use", "name", "salt", "") },
		"only a head":           func() ([]byte, error) { return k.OpenRecord("use", "name", "salt", record[:recordHead]) },
		"longer":                func() ([]byte, error) { return k.OpenRecord("use", "name", "salt", record+"x") },
	} {
		if _, err := open(); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: got %v, expected %v", name, err, ErrRecord)
		}
	}
	for i := range record { // version, key id, nonce, ciphertext and tag
		b := []byte(record)
		b[i] ^= 0x40
		if _, err := k.OpenRecord("use", "name", "salt", string(b)); !errors.Is(err, ErrRecord) {
			t.Fatalf("byte %d changed: got %v, expected %v", i, err, ErrRecord)
		}
	}
}

// A record with the key ID of a secret that did not seal it must not open.
func TestRecordNamesItsKey(t *testing.T) {
	old, ring := mustKeyring(t, secretA), mustKeyring(t, secretB, secretA)
	record, _ := old.SealRecord("use", "name", "", []byte("x"))
	if _, err := ring.OpenRecord("use", "name", "", record); err != nil {
		t.Errorf("the older secret doesn't open: %v", err)
	}
	swapped := record[:1] + string(ring.rings[0].id[:]) + record[recordKey:]
	if _, err := ring.OpenRecord("use", "name", "", swapped); !errors.Is(err, ErrRecord) {
		t.Errorf("another key id: got %v, expected %v", err, ErrRecord)
	}
	newer, _ := ring.SealRecord("use", "name", "", []byte("x"))
	if newer[1:recordKey] != string(mustKeyring(t, secretB).rings[0].id[:]) {
		t.Error("the first secret didn't seal")
	}
}

func TestNamesAreUnambiguous(t *testing.T) {
	k, seen := mustKeyring(t, secretA), map[string]bool{}
	for _, parts := range [][]string{
		{"sub", "a", "bc"}, {"sub", "ab", "c"}, {"sid", "a", "bc"}, {"sub", "", "abc"}, {"sub", "bc", "a"}, {"sub", "abc"},
	} {
		name := k.Names(parts...)[0]
		if seen[name] {
			t.Errorf("%q: the name of another", parts)
		}
		seen[name] = true
	}
}
