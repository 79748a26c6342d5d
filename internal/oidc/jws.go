package oidc

import (
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

// asymmetric are the algorithms of tokens that anybody can verify (RFC 7518 §3.1, RFC 8037). none and the HMAC ones are
// never among them: a public key must not become a shared secret.
var asymmetric = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// maxJWT is the longest JWT of a stranger that is looked at, in bytes. What the issuer signs for us is bounded as a document.
const maxJWT = 16 << 10

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
		return joseHeader{}, errMalformed
	}
	return parseHeader(token)
}

// parseHeader reads the unverified header, and refuses what asks for an extension.
func parseHeader(token string) (joseHeader, error) {
	var h joseHeader
	parts, err := readParts(token)
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(parts[0], &h); err != nil {
		return h, fmt.Errorf("its header: %w", err)
	}
	if h.Crit != nil {
		return h, errCritical
	}
	h.Typ = strings.TrimPrefix(strings.ToLower(h.Typ), "application/")
	return h, nil
}

// readPayload reads the unverified claims: they only serve to choose whose keys are to verify them.
func readPayload(token string) (auth.Claims, error) {
	if len(token) > maxJWT {
		return nil, errMalformed
	}
	parts, err := readParts(token)
	if err != nil {
		return nil, err
	}
	return decodeObject(parts[1])
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

// read is verify, or with unsigned reads the claims of a JWT that nobody has proved: insecure, and only where a setting says
// so.
func (i *Issuer) read(ctx context.Context, token string, algs []string, unsigned bool) (auth.Claims, *key, error) {
	if !unsigned && !i.unsigned {
		return i.verify(ctx, token, algs)
	}
	if _, err := readHeader(token); err != nil {
		return nil, nil, err
	}
	claims, err := readPayload(token)
	return claims, &key{}, err
}

// verify returns the claims of a JWT that one of the issuer's keys signed with one of algs, and that key. Claims are not
// judged here.
func (i *Issuer) verify(ctx context.Context, token string, algs []string) (auth.Claims, *key, error) {
	if _, err := parseHeader(token); err != nil {
		return nil, nil, err
	}
	keys := &keySet{issuer: i, algs: algs}
	verifier := gooidc.NewVerifier(i.url, keys, &gooidc.Config{
		SupportedSigningAlgs: algs,
		// Claims are judged in one place, from one map with exact names: see checkTimes and its callers.
		SkipIssuerCheck: true, SkipClientIDCheck: true, SkipExpiryCheck: true,
	})
	verified, err := verifier.Verify(ctx, token)
	if err != nil {
		return nil, nil, cmpErr(keys.err, err)
	}
	var payload json.RawMessage
	if err := verified.Claims((*rawClaims)(&payload)); err != nil {
		return nil, nil, err
	}
	claims, err := decodeObject(payload)
	return claims, keys.used, err
}

// rawClaims keeps a payload's bytes as they are.
type rawClaims []byte

func (r *rawClaims) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}

// A keySet verifies one token's signature with the issuer's keys, and fetches them once more when the token names an
// unknown one.
type keySet struct {
	issuer *Issuer
	algs   []string
	used   *key  // that verified the signature
	err    error // what VerifySignature returned: go-oidc passes on its text only
}

func (s *keySet) VerifySignature(ctx context.Context, token string) (payload []byte, err error) {
	payload, s.err = s.verify(ctx, token)
	return payload, s.err
}

func (s *keySet) verify(ctx context.Context, token string) ([]byte, error) {
	algs := make([]jose.SignatureAlgorithm, len(s.algs))
	for n, alg := range s.algs {
		algs[n] = jose.SignatureAlgorithm(alg)
	}
	jws, err := jose.ParseSignedCompact(token, algs)
	if err != nil {
		return nil, err
	}
	if slices.Contains(symmetric, jws.Signatures[0].Header.Algorithm) {
		s.used = &key{}
		return verifyWithSecret(jws, s.issuer.hmac)
	}
	_, keys, err := s.issuer.currentKeys(ctx)
	if err != nil {
		return nil, err
	}
	payload, used, known, err := verifyWith(jws, keys)
	s.used = used
	if err == nil || known && jws.Signatures[0].Header.KeyID != "" {
		return payload, err
	}
	if keys, err = s.issuer.renewedKeys(ctx); err != nil {
		return nil, err
	}
	payload, s.used, _, err = verifyWith(jws, keys)
	return payload, err
}

// verifyWithSecret returns the payload of jws if one of the secrets has signed it.
func verifyWithSecret(jws *jose.JSONWebSignature, secrets []auth.Secret) ([]byte, error) {
	for _, s := range secrets {
		if payload, err := jws.Verify([]byte(s)); err == nil {
			return payload, nil
		}
	}
	return nil, errBadSignature
}
