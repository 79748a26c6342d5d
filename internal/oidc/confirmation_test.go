package oidc

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
)

// TestUnverifiedConfirmation checks that each spelling of a claim cnf is found.
func TestUnverifiedConfirmation(t *testing.T) {
	bound := map[string]any{"jkt": "x"}
	for claims, want := range map[string]any{
		`{"sub":"john","cnf":{"jkt":"x"}}`:     bound,
		`{"\u0063nf":{"jkt":"x"}}`:             bound,
		`{"\u0063\u006e\u0066" : {"jkt":"x"}}`: bound,
		`{"cnf":"a text"}`:                     "a text",
		`{"sub":"cnf"}`:                        nil,
		`{"sub":"john"}`:                       nil,
		`{"a":{"cnf":{"jkt":"x"}}}`:            nil,
		`{"cnf":{"jkt":"x"}`:                   nil, // no JSON
	} {
		token := "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".AAAA"
		if got := UnverifiedConfirmation(token); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, expected %v", claims, got, want)
		}
	}
	if got := UnverifiedConfirmation("opaque"); got != nil {
		t.Errorf("an opaque token: got %v", got)
	}
}

// TestIsJWS checks each byte at its own place in a token.
func TestIsJWS(t *testing.T) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for c := range 256 {
		token := "e" + string([]byte{byte(c)}) + "30.e30.AAAA"
		if got, want := IsJWS(token), strings.IndexByte(letters, byte(c)) >= 0; got != want {
			t.Errorf("%q: got %v", token, got)
		}
	}
	for token, want := range map[string]bool{
		"a.b.c": true, "a.b.": true, "a..c": true, ".b.c": false, "a.b": false, "a.b.c.d": false, "": false,
	} {
		if got := IsJWS(token); got != want {
			t.Errorf("%q: got %v", token, got)
		}
	}
}
