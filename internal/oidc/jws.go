package oidc

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"

	"sallyport/internal/auth"
)

// asymmetric are the algorithms of tokens that anybody can verify (RFC 7518 §3.1, RFC 8037, RFC 9864). none and the HMAC ones are
// never among them: a public key must not become a shared secret.
var asymmetric = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519",
}

// maxJWT is the longest JWT of a stranger that is looked at, in bytes. What the issuer signs for us is bounded as a document.
const maxJWT = 16 << 10

// errTooLong says that a stranger's JWT is over the limit.
var errTooLong = fmt.Errorf("a JWT of more than %d bytes isn't looked at", maxJWT)

// errMalformed says that a string is no JWS in compact serialization.
var errMalformed = errors.New("not a JWS in compact serialization (RFC 7515 §7.1)")

// IsJWS reports whether a token has the shape of a compact JWS: three base64url parts. Others are opaque.
func IsJWS(token string) bool {
	dots := 0
	for i := range len(token) {
		switch c := token[i]; {
		case c == '.':
			dots++
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return dots == 2 && token[0] != '.'
}

// joseHeader is the part of a JWS header that says what the token is (RFC 7515 §4.1).
type joseHeader struct {
	Alg string `json:"alg"`
	Typ string `json:"typ"`

	Crit json.RawMessage `json:"crit"`
}

// errCritical refuses what asks for an extension: the gate knows none (RFC 7515 §4.1.11).
var errCritical = errors.New("its header has crit, and no extension is understood")

// base64url is the encoding of a JWS's parts (RFC 7515 §2). It is strict (RFC 4648 §3.5): with other unused bits one signature could be
// written in 16 ways, each a token of its own to caches and to whoever keeps a list of revoked ones.
var base64url = base64.RawURLEncoding.Strict()

// readParts decodes the three parts of a JWS: header, payload and signature, none of which is verified.
func readParts(token string) (parts [3][]byte, err error) {
	if !IsJWS(token) {
		return parts, errMalformed
	}
	for n, part := range strings.Split(token, ".") {
		if parts[n], err = base64url.DecodeString(part); err != nil {
			return parts, errMalformed
		}
	}
	return parts, nil
}

// readHeader reads the unverified header of a stranger's JWT: it only serves to refuse early and cheaply.
func readHeader(token string) (joseHeader, error) {
	if len(token) > maxJWT {
		return joseHeader{}, errTooLong
	}
	parts, err := readParts(token)
	if err != nil {
		return joseHeader{}, err
	}
	return parseHeader(parts[0])
}

// parseHeader reads the unverified header, and refuses what asks for an extension.
func parseHeader(part []byte) (joseHeader, error) {
	var h joseHeader
	if err := json.Unmarshal(part, &h); err != nil {
		return h, fmt.Errorf("its header: %w", err)
	}
	if h.Crit != nil {
		return h, errCritical
	}
	h.Typ = strings.TrimPrefix(strings.ToLower(h.Typ), "application/")
	return h, nil
}

// readPayload reads the unverified claims of a stranger's JWT: they only serve to choose whose keys are to verify them, and to refuse
// early.
func readPayload(token string) (auth.Claims, error) {
	if len(token) > maxJWT {
		return nil, errTooLong
	}
	parts, err := readParts(token)
	if err != nil {
		return nil, err
	}
	return decodeObject(parts[1])
}

// A jwt is a JWT as it is written: nothing of it is proved.
type jwt struct {
	text    string
	header  joseHeader
	payload []byte
	claims  auth.Claims
}

// readPresented reads the header and claims of a stranger's JWT, which has a limit of its own.
func readPresented(token string) (*jwt, error) {
	if len(token) > maxJWT {
		return nil, errTooLong
	}
	return readIssued(token)
}

// readIssued reads the header and claims of a JWT that the issuer has given, perhaps long ago.
func readIssued(token string) (*jwt, error) {
	parts, err := readParts(token)
	if err != nil {
		return nil, err
	}
	header, err := parseHeader(parts[0])
	if err != nil {
		return nil, err
	}
	claims, err := decodeObject(parts[1])
	return &jwt{token, header, parts[1], claims}, err
}

// symmetric are the algorithms by which whoever can verify can also sign (RFC 7518 §3.2).
var symmetric = []string{"HS256", "HS384", "HS512"}

// algs are those of tokens that aren't pinned to one.
func (i *Issuer) algs() []string {
	if len(i.hmac) > 0 {
		return slices.Concat(asymmetric, symmetric)
	}
	return asymmetric
}

// An origin says who brought a JWT to the gate.
type origin int

const (
	fromCaller origin = iota // it came with a request: anybody can write one
	fromIssuer               // the issuer itself answered it
	origins                  // how many there are
)

// A proof says how the signature of a JWT is verified. The claims are judged before: keys are fetched only for a token that would
// pass.
type proof struct {
	algs     []string
	unsigned bool // the signature isn't verified: insecure, and only where a setting says so
	from     origin
	mayPass  func(auth.Claims) bool // what the caller judges later, such as the audience; nil: nothing
}

// A verdict is what a verified signature was verified with. Both are empty for a shared secret, and for no verification.
type verdict struct {
	jwk  string      // the key, as JSON
	keys *publicKeys // the set that it is of
}

// prove verifies the signature of a JWT, by one of the issuer's keys.
func (i *Issuer) prove(ctx context.Context, t *jwt, p proof) (*verdict, error) {
	if p.unsigned {
		return &verdict{}, nil
	}
	p.algs = allNames(p.algs)
	s := &keySet{issuer: i, jwt: t, proof: p}
	verifier := gooidc.NewVerifier(i.url, s, &gooidc.Config{
		SupportedSigningAlgs: p.algs,
		// Claims are judged in one place, from one map with exact names: see checkTimes and its callers.
		SkipIssuerCheck: true, SkipClientIDCheck: true, SkipExpiryCheck: true,
	})
	if _, err := verifier.Verify(ctx, t.text); err != nil && s.verdict == nil { // with a verdict: claims that it reads and the gate doesn't
		return nil, first(s.err, err)
	}
	return s.verdict, nil
}

// A keySet verifies one token's signature with the issuer's keys.
type keySet struct {
	issuer *Issuer
	jwt    *jwt
	proof

	verdict *verdict // nil until the signature is verified
	err     error    // what VerifySignature returned: go-oidc passes on its text only
}

// VerifySignature returns the payload if a key of the issuer has signed it; it is what go-oidc calls.
func (s *keySet) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	var algs []jose.SignatureAlgorithm
	for _, alg := range s.algs {
		algs = append(algs, jose.SignatureAlgorithm(alg))
	}
	jws, err := jose.ParseSignedCompact(token, algs)
	if err != nil {
		s.err = err
		return nil, err
	}
	v, err := s.verify(ctx, jws)
	if err == nil && !bytes.Equal(jws.UnsafePayloadWithoutVerification(), s.jwt.payload) {
		err = errMalformed // the claims that were judged are others
	}
	if err != nil {
		s.err = err
		return nil, err
	}
	s.verdict = v
	return s.jwt.payload, nil
}

// renewals is how often the keys are renewed for one token: once for a fetch that had begun before, and perhaps before the issuer
// had its new key, and once by the token's own right.
const renewals = 2

// verify tries the kept keys, and those of another fetch where that may change something and isn't too soon.
func (s *keySet) verify(ctx context.Context, jws *jose.JSONWebSignature) (*verdict, error) {
	if slices.Contains(symmetric, jws.Signatures[0].Header.Algorithm) {
		return &verdict{}, verifyWithSecret(jws, s.issuer.hmac)
	}
	_, keys, err := s.issuer.currentKeys(ctx)
	if err != nil {
		return nil, err
	}
	v, err := keys.verify(jws, nil)
	if err == nil || s.mayPass != nil && !s.mayPass(s.jwt.claims) {
		return v, err
	}
	for range renewals {
		fresh, own, errFetch := s.issuer.renewedKeys(ctx, s.from, keys)
		if fresh != keys {
			if v, err := fresh.verify(jws, keys); err == nil {
				return v, nil
			}
		}
		if errFetch != nil {
			return nil, errFetch
		}
		if own || fresh == keys {
			break
		}
		keys = fresh
	}
	return nil, errBadSignature
}

// verifyWithSecret verifies jws by the secrets that may have signed it.
func verifyWithSecret(jws *jose.JSONWebSignature, secrets []auth.Secret) error {
	for _, s := range secrets {
		if _, err := jws.Verify([]byte(s)); err == nil {
			return nil
		}
	}
	return errBadSignature
}
