package dpop

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha256" // of thumbprints
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Algorithms are the algorithms of proofs that can be verified: all of them are asymmetric.
var Algorithms = []string{"ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "EdDSA", "Ed25519"}

// Sizes of RSA keys. A client chooses the key of its proofs, and a longer one would cost too much.
const (
	minRSABits = 2048
	maxRSABits = 4096
)

// A publicKey is the key in a proof.
type publicKey struct{ jose.JSONWebKey }

// key returns the algorithm and the public key of a proof's header: its typ must be dpop+jwt, its alg one of the accepted ones, and its jwk
// a public key for that alg (RFC 9449 §4.2).
func (h header) key(accepted []string) (alg string, key *publicKey, err error) {
	typ, _ := h["typ"].(string)
	alg, _ = h["alg"].(string)
	jwk, _ := h["jwk"].(map[string]any)
	_, critical := h["crit"]
	switch {
	case !strings.EqualFold(typ, "dpop+jwt"): // a media type has no case (RFC 7515 §4.1.9)
		return "", nil, errors.New("typ: expected dpop+jwt")
	case critical:
		return "", nil, errors.New("crit: the gate understands no extension")
	case !slices.Contains(accepted, alg):
		return "", nil, fmt.Errorf("alg: expected one of %s", strings.Join(accepted, ", "))
	case jwk == nil:
		return "", nil, errors.New("jwk: the public key is missing")
	}
	key, err = parseKey(jwk, alg)
	if err != nil {
		return "", nil, fmt.Errorf("jwk: %w", err)
	}
	return alg, key, nil
}

// privateMembers are the members of a JWK with a private or symmetric key (RFC 7518 §6).
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// publicMembers are the members of a public key by its type. The thumbprint is made of them, and nothing else of the JWK is read but use
// and alg.
var publicMembers = map[string][]string{"EC": {"kty", "crv", "x", "y"}, "OKP": {"kty", "crv", "x"}, "RSA": {"kty", "n", "e"}}

// parseKey returns the public key of a JWK, if it may verify signatures of alg.
func parseKey(jwk map[string]any, alg string) (*publicKey, error) {
	for _, name := range privateMembers {
		if _, has := jwk[name]; has {
			return nil, fmt.Errorf("it has the member %s of a private or symmetric key", name)
		}
	}
	if use, has := jwk["use"]; has && use != "sig" {
		return nil, errors.New("use: expected sig")
	}
	if own, has := jwk["alg"]; has && own != alg {
		return nil, errors.New("alg: the key is for another algorithm than the proof's")
	}
	kty, _ := jwk["kty"].(string)
	public := map[string]any{}
	for _, name := range publicMembers[kty] {
		public[name] = jwk[name]
	}
	text, err := json.Marshal(public)
	if err != nil {
		return nil, err
	}
	key := &publicKey{}
	if err := key.UnmarshalJSON(text); err != nil || !key.Valid() || !key.IsPublic() {
		return nil, errors.New("expected the public key of an EC, OKP or RSA key pair")
	}
	return key, key.check(alg)
}

// check checks that the key has a fair size and belongs to alg: go-jose would verify ES256 with a key on another curve.
func (k *publicKey) check(alg string) error {
	fits := false
	switch public := k.Key.(type) {
	case *rsa.PublicKey:
		if n := public.N.BitLen(); n < minRSABits || n > maxRSABits {
			return fmt.Errorf("it has %d bits, expected from %d to %d", n, minRSABits, maxRSABits)
		}
		fits = strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		fits = map[string]int{"ES256": 256, "ES384": 384, "ES512": 521}[alg] == public.Curve.Params().BitSize
	case ed25519.PublicKey:
		fits = alg == "EdDSA" || alg == "Ed25519"
	}
	if !fits {
		return errors.New("the key isn't one for the proof's algorithm")
	}
	return nil
}

// thumbprint returns the SHA-256 thumbprint of the key (RFC 7638), in base64url.
func (k *publicKey) thumbprint() (string, error) {
	sum, err := k.Thumbprint(crypto.SHA256)
	if err != nil {
		return "", fmt.Errorf("jwk: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

var errSignature = errors.New("the key in the proof doesn't verify its signature")

// verifySignature verifies the signature with the key that the proof has.
func (j *jws) verifySignature(alg string, key *publicKey) error {
	if public, ok := key.Key.(ed25519.PublicKey); ok { // go-jose doesn't know the name Ed25519 (RFC 9864)
		return j.verifyEd25519(public)
	}
	parsed, err := jose.ParseSignedCompact(j.text, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	if err != nil {
		return errSignature
	}
	if _, err := parsed.Verify(key.Key); err != nil {
		return errSignature
	}
	return nil
}

func (j *jws) verifyEd25519(public ed25519.PublicKey) error {
	dot := strings.LastIndexByte(j.text, '.')
	signature, err := base64.RawURLEncoding.Strict().DecodeString(j.text[dot+1:])
	if err != nil || !ed25519.Verify(public, []byte(j.text[:dot]), signature) {
		return errSignature
	}
	return nil
}
