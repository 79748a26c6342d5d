package provider

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// signingAlgs are the algorithms that the provider has a key for.
var signingAlgs = []string{"RS256", "PS256", "ES256", "EdDSA"}

// keys holds the provider's signing keys. The zero value is empty; rotate generates the first keys.
type keys struct {
	mu        sync.RWMutex
	current   []jose.JSONWebKey // private keys, one for each of signingAlgs
	old       []jose.JSONWebKey // replaced, but still published
	withdrawn []jose.JSONWebKey // no longer published; they verify id_token_hint only
}

// rotate replaces the current keys by new ones. With keepOld the replaced keys stay published; with keepIDs the new keys have
// the kids of the replaced ones.
func (k *keys) rotate(keepOld, keepIDs bool) {
	fresh := newKeys()
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.current {
		if keepIDs {
			fresh[i].KeyID = k.current[i].KeyID
		}
	}
	if keepOld {
		k.old = append(k.old, k.current...)
	} else {
		k.withdrawn = slices.Concat(k.withdrawn, k.old, k.current)
		k.old = nil
	}
	k.current = fresh
}

// newKeys generates a key for each of signingAlgs. RS256 and PS256 share one RSA key, because generating it is slow.
func newKeys() []jose.JSONWebKey {
	r, err1 := rsa.GenerateKey(rand.Reader, 2048)
	_, d, err2 := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		panic(err) // crypto/rand failed
	}
	var all []jose.JSONWebKey
	for i, key := range []any{r, r, newECDSA(), d} {
		all = append(all, jose.JSONWebKey{Key: key, KeyID: rand.Text(), Algorithm: signingAlgs[i], Use: "sig"})
	}
	return all
}

// published returns the public keys, the current ones first.
func (k *keys) published() jose.JSONWebKeySet {
	k.mu.RLock()
	defer k.mu.RUnlock()
	var set jose.JSONWebKeySet
	for _, key := range slices.Concat(k.current, k.old) {
		set.Keys = append(set.Keys, key.Public())
	}
	return set
}

// signingKey returns the current private key for alg.
func (k *keys) signingKey(alg string) (key jose.JSONWebKey, ok bool) {
	if alg == "Ed25519" { // RFC 9864 §2.2
		alg = "EdDSA"
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	i := slices.IndexFunc(k.current, func(key jose.JSONWebKey) bool { return key.Algorithm == alg })
	if i < 0 {
		return jose.JSONWebKey{}, false
	}
	return k.current[i], true
}

// verify verifies a JWT with all keys that this provider ever had and returns its claims.
func (k *keys) verify(token string) (map[string]any, error) {
	k.mu.RLock()
	all := slices.Concat(k.current, k.old, k.withdrawn)
	k.mu.RUnlock()
	claims, _, err := verifyWith(all, token)
	return claims, err
}

// verifyPublished verifies a JWT with the published keys, as another server would.
func (k *keys) verifyPublished(token string) (map[string]any, jose.Header, error) {
	return verifyWith(k.published().Keys, token)
}

func verifyWith(keys []jose.JSONWebKey, token string) (claims map[string]any, header jose.Header, err error) {
	jws, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA})
	if err != nil {
		return nil, header, err
	}
	header = jws.Signatures[0].Header
	for _, key := range keys {
		if key.KeyID != header.KeyID || key.Algorithm != header.Algorithm {
			continue
		}
		payload, err := jws.Verify(key.Public())
		if err != nil {
			return nil, header, err
		}
		claims, err = decodeClaims(payload)
		return claims, header, err
	}
	return nil, header, errors.New("it isn't signed with a key of this provider")
}

// decodeClaims decodes the claims of a JWT. Numbers are json.Number.
func decodeClaims(payload []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	var claims map[string]any
	err := d.Decode(&claims)
	if err == nil && claims == nil {
		err = errors.New("the claims aren't an object")
	}
	return claims, err
}

// RotateKeys replaces the signing keys. With keepOld the old keys stay published; otherwise tokens that they signed no longer
// verify.
func (p *Provider) RotateKeys(keepOld bool) { p.keys.rotate(keepOld, false) }

// ReplaceKeys replaces the signing keys by new ones with the same kids, as happens when an issuer configures its kids by hand.
// The old keys are no longer published.
func (p *Provider) ReplaceKeys() { p.keys.rotate(false, true) }

// PublicKeyPEM returns the public RS256 key, which tests use as an HMAC secret to forge tokens (RFC 8725 §2.1).
func (p *Provider) PublicKeyPEM() []byte {
	key, _ := p.keys.signingKey("RS256")
	der, err := x509.MarshalPKIXPublicKey(key.Key.(crypto.Signer).Public())
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
