package oidc

import "testing"

// TestFitsKey: each algorithm is of one kind of key, and Ed25519 is another name of EdDSA (RFC 9864 §2.2).
func TestFitsKey(t *testing.T) {
	for alg, want := range map[string]string{"RS256": "RSA", "PS384": "RSA", "ES512": "EC", "EdDSA": "OKP", "Ed25519": "OKP"} {
		for _, kty := range []string{"RSA", "EC", "OKP"} {
			if got := fitsKey(kty, alg); got != (kty == want) {
				t.Errorf("%s with a key of %s: %v", alg, kty, got)
			}
		}
	}
}
