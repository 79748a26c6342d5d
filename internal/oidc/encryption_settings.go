package oidc

import (
	"crypto"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/auth"
	"sallyport/internal/check"
)

// EncryptionSettings say which answers of the issuer are encrypted, and with which keys the gate decrypts them. The names of the algorithms
// are those of client registration (OIDC Registration §2, RFC 9701 §6, JARM §3). An empty algorithm accepts encrypted and plain answers.
type EncryptionSettings struct {
	// ClientDecryptionJWK has the keys of all clients. Their public keys are published with use enc.
	ClientDecryptionJWK               []DecryptionJWK `yaml:"client_decryption_jwk" group:"issuer"`
	IDTokenEncryptedResponseAlg       string          `yaml:"id_token_encrypted_response_alg" group:"issuer"`
	UserinfoEncryptedResponseAlg      string          `yaml:"userinfo_encrypted_response_alg" group:"issuer"`
	IntrospectionEncryptedResponseAlg string          `yaml:"introspection_encrypted_response_alg" group:"issuer"`
	AuthorizationEncryptedResponseAlg string          `yaml:"authorization_encrypted_response_alg" group:"issuer"`
}

// algorithms returns the demanded algorithms, by setting.
func (s *EncryptionSettings) algorithms() map[string]string {
	return map[string]string{
		"id_token_encrypted_response_alg": s.IDTokenEncryptedResponseAlg, "userinfo_encrypted_response_alg": s.UserinfoEncryptedResponseAlg,
		"introspection_encrypted_response_alg": s.IntrospectionEncryptedResponseAlg,
		"authorization_encrypted_response_alg": s.AuthorizationEncryptedResponseAlg,
	}
}

// Enums returns the values that the settings take, by key.
func (s EncryptionSettings) Enums() map[string][]string {
	enums := map[string][]string{}
	for key := range s.algorithms() {
		enums[key] = texts(keyAlgorithms)
	}
	return enums
}

// A DecryptionJWK is an entry of client_decryption_jwk: a private key (RFC 7517, RFC 7518 §6).
type DecryptionJWK struct {
	Kty string      `yaml:"kty" required:"true" enum:"RSA,EC"`
	Use string      `yaml:"use" enum:"enc"`
	Alg string      `yaml:"alg"` // empty: every algorithm of its type
	Kid string      `yaml:"kid"` // empty: the thumbprint (RFC 7638)
	N   string      `yaml:"n"`
	E   string      `yaml:"e"`
	Crv string      `yaml:"crv"`
	X   string      `yaml:"x"`
	Y   string      `yaml:"y"`
	D   auth.Secret `yaml:"d" required:"true"`
	P   auth.Secret `yaml:"p"`
	Q   auth.Secret `yaml:"q"`
	DP  auth.Secret `yaml:"dp"`
	DQ  auth.Secret `yaml:"dq"`
	QI  auth.Secret `yaml:"qi"`
}

// Enums returns the values that the settings take, by key.
func (DecryptionJWK) Enums() map[string][]string {
	return map[string][]string{"alg": texts(keyAlgorithms)}
}

// private returns the key, with a kid and use enc.
func (j DecryptionJWK) private() (*jose.JSONWebKey, error) {
	key, err := JWK{
		Kty: j.Kty, Use: "enc", Alg: j.Alg, Kid: j.Kid, N: j.N, E: j.E, Crv: j.Crv, X: j.X, Y: j.Y,
		D: j.D, P: j.P, Q: j.Q, DP: j.DP, DQ: j.DQ, QI: j.QI,
	}.private()
	if err != nil || key.KeyID != "" {
		return key, err
	}
	sum, err := key.Thumbprint(crypto.SHA256)
	key.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	return key, err
}

// checkEncryption judges the keys that decrypt answers, and that there is one for each demanded algorithm.
func (s *Settings) checkEncryption(c check.Checker) {
	kids := map[string]bool{}
	for i := range s.ClientDecryptionJWK {
		j := &s.ClientDecryptionJWK[i]
		key, err := j.private()
		switch {
		case err != nil:
		case j.Alg != "" && encryptionKeyType(j.Alg) != j.Kty:
			err = fmt.Errorf("its alg is %s, which needs another kty than %s: change one of them", j.Alg, j.Kty)
		case kids[key.KeyID]:
			err = errors.New("another key has the same kid: write kid in one of them")
		default:
			err = checkKey(key.Public())
			kids[key.KeyID] = true
		}
		c.Err(fmt.Sprintf("client_decryption_jwk[%d]", i), err)
	}
	c.Must("introspection_encrypted_response_alg",
		s.IntrospectionEncryptedResponseAlg == "" || s.IntrospectionAccept != "application/json",
		"only a JWT is encrypted: write introspection_accept: application/token-introspection+jwt")
	for setting, alg := range s.algorithms() {
		c.Must(setting, alg == "" || s.hasDecryptionKey(alg), "%s needs a key of type %s to decrypt: add it to client_decryption_jwk",
			alg, encryptionKeyType(alg))
	}
}
