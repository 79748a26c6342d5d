package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// The algorithms of encrypted JWTs (RFC 7518 §4.1, §5.1). RSA1_5 is missing because its padding lets an attacker decrypt (RFC 8725
// §3.2), and dir and PBES2 because they need a shared secret.
var (
	keyAlgorithms = []jose.KeyAlgorithm{
		jose.RSA_OAEP, jose.RSA_OAEP_256, jose.ECDH_ES, jose.ECDH_ES_A128KW, jose.ECDH_ES_A256KW,
	}
	contentEncryptions = []jose.ContentEncryption{jose.A128CBC_HS256, jose.A256CBC_HS512, jose.A128GCM, jose.A256GCM}
)

// texts returns the names of algorithms as strings.
func texts[T ~string](algorithms []T) (all []string) {
	for _, a := range algorithms {
		all = append(all, string(a))
	}
	return all
}

// encryptedRequest encrypts a signed request object with the issuer's key (RFC 9101 §6.1). The error wraps ErrUnavailable or ErrNotSetUp.
func (c *Client) encryptedRequest(ctx context.Context, signed string) (string, error) {
	s := &c.settings.AuthorizationSettings
	key, err := c.issuer.encryptionKey(ctx, s.RequestObjectEncryptionAlg)
	if err != nil {
		return "", err
	}
	encrypter, err := jose.NewEncrypter(jose.ContentEncryption(s.RequestObjectEncryptionEnc),
		jose.Recipient{Algorithm: jose.KeyAlgorithm(s.RequestObjectEncryptionAlg), Key: &key.JSONWebKey},
		(&jose.EncrypterOptions{}).WithType(typeRequestObject).WithContentType("JWT"))
	if err != nil {
		return "", fmt.Errorf("%w: the request object can't be encrypted: %w", ErrUnavailable, err)
	}
	object, err := encrypter.Encrypt([]byte(signed))
	if err != nil {
		return "", fmt.Errorf("%w: the request object can't be encrypted: %w", ErrUnavailable, err)
	}
	return object.CompactSerialize()
}

// encryptionKey returns the first key of the issuer that is published for encryption by alg.
func (i *Issuer) encryptionKey(ctx context.Context, alg string) (key, error) {
	set, err := i.keys.get(ctx)
	if err != nil {
		return key{}, err
	}
	for _, k := range set.keys {
		if k.Use == "enc" && (k.Algorithm == "" || k.Algorithm == alg) && keyTypeOf(k.Key) == encryptionKeyType(alg) {
			return k, nil
		}
	}
	return key{}, fmt.Errorf("%w: the issuer publishes no key with use enc for %s: change request_object_encryption_alg, or take it out",
		ErrNotSetUp, alg)
}

// encryptionKeyType returns the type of the keys (RFC 7518 §6.1) to which alg encrypts.
func encryptionKeyType(alg string) string {
	if strings.HasPrefix(alg, "RSA") {
		return "RSA"
	}
	return "EC"
}

// keyTypeOf returns the type of a key of the standard library (RFC 7518 §6.1); empty for other types.
func keyTypeOf(k any) string {
	switch k.(type) {
	case *rsa.PublicKey, *rsa.PrivateKey:
		return "RSA"
	case *ecdsa.PublicKey, *ecdsa.PrivateKey:
		return "EC"
	}
	return ""
}

// isJWE reports whether a text has the form of a JWE in compact serialization (RFC 7516 §7.1).
func isJWE(text string) bool { return strings.Count(text, ".") == 4 }

// maxDecryptions is how many keys are tried for a JWE without a kid.
const maxDecryptions = 4

var errDecryption = errors.New("no key of client_decryption_jwk decrypts it")

// decrypted returns the content of an encrypted answer, and an answer that isn't encrypted as it is. With alg, which a setting demands, the
// answer must be encrypted by alg. The content of a browser's message may be forged: encryption proves nothing about the sender.
func (c *Client) decrypted(text, setting, alg string) (string, error) {
	if !isJWE(text) {
		if alg != "" {
			return "", fmt.Errorf("it isn't encrypted, and %s is %s: let the issuer encrypt it, or take that out", setting, alg)
		}
		return text, nil
	}
	accepted := keyAlgorithms
	if alg != "" {
		accepted = []jose.KeyAlgorithm{jose.KeyAlgorithm(alg)}
	}
	if len(c.decryption) == 0 {
		return "", errors.New("it is encrypted: add client_decryption_jwk")
	}
	jwe, err := jose.ParseEncryptedCompact(text, accepted, contentEncryptions)
	if err != nil {
		return "", fmt.Errorf("it isn't a JWE with alg %s and enc %s: %w",
			strings.Join(texts(accepted), ", "), strings.Join(texts(contentEncryptions), ", "), err)
	}
	content, err := c.decrypt(jwe)
	if err != nil {
		return "", err
	}
	if isJWE(string(content)) {
		return "", errors.New("it is encrypted twice")
	}
	return string(content), nil
}

// decrypt decrypts a JWE with the key that its kid names, or without a kid with one that fits. The content is bounded: compressed content
// (zip) may be ten times as long as the JWE, or 250 kB.
func (c *Client) decrypt(jwe *jose.JSONWebEncryption) ([]byte, error) {
	attempts := 0
	for _, k := range c.decryption {
		fits := keyTypeOf(k.Key) == encryptionKeyType(jwe.Header.Algorithm) && (k.Algorithm == "" || k.Algorithm == jwe.Header.Algorithm)
		if !fits || jwe.Header.KeyID != "" && k.KeyID != jwe.Header.KeyID {
			continue
		}
		if attempts++; attempts > maxDecryptions {
			break
		}
		if content, err := jwe.Decrypt(k.Key); err == nil {
			if len(content) > maxDocument {
				return nil, fmt.Errorf("its content is longer than %d bytes", maxDocument)
			}
			return content, nil
		}
	}
	return nil, errDecryption
}

// EncryptionKeys returns the public keys of client_decryption_jwk, which the gate publishes for the issuer.
func (c *Client) EncryptionKeys() (all []jose.JSONWebKey) {
	for _, k := range c.decryption {
		all = append(all, k.Public())
	}
	return all
}

// hasDecryptionKey reports whether a key of client_decryption_jwk decrypts by alg.
func (s *EncryptionSettings) hasDecryptionKey(alg string) bool {
	return slices.ContainsFunc(s.ClientDecryptionJWK, func(j DecryptionJWK) bool {
		return j.Kty == encryptionKeyType(alg) && (j.Alg == "" || j.Alg == alg)
	})
}
