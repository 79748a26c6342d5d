package oidc

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

const (
	maxKeys    = 200 // of a key set; further keys are ignored
	minRSABits = 2048
	maxRSABits = 8192
)

// A key is a public key of an issuer (RFC 7517).
type key struct {
	jose.JSONWebKey
	text   string // the key as it was published, for upstreams
	issuer string // the member issuer, with which Entra ID says whose key it is; else ""
}

// fits reports whether the key may verify signatures of alg, by its type, its use and its alg (RFC 7517 §4.2, §4.4).
func (k key) fits(alg string) bool {
	if k.Use != "" && k.Use != "sig" || k.Algorithm != "" && !sameAlgorithm(k.Algorithm, alg) {
		return false
	}
	switch public := k.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}[alg] == public.Curve.Params().BitSize
	case ed25519.PublicKey:
		return sameAlgorithm(alg, "EdDSA")
	}
	return false
}

// verifier returns the key in the form with which go-jose verifies alg.
func (k key) verifier(alg string) any {
	if public, ok := k.Key.(ed25519.PublicKey); ok && alg == nameEd25519 {
		return ed25519Verifier{public}
	}
	return k.Key
}

// sameKey reports whether two keys verify the same signatures.
func sameKey(a, b key) bool {
	public, ok := a.Key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && a.KeyID == b.KeyID && a.Use == b.Use && a.Algorithm == b.Algorithm && public.Equal(b.Key)
}

// parseKeys parses the keys of a key set one by one. A key that can't be used is returned in ignored, and doesn't affect the others.
func parseKeys(raw []json.RawMessage) (keys []key, ignored []ignoredMember) {
	for n, b := range raw {
		k, err := parseKey(b)
		switch {
		case n >= maxKeys:
			return keys, append(ignored, ignoredMember{"keys", fmt.Errorf("it has %d keys, and the first %d count", len(raw), maxKeys)})
		case err != nil:
			ignored = append(ignored, ignoredMember{keyName(n, b), err})
		default:
			keys = append(keys, k)
		}
	}
	return keys, ignored
}

// keyName returns the name of a key in the log: its kid, or its index in the set.
func keyName(n int, b []byte) string {
	var named struct {
		KeyID string `json:"kid"`
	}
	if _, err := readMembers(b, &named); err != nil || named.KeyID == "" {
		return fmt.Sprintf("keys[%d]", n)
	}
	return fmt.Sprintf("the key with kid %q", clip(named.KeyID))
}

// parseKey parses one key. It ignores the key's certificates: the key is trusted because its set has it, and a certificate that Go can't
// parse must not lose the key. A kid that isn't a string is ignored, too; a use, alg or issuer that isn't one refuses the key, because
// without it the key would be good for more.
func parseKey(b []byte) (key, error) {
	all, repeated, err := members(b)
	if err != nil {
		return key{}, err
	}
	for name := range repeated {
		if repeated[name] {
			return key{}, fmt.Errorf("%s: %w", name, errRepeated)
		}
	}
	for _, name := range []string{"x5c", "x5t", "x5t#S256", "x5u"} {
		delete(all, name)
	}
	if kid, present := all["kid"]; present && !isJSONString(kid) {
		delete(all, "kid")
	}
	for _, name := range []string{"use", "alg"} {
		if v, present := all[name]; present && !isJSONString(v) && string(v) != "null" {
			return key{}, fmt.Errorf("%s: expected a string, got %s", name, clip(string(v)))
		}
	}
	bare, err := json.Marshal(all)
	if err != nil {
		return key{}, err
	}
	k := key{text: string(b)}
	if issuer, present := all["issuer"]; present && json.Unmarshal(issuer, &k.issuer) != nil {
		return key{}, fmt.Errorf("issuer: expected a string, got %s", clip(string(issuer)))
	}
	if err := k.UnmarshalJSON(bare); err != nil {
		reason := strings.TrimPrefix(err.Error(), "go-jose/go-jose: ")
		return key{}, fmt.Errorf("kty %s, crv %s: %s", orNone(all["kty"]), orNone(all["crv"]), reason)
	}
	return k, checkKey(k.JSONWebKey)
}

func isJSONString(member json.RawMessage) bool { return bytes.HasPrefix(member, []byte(`"`)) }

// orNone returns a member for an error text; "none" if it is absent.
func orNone(member json.RawMessage) string {
	if member == nil {
		return "none"
	}
	return clip(string(member))
}

// checkKey refuses a private key, and an RSA key that is too weak, or so long that verification costs too much.
func checkKey(k jose.JSONWebKey) error {
	if !k.IsPublic() || !k.Valid() {
		return errors.New("expected a public key")
	}
	if public, ok := k.Key.(*rsa.PublicKey); ok && (public.N.BitLen() < minRSABits || public.N.BitLen() > maxRSABits) {
		return fmt.Errorf("it has %d bits, expected from %d to %d", public.N.BitLen(), minRSABits, maxRSABits)
	}
	return nil
}
