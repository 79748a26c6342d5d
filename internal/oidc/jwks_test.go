package oidc

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/provider"
)

// TestCandidates checks that the keys with a token's kid come first, then those without one, and that maxAttempts of them are tried.
func TestCandidates(t *testing.T) {
	keys := []key{keyNamed("a"), keyNamed(""), keyNamed("b"), keyNamed("a"), keyNamed("")}
	for kid, want := range map[string]string{"a": "a a - -", "b": "b - -", "c": "- -", "": "a - b a -"} {
		var got []string
		for _, k := range candidates(keys, kid) {
			got = append(got, strings.ReplaceAll(k.KeyID+"-", "a-", "a"))
		}
		text := strings.ReplaceAll(strings.Join(got, " "), "b-", "b")
		if text != want {
			t.Errorf("kid %q: %s, expected %s", kid, text, want)
		}
	}
	p, c, now := begin(t, nil)
	p.AdjustAnswer(provider.JWKS, func(set map[string]any) {
		for range maxAttempts {
			set["keys"] = slices.Insert(set["keys"].([]any), 0, any(strangersJWK(t)))
		}
	})
	token := p.SignJWT(good(p, now.Now()), provider.WithAlg("ES256"), provider.WithHeader("kid", nil))
	if _, err := c.issuer.AccessToken(t.Context(), token); !errors.Is(err, errBadSignature) {
		t.Errorf("the eleventh key: %v", err)
	}
}

func keyNamed(kid string) key { return key{JSONWebKey: jose.JSONWebKey{KeyID: kid}} }

// strangersJWK returns a new public key.
func strangersJWK(t *testing.T) map[string]any {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(jose.JSONWebKey{Key: private.Public()})
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestOddKeys checks that a key's other members don't make it unusable, and that an unusable key doesn't affect the others.
func TestOddKeys(t *testing.T) {
	p, _, now := begin(t, nil)
	for name, c := range map[string]struct {
		change map[string]any
		good   bool
		logged string
	}{
		"x5c that is no certificate":     {map[string]any{"x5c": []string{"MIIB"}}, true, ""},
		"x5c of another key":             {map[string]any{"x5c": []string{certificate(t, nil)}}, true, ""},
		"x5c that is no list":            {map[string]any{"x5c": "MIIB"}, true, ""},
		"x5t that is no hash":            {map[string]any{"x5t": "?", "x5t#S256": 5, "x5u": []int{1}}, true, ""},
		"kid that is a number":           {map[string]any{"kid": 5}, true, ""},
		"no kid":                         {map[string]any{"kid": nil}, true, ""},
		"key_ops that is a string":       {map[string]any{"key_ops": "verify"}, true, ""},
		"a member that nobody knows":     {map[string]any{"nbf": []int{1}}, true, ""},
		"use that can't be read":         {map[string]any{"use": []string{"sig"}}, false, "use: expected a string, got "},
		"a curve that nobody knows":      {map[string]any{"kty": "EC", "crv": "secp256k1"}, false, `kty \"EC\", crv \"secp256k1\"`},
		"a kind that nobody knows":       {map[string]any{"kty": "XYZ"}, false, "XYZ"},
		"a private key":                  {map[string]any{"kty": "oct", "k": "c2VjcmV0"}, false, "expected a public key"},
		"a modulus that is far too long": {map[string]any{"n": strings.Repeat("A1", 4096)}, false, `kty \"RSA\", crv none`},
		"a modulus of 1024 bits":         {map[string]any{"n": strings.Repeat("w7_D", 42) + "w78"}, false, "it has 1024 bits"},
	} {
		client := clientOf(t, p, now, nil)
		var log bytes.Buffer
		client.issuer.log = slog.New(slog.NewTextHandler(&log, nil))
		p.AdjustAnswer(provider.JWKS, func(set map[string]any) {
			set["keys"] = append([]any{5, "key", nil, map[string]any{}}, set["keys"].([]any)...)
			for _, k := range set["keys"].([]any)[4:5] { // the RS256 key
				for name, v := range c.change {
					if k.(map[string]any)[name] = v; v == nil {
						delete(k.(map[string]any), name)
					}
				}
			}
		})
		_, err := client.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now())))
		if (err == nil) != c.good || !strings.Contains(log.String(), c.logged) ||
			c.good && strings.Contains(log.String(), "the key with kid") {
			t.Errorf("%s: %v; the log:\n%s", name, err, log.String())
		}
		if _, err := client.issuer.AccessToken(t.Context(), p.SignJWT(good(p, now.Now()), provider.WithAlg("ES256"))); err != nil {
			t.Errorf("%s: another key: %v", name, err)
		}
		before := log.Len()
		if err := client.issuer.keys.share(t.Context(), client.issuer.fetchKeys); err != nil || log.Len() != before {
			t.Errorf("%s: the second fetch: %v; the log goes on:\n%s", name, err, log.String()[before:])
		}
	}
}

// TestManyKeys checks that of a key set that is too long the first keys count.
func TestManyKeys(t *testing.T) {
	one := json.RawMessage(`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`)
	keys, odd := parseKeys(slices.Repeat([]json.RawMessage{one}, maxKeys+5))
	if len(keys) != maxKeys || len(odd) != 1 || odd[0].name != "keys" {
		t.Errorf("got %d keys, %v", len(keys), odd)
	}
	keys, odd = parseKeys([]json.RawMessage{[]byte(
		`{"kty":"OKP","kid":"a","crv":"Ed25519","kid":"b","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
	)})
	if len(keys) != 0 || len(odd) != 1 || !errors.Is(odd[0].reason, errRepeated) {
		t.Errorf("a key with two names: %v, %v", keys, odd)
	}
}

func TestKeyFits(t *testing.T) {
	ec, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if k := (key{JSONWebKey: jose.JSONWebKey{Key: ec.Public()}}); k.fits("ES256") || !k.fits("ES384") {
		t.Error("a P-384 key is for ES384 alone (RFC 7518 §3.4)")
	}
	ed, _, _ := ed25519.GenerateKey(rand.Reader)
	for _, named := range []string{"", "EdDSA", "Ed25519"} {
		if k := (key{JSONWebKey: jose.JSONWebKey{Key: ed, Algorithm: named}}); k.fits("ES256") || !k.fits("EdDSA") || !k.fits("Ed25519") {
			t.Errorf("an Ed25519 key with alg %q fits the wrong algorithms", named)
		}
	}
}
