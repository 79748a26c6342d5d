package oidc

import (
	"crypto/ed25519"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

// Ed25519 is the name that RFC 9864 §2.2 gives to EdDSA (RFC 8037) with the one curve that is in use. The two names are one
// algorithm everywhere; go-jose knows the older one only.
const nameEd25519 = "Ed25519"

// algorithm returns the one name by which algorithms are compared.
func algorithm(name string) string {
	if name == nameEd25519 {
		return "EdDSA"
	}
	return name
}

// sameAlgorithm reports whether two names are one algorithm's.
func sameAlgorithm(a, b string) bool { return algorithm(a) == algorithm(b) }

// allNames returns algs with both names of EdDSA where they have one of them.
func allNames(algs []string) []string {
	old, now := slices.Contains(algs, "EdDSA"), slices.Contains(algs, nameEd25519)
	switch {
	case old && !now:
		return append(slices.Clone(algs), nameEd25519)
	case now && !old:
		return append(slices.Clone(algs), "EdDSA")
	}
	return algs
}

// An ed25519Verifier lets go-jose verify signatures whose header has the newer name.
type ed25519Verifier struct{ key ed25519.PublicKey }

func (v ed25519Verifier) VerifyPayload(payload, signature []byte, alg jose.SignatureAlgorithm) error {
	if alg != nameEd25519 || len(v.key) != ed25519.PublicKeySize || !ed25519.Verify(v.key, payload, signature) {
		return errBadSignature
	}
	return nil
}

// An ed25519Signer lets go-jose sign by the newer name.
type ed25519Signer struct {
	public  jose.JSONWebKey
	private ed25519.PrivateKey
}

func (s ed25519Signer) Public() *jose.JSONWebKey { return &s.public }

func (s ed25519Signer) Algs() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{nameEd25519}
}

func (s ed25519Signer) SignPayload(payload []byte, _ jose.SignatureAlgorithm) ([]byte, error) {
	return ed25519.Sign(s.private, payload), nil
}

// signingKey returns what go-jose signs with by an algorithm.
func signingKey(alg string, key *jose.JSONWebKey) (jose.SigningKey, error) {
	if alg != nameEd25519 {
		return jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, nil
	}
	private, ok := key.Key.(ed25519.PrivateKey)
	if !ok {
		return jose.SigningKey{}, errors.New("client_alg: Ed25519 needs an Ed25519 key")
	}
	return jose.SigningKey{Algorithm: nameEd25519, Key: ed25519Signer{key.Public(), private}}, nil
}
