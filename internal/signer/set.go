package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A set has all keys, as they are stored. It is immutable: a change is a new value.
type set struct {
	Current  map[string]jose.JSONWebKey `json:"current"` // by algorithm
	Previous map[string]jose.JSONWebKey `json:"previous,omitempty"`
	Rotated  time.Time                  `json:"rotated"`

	record string // the stored bytes
}

// rotated returns a set with new keys for all algorithms of t and for algs. It makes all of them at once, because the published set must
// be complete.
func (t *set) rotated(now time.Time, algs []string) (*set, error) {
	next := &set{Previous: t.Current}
	return next.with(now, slices.Concat(slices.Sorted(maps.Keys(t.Current)), algs))
}

func (t *set) has(alg string) bool {
	_, found := t.Current[alg]
	return found
}

// with returns a set that also has keys for algs. It returns t itself if nothing is missing.
func (t *set) with(now time.Time, algs []string) (*set, error) {
	next := t
	for _, alg := range algs {
		if next.has(alg) {
			continue
		}
		key, err := makeKey(alg)
		if err != nil {
			return nil, err
		}
		if next == t {
			next = t.copied(now)
		}
		next.Current[alg] = *key
	}
	return next, nil
}

// copied returns a copy to whose current keys others may be added. Rotated is set when the first keys are made.
func (t *set) copied(now time.Time) *set {
	next := &set{Current: map[string]jose.JSONWebKey{}, Previous: t.Previous, Rotated: t.Rotated}
	maps.Copy(next.Current, t.Current)
	if len(t.Current) == 0 {
		next.Rotated = now
	}
	return next
}

// public returns the public halves of all keys.
func (t *set) public() *jose.JSONWebKeySet {
	public := &jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, keys := range []map[string]jose.JSONWebKey{t.Current, t.Previous} {
		for _, alg := range slices.Sorted(maps.Keys(keys)) {
			key := keys[alg]
			public.Keys = append(public.Keys, key.Public())
		}
	}
	return public
}

// makeKey returns a new key for an algorithm (RFC 7518 §3.1, RFC 8037). Its kid is its thumbprint (RFC 7638).
func makeKey(alg string) (*jose.JSONWebKey, error) {
	private, err := generate(alg)
	if err != nil {
		return nil, err
	}
	key := &jose.JSONWebKey{Key: private, Algorithm: alg, Use: "sig"}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	key.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	return key, nil
}

const rsaBits = 2048

func generate(alg string) (crypto.Signer, error) {
	switch {
	case strings.HasPrefix(alg, "RS"), strings.HasPrefix(alg, "PS"):
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case alg == "EdDSA", alg == "Ed25519": // two names of one algorithm (RFC 9864 §2.2)
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	curve := map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()}[alg]
	if curve == nil {
		return nil, fmt.Errorf("no key can be made for %q", alg)
	}
	return ecdsa.GenerateKey(curve, rand.Reader)
}

// marshal returns the plaintext of the set's record.
func (t *set) marshal() ([]byte, error) { return json.Marshal(t) }

func unmarshal(plain []byte) (*set, error) {
	t := &set{}
	if err := json.Unmarshal(plain, t); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return t, nil
}
