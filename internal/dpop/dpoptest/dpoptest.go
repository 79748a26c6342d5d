// Package dpoptest makes DPoP proofs (RFC 9449) for tests: good ones, and ones that are wrong in a chosen way.
package dpoptest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A Key is an EC key pair on P-256, which signs proofs with ES256.
type Key struct{ *ecdsa.PrivateKey }

// NewKey returns a new key.
func NewKey() *Key {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	return &Key{k}
}

// Thumbprint returns the thumbprint of the key, as in cnf.jkt (RFC 7638).
func (k *Key) Thumbprint() string {
	sum, err := (&jose.JSONWebKey{Key: k.Public()}).Thumbprint(crypto.SHA256)
	must(err)
	return base64.RawURLEncoding.EncodeToString(sum)
}

// A Proof has the members of a proof before it is signed. A change can add, replace and delete members.
type Proof struct{ Header, Claims map[string]any }

// At makes a proof with this iat.
func At(t time.Time) func(*Proof) { return Claim("iat", t.Unix()) }

// Claim sets a claim, or deletes it if the value is nil.
func Claim(name string, value any) func(*Proof) {
	return func(p *Proof) { set(p.Claims, name, value) }
}

// Header sets a header parameter, or deletes it if the value is nil.
func Header(name string, value any) func(*Proof) {
	return func(p *Proof) { set(p.Header, name, value) }
}

func set(object map[string]any, name string, value any) {
	if object[name] = value; value == nil {
		delete(object, name)
	}
}

// Proof returns a proof for a request with an access token.
func (k *Key) Proof(method, url, token string, changes ...func(*Proof)) string {
	p := &Proof{
		Header: map[string]any{"typ": "dpop+jwt", "alg": "ES256", "jwk": k.JWK()},
		Claims: map[string]any{"htm": method, "htu": url, "iat": time.Now().Unix(), "jti": rand.Text(), "ath": hash(token)},
	}
	for _, change := range changes {
		change(p)
	}
	return k.Sign(encode(p.Header), encode(p.Claims))
}

// JWK returns the public key.
func (k *Key) JWK() map[string]any {
	b, err := k.PublicKey.Bytes() // 4, then the coordinates (SEC 1 §2.3.3)
	must(err)
	return map[string]any{
		"kty": "EC", "crv": "P-256",
		"x": base64.RawURLEncoding.EncodeToString(b[1:33]), "y": base64.RawURLEncoding.EncodeToString(b[33:]),
	}
}

// Sign returns a proof with a header and claims in any form.
func (k *Key) Sign(header, claims []byte) string {
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(claims)
	sum := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, k.PrivateKey, sum[:])
	must(err)
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func hash(token string) string {
	sum := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func encode(object map[string]any) []byte {
	b, err := json.Marshal(object)
	must(err)
	return b
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
