package oidc

import (
	"slices"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
)

// nameEd25519 is the name that RFC 9864 §2.2 gives to EdDSA (RFC 8037) with the curve Ed25519. The two names mean one algorithm
// everywhere; go-jose and go-oidc know only EdDSA.
const nameEd25519 = "Ed25519"

// asymmetric lists the algorithms whose signatures a public key verifies (RFC 7518 §3.1, RFC 8037, RFC 9864). It contains neither none nor
// an HMAC algorithm: with those a published key would serve as a shared secret.
var asymmetric = []string{
	gooidc.RS256, gooidc.RS384, gooidc.RS512, gooidc.PS256, gooidc.PS384, gooidc.PS512, gooidc.ES256, gooidc.ES384, gooidc.ES512,
	gooidc.EdDSA, nameEd25519,
}

// symmetric lists the HMAC algorithms, by which everyone who can verify can also sign (RFC 7518 §3.2).
var symmetric = []string{"HS256", "HS384", "HS512"}

// sameAlgorithm reports whether two names mean the same algorithm.
func sameAlgorithm(a, b string) bool { return canonicalAlgorithm(a) == canonicalAlgorithm(b) }

func canonicalAlgorithm(name string) string {
	if name == nameEd25519 {
		return gooidc.EdDSA
	}
	return name
}

// hasAlgorithm reports whether a list has an algorithm, under any of its names.
func hasAlgorithm(list []string, alg string) bool {
	return slices.ContainsFunc(list, func(a string) bool { return sameAlgorithm(a, alg) })
}

// commonAlgorithm returns the first algorithm of list that supported has, too, or else the first of list.
func commonAlgorithm(list, supported []string) string {
	if n := slices.IndexFunc(list, func(alg string) bool { return hasAlgorithm(supported, alg) }); n >= 0 {
		return list[n]
	}
	return list[0]
}
