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

// signingAlgs are those that the provider has a key for.
var signingAlgs = []string{"RS256", "PS256", "ES256", "EdDSA"}

// keys are the provider's signing keys. The zero value has none: rotate makes the first.
type keys struct {
	mu      sync.RWMutex
	current []jose.JSONWebKey // private, one for each of signingAlgs
	old     []jose.JSONWebKey // still published
	gone    []jose.JSONWebKey // published once: an ID token that they signed is still good as a hint
}

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
		k.gone = slices.Concat(k.gone, k.old, k.current)
		k.old = nil
	}
	k.current = fresh
}

// newKeys makes a key for each algorithm; PS256 shares the RSA key, which is what costs.
func newKeys() []jose.JSONWebKey {
	r, err1 := rsa.GenerateKey(rand.Reader, 2048)
	_, d, err2 := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2); err != nil {
		panic(err) // no randomness: there is nothing to be done
	}
	var made []jose.JSONWebKey
	for i, key := range []any{r, r, newECDSA(), d} {
		made = append(made, jose.JSONWebKey{Key: key, KeyID: rand.Text(), Algorithm: signingAlgs[i], Use: "sig"})
	}
	return made
}

// published are the public keys, the current ones first.
func (k *keys) published() jose.JSONWebKeySet {
	k.mu.RLock()
	defer k.mu.RUnlock()
	var set jose.JSONWebKeySet
	for _, key := range slices.Concat(k.current, k.old) {
		set.Keys = append(set.Keys, key.Public())
	}
	return set
}

// signer is the current key for alg.
func (k *keys) signer(alg string) (key jose.JSONWebKey, found bool) {
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

// verify returns the claims of a JWT that this provider signed, whenever that was.
func (k *keys) verify(token string) (map[string]any, error) {
	k.mu.RLock()
	ever := slices.Concat(k.current, k.old, k.gone)
	k.mu.RUnlock()
	claims, _, err := verifyWith(ever, token)
	return claims, err
}

// verifyPublished verifies a JWT as a stranger would: with the keys that are published now.
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
	return nil, header, errors.New("it isn't signed by this provider")
}

func decodeClaims(payload []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	var claims map[string]any
	err := d.Decode(&claims)
	if err == nil && claims == nil {
		err = errors.New("the claims are no object")
	}
	return claims, err
}

// RotateKeys makes new signing keys. The old ones stay published if keepOld is set; without them, what they signed no
// longer verifies.
func (p *Provider) RotateKeys(keepOld bool) { p.keys.rotate(keepOld, false) }

// ReplaceKeys makes new signing keys under the names of the old ones, as an issuer does that restores a backup or names its key
// by hand.
func (p *Provider) ReplaceKeys() { p.keys.rotate(false, true) }

// PublicKeyPEM is the RS256 key that everybody can have: what a forger uses as an HMAC secret (RFC 8725 §2.1).
func (p *Provider) PublicKeyPEM() []byte {
	key, _ := p.keys.signer("RS256")
	der, err := x509.MarshalPKIXPublicKey(key.Key.(crypto.Signer).Public())
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
