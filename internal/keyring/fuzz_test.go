package keyring

import (
	"bytes"
	"encoding/base64"
	"slices"
	"testing"
)

// FuzzOpen checks that any value opens as the one that was sealed under that name, or not at all, and that no session cookie opens that
// securecookie refuses. The seeds of each use include values of the others.
func FuzzOpen(f *testing.F) {
	k := mustKeyring(f, secretB, secretA)
	id, plain := [32]byte{1, 2, 3}, []byte(`{"s":"AQID","r":"/"}`)
	session, _ := k.SignID("session", id)
	login, _ := k.Seal("login_1", plain)
	record, _ := k.SealRecord("use", "name", "salt", plain)
	other, _ := mustKeyring(f, secretA[1:]+"x").SignID("session", [32]byte{})
	decoded, _ := base64.URLEncoding.DecodeString(session)
	for _, seed := range []string{session, login, record, other, string(decoded), "", "|", session + ";", " " + session} {
		for _, name := range []string{"session", "login_1", "name", "__Host-session"} {
			f.Add(name, seed)
		}
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		if got, ok := k.OpenID(name, value); ok && (got != id || name != "session") {
			t.Errorf("%q opens as the session %x under the name %q", value, got, name)
		}
		if _, ok := k.OpenID(name, value); ok && !slices.ContainsFunc(k.rings, func(r *ring) bool {
			return r.session.Decode(name, value, new([]byte)) == nil
		}) {
			t.Errorf("%q opens, and securecookie refuses it", value)
		}
		if got, ok := k.Unseal(name, value); ok && (!bytes.Equal(got, plain) || name != "login_1") {
			t.Errorf("%q opens as the login %q under the name %q", value, got, name)
		}
		if got, err := k.OpenRecord("use", name, "salt", value); err == nil && (!bytes.Equal(got, plain) || name != "name") {
			t.Errorf("%q opens as the record %q under the name %q", value, got, name)
		}
	})
}
