package oidc

import (
	"crypto/ed25519"
	"errors"

	"github.com/go-jose/go-jose/v4"
)

// An ed25519Verifier lets go-jose verify signatures whose alg is Ed25519. It implements jose.OpaqueVerifier.
type ed25519Verifier struct{ key ed25519.PublicKey }

func (v ed25519Verifier) VerifyPayload(payload, signature []byte, alg jose.SignatureAlgorithm) error {
	if alg != nameEd25519 || len(v.key) != ed25519.PublicKeySize || !ed25519.Verify(v.key, payload, signature) {
		return errBadSignature
	}
	return nil
}

// An ed25519Signer lets go-jose sign with the alg Ed25519. It implements jose.OpaqueSigner.
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

// signingKey returns the key in the form with which go-jose signs by alg.
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
