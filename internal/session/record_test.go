package session

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/keyring"
)

func john() Login {
	return Login{
		Audience: "default", Issuer: "https://idp.example.com", ClientID: "app", Subject: "john-sub", SID: "provider-sid",
		Obtained: time.Now().UTC().Truncate(0),
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
	return &entry{id: newID(), session: &Session{Version: version, Created: now, Issued: now, Login: john()}}
}

func TestRecordKeepsEverything(t *testing.T) {
	k, e := mustKeyring(t, secretA), johnsEntry()
	record, err := e.seal(k, "name")
	if err != nil {
		t.Fatal(err)
	}
	got, err := open(k, e.id, "name", record)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.session, e.session) {
		t.Errorf("got  %+v\nexpected %+v", got.session.Login.Identity, e.session.Login.Identity)
	}
	for _, plain := range []string{"the-access-token", "john-sub", "idp.example.com", string(e.id[:])} {
		if strings.Contains(record, plain) {
			t.Errorf("the record shows %q", plain)
		}
	}
	left := &entry{id: e.id, successor: &successor{ID: newID(), Until: time.Now().UTC().Truncate(0)}}
	record, _ = left.seal(k, "name")
	if got, err = open(k, e.id, "name", record); err != nil || *got.successor != *left.successor || got.session != nil {
		t.Errorf("a successor: %+v, %v", got, err)
	}
}

func TestRecordsThatDontOpen(t *testing.T) {
	k, e := mustKeyring(t, secretA), johnsEntry()
	record, _ := e.seal(k, "name")
	future := &entry{id: e.id, session: &Session{Version: version + 1, Login: john()}}
	newer, _ := future.seal(k, "name")
	for name, open := range map[string]func() (*entry, error){
		"moved to another name": func() (*entry, error) { return open(k, e.id, "other", record) },
		"another ID":            func() (*entry, error) { return open(k, newID(), "name", record) },
		"another secret":        func() (*entry, error) { return open(mustKeyring(t, secretB), e.id, "name", record) },
		"another version":       func() (*entry, error) { return open(k, e.id, "name", newer) },
	} {
		if _, err := open(); !errors.Is(err, errRecord) && !errors.Is(err, keyring.ErrRecord) {
			t.Errorf("%s: got %v, expected that it doesn't open", name, err)
		}
	}
}
