package dpop

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func mustKey(t *testing.T) *Key {
	t.Helper()
	k, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func thumbprint(t *testing.T, k *Key) string {
	t.Helper()
	sum, err := k.Thumbprint()
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// TestProof reads a proof with go-jose as a server does, by the key in its header.
func TestProof(t *testing.T) {
	k, at := mustKey(t), time.Unix(1_700_000_000, 0)
	u, _ := url.Parse("https://api.example.com/a%2Fb;c/%C3%A9?q=1#f")
	sum := sha256.Sum256([]byte("token"))
	full := map[string]any{
		"htm": "POST", "htu": "https://api.example.com/a%2Fb;c/%C3%A9", "iat": float64(at.Unix()), "nonce": "n-1",
		"ath": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	bare := map[string]any{"htm": "GET", "htu": "https://api.example.com/", "iat": float64(at.Unix())}
	seen := map[any]bool{}
	for _, test := range []struct {
		give Claims
		want map[string]any
	}{
		{Claims{Method: "POST", URL: u, At: at, Nonce: "n-1", AccessToken: "token"}, full},
		{Claims{Method: "GET", URL: &url.URL{Scheme: "https", Host: "api.example.com"}, At: at}, bare},
		{Claims{Method: "GET", URL: &url.URL{Scheme: "https", Host: "api.example.com"}, At: at}, bare},
	} {
		proof, err := k.Proof(test.give)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := jwt.ParseSigned(proof, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			t.Fatal(err)
		}
		header := parsed.Headers[0]
		if typ := header.ExtraHeaders["typ"]; typ != "dpop+jwt" || header.JSONWebKey == nil || !header.JSONWebKey.IsPublic() {
			t.Errorf("typ is %v and jwk %v, expected dpop+jwt and a public key", typ, header.JSONWebKey)
		}
		public, _ := header.JSONWebKey.Thumbprint(crypto.SHA256)
		if got := base64.RawURLEncoding.EncodeToString(public); got != thumbprint(t, k) {
			t.Errorf("the key in the proof has the thumbprint %s, expected %s", got, thumbprint(t, k))
		}
		var claims map[string]any
		if err := parsed.Claims(header.JSONWebKey, &claims); err != nil {
			t.Fatal(err)
		}
		if seen[claims["jti"]] || len(fmt.Sprint(claims["jti"])) < 22 {
			t.Errorf("jti is %v, expected a new one of 128 bits", claims["jti"])
		}
		seen[claims["jti"]] = true
		delete(claims, "jti")
		if fmt.Sprint(claims) != fmt.Sprint(test.want) {
			t.Errorf("claims: expected %v, got %v", test.want, claims)
		}
	}
}

// TestKeyIsStored checks that a stored key is the same, and that bytes that are no key are refused without being printed.
func TestKeyIsStored(t *testing.T) {
	k := mustKey(t)
	b, err := k.Bytes()
	if err != nil || len(b) != 32 {
		t.Fatalf("%d bytes, %v, expected 32", len(b), err)
	}
	again, err := ParseKey(b)
	if err != nil || thumbprint(t, again) != thumbprint(t, k) {
		t.Errorf("the stored key is another one: %v", err)
	}
	for _, bad := range [][]byte{nil, make([]byte, 32), bytes.Repeat([]byte{0xff}, 32), b[1:], append(b, 0)} {
		if _, err := ParseKey(bad); err == nil || strings.Contains(err.Error(), "255") {
			t.Errorf("%d bytes %x: got %v", len(bad), bad[:min(4, len(bad))], err)
		}
	}
}

// TestKeyOf pins the derivation: a login that begins before an upgrade ends after it.
func TestKeyOf(t *testing.T) {
	one, two := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	a, errA := KeyOf(one)
	b, errB := KeyOf(two)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	const want = "uIbtfVfJzEwmFj5GgJS_xjjXHTqD0CjpyGPa9kZuo2g"
	if got := thumbprint(t, a); got != want {
		t.Errorf("thumbprint: expected %s, got %s", want, got)
	}
	if thumbprint(t, a) == thumbprint(t, b) {
		t.Error("two secrets have one key")
	}
}

func TestKeyNeverPrints(t *testing.T) {
	k := mustKey(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(verb, k); got != "[redacted]" {
			t.Errorf("%s prints %s", verb, got)
		}
	}
	if got := k.LogValue().String(); got != "[redacted]" {
		t.Errorf("the log has %s", got)
	}
}
