package oidc

import (
	"strings"

	"sallyport/internal/check"
)

// AuthorizationSettings say how authorization requests are carried, and which algorithms protect requests and responses. The names of the
// algorithms are those of OpenID Connect's client registration (OIDC Registration §2, JARM §3).
type AuthorizationSettings struct {
	// RequirePushedAuthorizationRequests pushes requests (RFC 9126). Nil: the metadata decides.
	RequirePushedAuthorizationRequests *bool `yaml:"require_pushed_authorization_requests" group:"issuer"`
	// RequireSignedRequestObject signs requests (RFC 9101). Nil: the metadata decides.
	RequireSignedRequestObject *bool `yaml:"require_signed_request_object" group:"issuer"`
	// RequestObjectSigningAlg is by default the algorithm of private_key_jwt.
	RequestObjectSigningAlg string `yaml:"request_object_signing_alg" group:"issuer"`
	// RequestObjectEncryptionAlg encrypts request objects with the issuer's key. Empty: they aren't encrypted.
	RequestObjectEncryptionAlg     string `yaml:"request_object_encryption_alg" group:"issuer"`
	RequestObjectEncryptionEnc     string `yaml:"request_object_encryption_enc" group:"issuer" default:"A128CBC-HS256"`
	AuthorizationSignedResponseAlg string `yaml:"authorization_signed_response_alg" group:"issuer" default:"RS256"`
}

// Enums returns the values that the settings take, by key.
func (AuthorizationSettings) Enums() map[string][]string {
	return map[string][]string{
		"request_object_signing_alg": asymmetric, "authorization_signed_response_alg": asymmetric,
		"request_object_encryption_alg": texts(keyAlgorithms), "request_object_encryption_enc": texts(contentEncryptions),
	}
}

// pushesRequests reports whether the settings push requests, whatever the metadata says.
func (s *AuthorizationSettings) pushesRequests() bool {
	return s.RequirePushedAuthorizationRequests != nil && *s.RequirePushedAuthorizationRequests
}

// signsRequests reports whether the settings sign requests, whatever the metadata says.
func (s *AuthorizationSettings) signsRequests() bool {
	return s.RequireSignedRequestObject != nil && *s.RequireSignedRequestObject
}

// checkAuthorization judges how authorization requests are signed.
func (s *Settings) checkAuthorization(c check.Checker) {
	off := s.RequireSignedRequestObject != nil && !*s.RequireSignedRequestObject
	c.Must("request_object_signing_alg", s.RequestObjectSigningAlg == "" || !off,
		"require_signed_request_object: false sends no request objects: take one of them out")
	c.Must("request_object_encryption_alg", s.RequestObjectEncryptionAlg == "" || s.signsRequests(),
		"only request objects are encrypted: add require_signed_request_object: true")
	c.Must("request_object_encryption_enc", !c.IsSet("request_object_encryption_enc") || s.RequestObjectEncryptionAlg != "",
		"request objects are encrypted with request_object_encryption_alg: add it, or take this out")
	for n := range s.ClientID {
		jwk, alg := At(s.ClientJWK, n), s.RequestObjectSigningAlg
		if jwk.Kty != "" && alg != "" && !fitsKey(jwk.Kty, alg) {
			c.Complain("request_object_signing_alg",
				"%s doesn't fit the key of client_jwk, which is %s: write an algorithm of that kind", alg, jwk.Kty)
			return
		}
		if own := At(s.ClientAlg, n); alg == "" && s.signsRequests() && strings.HasPrefix(own, "HS") && jwk.Kty != "" &&
			jwk.Alg == "" && !fitsKey(jwk.Kty, "RS256") {
			c.Complain("require_signed_request_object",
				"%s can't sign request objects, which need a private key: add request_object_signing_alg", own)
			return
		}
	}
}
