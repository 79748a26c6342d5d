package provider

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// An Encryption says how a JWT is encrypted (RFC 7518 §4.1, §5.1). The zero value encrypts nothing.
type Encryption struct {
	Alg jose.KeyAlgorithm
	Enc jose.ContentEncryption
}

// encrypted encrypts a signed JWT with the client's key of use enc. It panics if the client publishes none that fits.
func (p *Provider) encrypted(c *Client, e Encryption, signed string) string {
	if e.Alg == "" {
		return signed
	}
	fits := func(k jose.JSONWebKey) bool {
		_, isRSA := k.Key.(*rsa.PublicKey)
		_, isEC := k.Key.(*ecdsa.PublicKey)
		return k.Use == "enc" && (isRSA && strings.HasPrefix(string(e.Alg), "RSA") || isEC && strings.HasPrefix(string(e.Alg), "ECDH"))
	}
	set, err := p.clientKeys.having(c, fits)
	n := slices.IndexFunc(set.Keys, fits)
	if err != nil || n < 0 {
		panic(fmt.Sprintf("the client %s publishes no key for %s: %v", c.ID, e.Alg, err))
	}
	return Encrypt(e, set.Keys[n], signed)
}

// Encrypt returns a JWT in a JWE in compact serialization, encrypted with a public key. It panics if the key doesn't fit.
func Encrypt(e Encryption, key jose.JSONWebKey, signed string) string {
	options := (&jose.EncrypterOptions{}).WithContentType("JWT")
	encrypter, err := jose.NewEncrypter(e.Enc, jose.Recipient{Algorithm: e.Alg, Key: &key}, options)
	if err != nil {
		panic(err)
	}
	object, err := encrypter.Encrypt([]byte(signed))
	if err != nil {
		panic(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return text
}
