package session

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

func john() Audience {
	return Audience{
		Name: "default", Issuer: "https://idp.example.com", ClientID: "app", Subject: "john-sub", SID: "provider-sid",
		Updated: time.Now().UTC().Truncate(0),
		Identity: &auth.Identity{
			Flow: "session", Issuer: "https://idp.example.com", ClientID: "app", Subject: "john-sub",
			AccessToken: auth.Claims{
				"sub": "john-sub", "exp": int64(1_900_000_000), "half": 0.5, "ok": true, "none": nil, "name": "Jöhn <&>",
				"realm_access": map[string]any{"roles": []any{"admin", "user", int64(7)}},
			},
			IDToken: auth.Claims{"sub": "john-sub", "big": int64(9_007_199_254_740_993)},
			Tokens: auth.Tokens{
				AccessToken: "the-access-token", TokenType: "Bearer", RefreshToken: "the-refresh-token", IDToken: "the-id-token",
				Scope: "openid profile", Expiry: time.Now().Add(5 * time.Minute).UTC().Truncate(0),
			},
		},
	}
}

func johnsEntry() *entry {
	now := time.Now().UTC().Truncate(0)
	return &entry{id: newID(), session: &Session{Version: version, Created: now, Issued: now, Audiences: []Audience{john()}}}
}

func TestRecordKeepsEverything(t *testing.T) {
	k, e := mustKeyring(t, secretA), johnsEntry()
	record, err := k.seal(e, "name")
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.open(e.id, "name", record)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.session, e.session) {
		t.Errorf("got  %+v\nexpected %+v", got.session.Audiences[0].Identity, e.session.Audiences[0].Identity)
	}
	for _, plain := range []string{"the-access-token", "john-sub", "idp.example.com", string(e.id[:])} {
		if strings.Contains(record, plain) {
			t.Errorf("the record shows %q", plain)
		}
	}
	if again, _ := k.seal(e, "name"); again[recordKey:recordHead] == record[recordKey:recordHead] {
		t.Error("the same nonce twice")
	}
	left := &entry{id: e.id, successor: &successor{ID: newID(), Until: time.Now().UTC().Truncate(0)}}
	record, _ = k.seal(left, "name")
	if got, err = k.open(e.id, "name", record); err != nil || *got.successor != *left.successor || got.session != nil {
		t.Errorf("a successor: %+v, %v", got, err)
	}
}

func TestRecordsThatDontOpen(t *testing.T) {
	k, e := mustKeyring(t, secretA), johnsEntry()
	record, _ := k.seal(e, "name")
	future := &entry{id: e.id, session: &Session{Version: version + 1}}
	newer, _ := k.seal(future, "name")
	for name, open := range map[string]func() (*entry, error){
		"moved to another name": func() (*entry, error) { return k.open(e.id, "other", record) },
		"another ID":            func() (*entry, error) { return k.open(newID(), "name", record) },
		"another secret":        func() (*entry, error) { return mustKeyring(t, secretB).open(e.id, "name", record) },
		"another version":       func() (*entry, error) { return k.open(e.id, "name", newer) },
		"empty":                 func() (*entry, error) { return k.open(e.id, "name", "") },
		"only a head":           func() (*entry, error) { return k.open(e.id, "name", record[:recordHead]) },
		"longer":                func() (*entry, error) { return k.open(e.id, "name", record+"x") },
	} {
		if _, err := open(); !errors.Is(err, errRecord) {
			t.Errorf("%s: got %v, expected %v", name, err, errRecord)
		}
	}
	for i := range record { // version, key id, nonce, ciphertext and tag
		b := []byte(record)
		b[i] ^= 0x40
		if _, err := k.open(e.id, "name", string(b)); !errors.Is(err, errRecord) {
			t.Fatalf("byte %d changed: got %v, expected %v", i, err, errRecord)
		}
	}
}

// A record that claims to be sealed with a key of the ring that didn't seal it must not open either.
func TestRecordNamesItsKey(t *testing.T) {
	e := johnsEntry()
	old, ring := mustKeyring(t, secretA), mustKeyring(t, secretB, secretA)
	record, _ := old.seal(e, "name")
	if _, err := ring.open(e.id, "name", record); err != nil {
		t.Errorf("the older secret doesn't open: %v", err)
	}
	swapped := record[:1] + string(ring.rings[0].id[:]) + record[recordKey:]
	if _, err := ring.open(e.id, "name", swapped); !errors.Is(err, errRecord) {
		t.Errorf("another key id: got %v, expected %v", err, errRecord)
	}
	newer, _ := ring.seal(e, "name")
	if newer[1:recordKey] != string(mustKeyring(t, secretB).rings[0].id[:]) {
		t.Error("the first secret didn't seal")
	}
}

func TestIndexNamesAreUnambiguous(t *testing.T) {
	k, seen := mustKeyring(t, secretA), map[string]bool{}
	for _, parts := range [][3]string{{"sub", "a", "bc"}, {"sub", "ab", "c"}, {"sid", "a", "bc"}, {"sub", "", "abc"}, {"sub", "bc", "a"}} {
		name := k.indexNames(parts[0], parts[1], parts[2])[0]
		if seen[name] {
			t.Errorf("%q: the name of another", parts)
		}
		seen[name] = true
	}
}
