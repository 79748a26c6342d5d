package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// A SignOption changes how SignJWT and SignPayload sign, for forged and unusual JWTs in tests.
type SignOption func(*signing)

type signing struct {
	header map[string]any
	alg    string
	key    any // nil: the provider's key for alg
}

// WithAlg sets alg: RS, PS, ES or HS with 256, 384 or 512, EdDSA, Ed25519, or none, with which the signature is empty.
func WithAlg(alg string) SignOption { return func(s *signing) { s.alg = alg } }

// WithKey sets the key: a private key, or []byte for HMAC. The kid in the header stays that of the provider's key.
func WithKey(key any) SignOption { return func(s *signing) { s.key = key } }

// WithHeader sets a header parameter; nil removes it.
func WithHeader(name string, value any) SignOption {
	return func(s *signing) {
		if s.header == nil {
			s.header = map[string]any{}
		}
		s.header[name] = value
	}
}

// SignJWT signs claims without changing them. The default is alg RS256, typ JWT and the provider's key. It panics if the key
// doesn't fit the algorithm.
func (p *Provider) SignJWT(claims map[string]any, opts ...SignOption) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return p.SignPayload(payload, opts...)
}

// SignPayload is like SignJWT, but for any payload, such as one with duplicate names or invalid JSON.
func (p *Provider) SignPayload(payload []byte, opts ...SignOption) string {
	s := &signing{alg: "RS256"}
	for _, o := range opts {
		o(s)
	}
	header := map[string]any{"alg": s.alg, "typ": "JWT"}
	own, ok := p.keys.signingKey(s.alg)
	if !ok {
		own, _ = p.keys.signingKey(keyAlg(s.alg))
	}
	header["kid"] = own.KeyID
	if s.key == nil {
		s.key = own.Key
	}
	maps.Copy(header, s.header)
	p.controls.adjusted(jwtHeaders, header)
	maps.DeleteFunc(header, func(_ string, v any) bool { return v == nil })
	encoded, err := json.Marshal(header)
	if err != nil {
		panic(err)
	}
	input := base64.RawURLEncoding.EncodeToString(encoded) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(s.alg, s.key, []byte(input)))
}

// keyAlg returns the alg of the key that signs for an alg without a key of its own: RS384 uses the key of RS256.
func keyAlg(alg string) string {
	switch {
	case strings.HasPrefix(alg, "PS"):
		return "PS256"
	case strings.HasPrefix(alg, "ES"):
		return "ES256"
	}
	return "RS256"
}

// sign computes a JWS signature (RFC 7518 §3.1, RFC 8037 §3.1).
func sign(alg string, key any, input []byte) []byte {
	if alg == "none" {
		return nil
	}
	if key, ok := key.(ed25519.PrivateKey); ok && (alg == "EdDSA" || alg == "Ed25519") {
		return ed25519.Sign(key, input)
	}
	size := alg[max(0, len(alg)-3):]
	hash, ok := map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}[size]
	if !ok {
		panic("unknown algorithm " + alg)
	}
	h := hash.New()
	h.Write(input)
	signature, err := signHash(strings.TrimSuffix(alg, size), key, hash, h.Sum(nil), input)
	if err != nil {
		panic(err)
	}
	return signature
}

// signHash signs with RSA, ECDSA or HMAC. sum is the hash of input.
func signHash(family string, key any, hash crypto.Hash, sum, input []byte) ([]byte, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if family == "PS" {
			return rsa.SignPSS(rand.Reader, key, hash, sum, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		if family == "RS" {
			return rsa.SignPKCS1v15(rand.Reader, key, hash, sum)
		}
	case *ecdsa.PrivateKey:
		if family == "ES" {
			return signECDSA(key, sum)
		}
	case []byte:
		if family == "HS" {
			mac := hmac.New(hash.New, key)
			mac.Write(input)
			return mac.Sum(nil), nil
		}
	}
	return nil, fmt.Errorf("%s signatures need another key than a %T", family, key)
}

// signECDSA returns R and S, each padded to the size of the curve (RFC 7518 §3.4).
func signECDSA(key *ecdsa.PrivateKey, sum []byte) ([]byte, error) {
	r, s, err := ecdsa.Sign(rand.Reader, key, sum)
	if err != nil {
		return nil, err
	}
	size := (key.Curve.Params().BitSize + 7) / 8
	signature := make([]byte, 2*size)
	r.FillBytes(signature[:size])
	s.FillBytes(signature[size:])
	return signature, nil
}
