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

// A SignOption makes a JWT differ from what the provider itself would issue: tests forge with it.
type SignOption func(*signing)

type signing struct {
	header map[string]any
	alg    string
	key    any // nil: the provider's own for alg
}

// WithAlg signs with alg: RS, PS, ES or HS with 256, 384 or 512, EdDSA, Ed25519, or none, which leaves the signature empty.
func WithAlg(alg string) SignOption { return func(s *signing) { s.alg = alg } }

// WithKey signs with another key: a private key, or []byte for HMAC. The header's kid stays the provider's.
func WithKey(key any) SignOption { return func(s *signing) { s.key = key } }

// WithHeader sets a header parameter, whatever the key is; nil removes it.
func WithHeader(name string, value any) SignOption {
	return func(s *signing) {
		if s.header == nil {
			s.header = map[string]any{}
		}
		s.header[name] = value
	}
}

// SignJWT signs claims as they are: RS256 with the provider's key and typ JWT, unless the options say otherwise. It
// panics if the key doesn't fit the algorithm.
func (p *Provider) SignJWT(claims map[string]any, opts ...SignOption) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return p.SignPayload(payload, opts...)
}

// SignPayload is SignJWT for a payload that no map can hold, such as one with a name twice or no JSON at all.
func (p *Provider) SignPayload(payload []byte, opts ...SignOption) string {
	s := &signing{alg: "RS256"}
	for _, o := range opts {
		o(s)
	}
	header := map[string]any{"alg": s.alg, "typ": "JWT"}
	own, found := p.keys.signer(s.alg)
	if !found {
		own, _ = p.keys.signer(ownAlg(s.alg))
	}
	header["kid"] = own.KeyID
	if s.key == nil {
		s.key = own.Key
	}
	maps.Copy(header, s.header)
	p.controls.adjustHeader(header)
	maps.DeleteFunc(header, func(_ string, v any) bool { return v == nil })
	encoded, err := json.Marshal(header)
	if err != nil {
		panic(err)
	}
	input := base64.RawURLEncoding.EncodeToString(encoded) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign(s.alg, s.key, []byte(input)))
}

// ownAlg names the key that stands in where there is none for alg itself: RS384 is signed with the key of RS256.
func ownAlg(alg string) string {
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
		panic("there is no algorithm " + alg)
	}
	h := hash.New()
	h.Write(input)
	signature, err := signHash(strings.TrimSuffix(alg, size), key, hash, h.Sum(nil), input)
	if err != nil {
		panic(err)
	}
	return signature
}

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
	return nil, fmt.Errorf("%s can't be made with a %T", family, key)
}

// signECDSA joins R and S, each as long as the curve's order (RFC 7518 §3.4).
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
