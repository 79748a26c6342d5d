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
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// errBadSignature says that no key of the issuer verifies a JWS.
var errBadSignature = errors.New("no key of the issuer verifies the signature")

const (
	maxKeys     = 200 // of a key set; more are ignored
	minRSABits  = 2048
	maxRSABits  = 8192
	maxAttempts = 10 // keys tried for a token
)

// publicKeys are an issuer's keys as they were fetched at one time. They are immutable.
type publicKeys struct{ list []key }

// A key is one public key of an issuer's set (RFC 7517).
type key struct {
	jose.JSONWebKey
	text string // as it was published, for upstreams that want to see it
}

// fits reports whether the key may verify alg: its kind, and what the set says of its use (RFC 7517 §4.2, §4.4).
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

// verifier is what go-jose verifies alg with.
func (k key) verifier(alg string) any {
	if public, ok := k.Key.(ed25519.PublicKey); ok && alg == nameEd25519 {
		return ed25519Verifier{public}
	}
	return k.Key
}

// parseKeys reads a key set key by key: one key that can't be used must not lose the others.
func parseKeys(raw []json.RawMessage) (keys []key, odd []skipped) {
	for n, b := range raw {
		k, err := parseKey(b)
		switch {
		case n >= maxKeys:
			return keys, append(odd, skipped{"keys", fmt.Errorf("it has %d keys, and the first %d count", len(raw), maxKeys)})
		case err != nil:
			odd = append(odd, skipped{keyName(n, b), err})
		default:
			keys = append(keys, k)
		}
	}
	return keys, odd
}

// keyName names a key in the log: by its kid, and by its place without one.
func keyName(n int, b []byte) string {
	var named struct {
		KeyID string `json:"kid"`
	}
	if _, err := readMembers(b, &named); err != nil || named.KeyID == "" {
		return fmt.Sprintf("keys[%d]", n)
	}
	return fmt.Sprintf("the key with kid %q", clip(named.KeyID))
}

// parseKey reads one key. Its certificates are not looked at: what a key verifies is for the set to say that it stands in, and
// certificates that Go can't parse are no reason to lose it. A kid that is no string counts as none.
func parseKey(b []byte) (key, error) {
	all, twice, err := members(b)
	if err != nil {
		return key{}, err
	}
	for name := range twice {
		if twice[name] {
			return key{}, fmt.Errorf("%s: %w", name, errTwice)
		}
	}
	for _, name := range []string{"x5c", "x5t", "x5t#S256", "x5u"} {
		delete(all, name)
	}
	if kid, there := all["kid"]; there && !isText(kid) {
		delete(all, "kid")
	}
	for _, name := range []string{"use", "alg"} { // they narrow what a key is for: without them it would be for more
		if v, there := all[name]; there && !isText(v) && string(v) != "null" {
			return key{}, fmt.Errorf("%s: expected a string, got %s", name, clip(string(v)))
		}
	}
	bare, err := json.Marshal(all)
	if err != nil {
		return key{}, err
	}
	k := key{text: string(b)}
	if err := k.UnmarshalJSON(bare); err != nil {
		reason := strings.TrimPrefix(err.Error(), "go-jose/go-jose: ")
		return key{}, fmt.Errorf("kty %s, crv %s: %s", kindIn(all["kty"]), kindIn(all["crv"]), reason)
	}
	return k, checkKey(k)
}

func isText(member json.RawMessage) bool { return bytes.HasPrefix(member, []byte(`"`)) }

// kindIn shows a member in an error, or that there is none.
func kindIn(member json.RawMessage) string {
	if member == nil {
		return "none"
	}
	return clip(string(member))
}

// checkKey refuses keys that are too weak, too costly, or not for everybody to see.
func checkKey(k key) error {
	if !k.IsPublic() || !k.Valid() {
		return errors.New("expected a public key")
	}
	if public, ok := k.Key.(*rsa.PublicKey); ok && (public.N.BitLen() < minRSABits || public.N.BitLen() > maxRSABits) {
		return fmt.Errorf("it has %d bits, expected from %d to %d", public.N.BitLen(), minRSABits, maxRSABits)
	}
	return nil
}

// lostKey reports whether a key of old is no longer in new.
func lostKey(old, new []key) bool {
	return slices.ContainsFunc(old, func(o key) bool { return !hasKey(new, o) })
}

func hasKey(keys []key, k key) bool {
	return slices.ContainsFunc(keys, func(other key) bool { return sameKey(other, k) })
}

// sameKey reports whether two keys verify the same.
func sameKey(a, b key) bool {
	public, ok := a.Key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && a.KeyID == b.KeyID && a.Use == b.Use && a.Algorithm == b.Algorithm && public.Equal(b.Key)
}

// verify tries the keys that may have signed jws, besides those that were tried in vain before; nil: none were.
func (p *publicKeys) verify(jws *jose.JSONWebSignature, before *publicKeys) (*verdict, error) {
	header := jws.Signatures[0].Header
	attempts := 0
	for _, k := range candidates(p.list, header.KeyID) {
		if !k.fits(header.Algorithm) || before != nil && hasKey(before.list, k) {
			continue
		}
		if attempts++; attempts > maxAttempts {
			break
		}
		if _, err := jws.Verify(k.verifier(header.Algorithm)); err == nil {
			return &verdict{jwk: k.text, keys: p}, nil
		}
	}
	return nil, errBadSignature
}

// candidates returns the keys that have a token's kid, then those that have none. A token without a kid may be signed by any
// key (RFC 7515 §4.1.4).
func candidates(keys []key, kid string) []key {
	if kid == "" {
		return keys
	}
	var named, unnamed []key
	for _, k := range keys {
		switch k.KeyID {
		case kid:
			named = append(named, k)
		case "":
			unnamed = append(unnamed, k)
		}
	}
	return append(named, unnamed...)
}
