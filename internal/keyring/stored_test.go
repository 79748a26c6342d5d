package keyring

import (
	"testing"

	"sallyport/internal/golden"
)

// TestStored opens what earlier versions have sealed and signed: cookies, records, and the names that HMACs make.
func TestStored(t *testing.T) {
	k := mustKeyring(t, secretA)
	f := golden.Open(t, "v1", func(f *golden.File) {
		signed, errSign := k.SignID("__Host-session", [32]byte{1, 2, 3})
		sealed, errSeal := k.Seal("authorization_1", []byte("a login"))
		record, errRecord := k.SealRecord("use", "name", "salt", []byte("a record"))
		repeatable, errRepeatable := k.SealRepeatably("use", "name", "salt", []byte("a record"))
		for _, err := range []error{errSign, errSeal, errRecord, errRepeatable} {
			if err != nil {
				t.Fatal(err)
			}
		}
		f.Put("signed", signed)
		f.Put("sealed", sealed)
		f.Put("record", []byte(record))
		f.Put("repeatable", []byte(repeatable))
		f.Put("name", k.Names("a", "b")[0])
		f.Put("derived", k.Derive("a use"))
	})
	if id, ok := k.OpenID("__Host-session", f.Text("signed")); !ok || id != [32]byte{1, 2, 3} {
		t.Errorf("a signed ID opens as %x, %t", id, ok)
	}
	if plain, ok := k.Unseal("authorization_1", f.Text("sealed")); !ok || string(plain) != "a login" {
		t.Errorf("a sealed cookie opens as %q, %t", plain, ok)
	}
	for _, name := range []string{"record", "repeatable"} {
		if plain, err := k.OpenRecord("use", "name", "salt", string(f.Bytes(name))); err != nil || string(plain) != "a record" {
			t.Errorf("%s opens as %q, %v", name, plain, err)
		}
	}
	if got := k.Names("a", "b")[0]; got != f.Text("name") {
		t.Errorf("the name is %s, expected %s", got, f.Text("name"))
	}
	if got := k.Derive("a use"); string(got) != string(f.Bytes("derived")) {
		t.Errorf("the derived key is %x, expected %x", got, f.Bytes("derived"))
	}
}
