package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// errBadSignature says that no key of the issuer verifies a JWS.
var errBadSignature = errors.New("no key of the issuer verifies the signature")

const (
	maxKeys     = 200 // of a key set; more are ignored
	minRSABits  = 2048
	maxRSABits  = 8192
	maxAttempts = 10 // keys tried for a token that names none
)

// A key is one public key of an issuer's set (RFC 7517).
type key struct {
	jose.JSONWebKey
	text string // as it was published, for upstreams that want to see it
}

// fits reports whether the key may verify alg: its kind, and what the set says of its use (RFC 7517 §4.2, §4.4).
func (k key) fits(alg jose.SignatureAlgorithm) bool {
	if k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != string(alg) {
		return false
	}
	switch public := k.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(string(alg), "RS") || strings.HasPrefix(string(alg), "PS")
	case *ecdsa.PublicKey:
		return map[jose.SignatureAlgorithm]int{jose.ES256: 256, jose.ES384: 384, jose.ES512: 521}[alg] == public.Curve.Params().BitSize
	case ed25519.PublicKey:
		return alg == jose.EdDSA
	}
	return false
}

// parseKeys reads a key set key by key: one key of an unknown kind must not lose the others.
func parseKeys(raw []json.RawMessage) []key {
	var keys []key
	for _, b := range raw[:min(len(raw), maxKeys)] {
		var k jose.JSONWebKey
		if k.UnmarshalJSON(b) != nil || !k.IsPublic() || !k.Valid() {
			continue
		}
		if public, ok := k.Key.(*rsa.PublicKey); ok && (public.N.BitLen() < minRSABits || public.N.BitLen() > maxRSABits) {
			continue
		}
		keys = append(keys, key{k, string(b)})
	}
	return keys
}

// currentKeys returns the kept keys, fetched first if there are none or they are old. err is why the last fetch failed.
func (i *Issuer) currentKeys(ctx context.Context) (*Metadata, []key, error) {
	m, err := i.Metadata(ctx)
	if err != nil {
		return nil, nil, err
	}
	i.mu.RLock()
	keys, at, tried, lastErr := i.keys, i.keysAt, i.keysTried, i.keysErr
	i.mu.RUnlock()
	switch {
	case keys != nil && (i.since(at) < keysMustRenew || i.since(tried) < retryAfterFail):
		if i.since(at) >= metadataLifetime && i.since(tried) >= retryAfterFail {
			i.renew(&i.renewingKeys, "keys", i.fetchKeys) // the kept ones serve meanwhile
		}
		return m, keys, nil
	case lastErr != nil && i.since(tried) < retryAfterFail:
		return nil, nil, lastErr
	}
	err = i.share(ctx, "keys", i.fetchKeys)
	i.mu.RLock()
	defer i.mu.RUnlock()
	if i.keys == nil {
		return nil, nil, cmpErr(err, i.keysErr)
	}
	return m, i.keys, nil
}

// renewedKeys fetches the keys because a token names one that isn't there. However many strangers cause it, it happens at
// most once every rediscovery_lifetime; a failed fetch is tried again sooner and is reported as such, because then nobody
// knows whether the token is good.
func (i *Issuer) renewedKeys(ctx context.Context) ([]key, error) {
	i.mu.RLock()
	keys, tried, lastErr := i.keys, i.keysTried, i.keysErr
	i.mu.RUnlock()
	wait := i.rediscovery
	if lastErr != nil {
		wait = retryAfterFail
	}
	if i.since(tried) < wait {
		return keys, lastErr
	}
	err := i.share(ctx, "keys", i.fetchKeys)
	i.mu.RLock()
	defer i.mu.RUnlock()
	return i.keys, err
}

func (i *Issuer) fetchKeys(ctx context.Context) error {
	m, err := i.Metadata(ctx)
	if err != nil {
		return err
	}
	var keys []key
	for _, address := range append([]string{m.JWKSURI}, i.extraKeys...) {
		if address == "" {
			continue
		}
		set, fetchErr := i.fetchSet(ctx, address)
		if fetchErr != nil {
			set, err = i.sets[address], errors.Join(err, fetchErr) // one set that can't be had must not lose the others
		}
		i.sets[address] = set
		keys = append(keys, set...)
	}
	i.keepKeys(keys, err)
	return err
}

func (i *Issuer) fetchSet(ctx context.Context, address string) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := i.getJSON(ctx, address, &set); err != nil {
		return nil, err
	}
	keys := parseKeys(set.Keys)
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: the key set %s has no usable key", ErrUnavailable, address)
	}
	return keys, nil
}

func (i *Issuer) keepKeys(keys []key, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keysTried, i.keysErr = i.now(), err
	if err != nil {
		i.log.Warn("fetching keys failed", "issuer", i.url, "error", err)
	}
	if len(keys) == 0 {
		return
	}
	if lostKey(i.keys, keys) {
		i.tokens.clear() // what a withdrawn key verified is no longer proved
	}
	i.keys, i.keysAt = keys, i.now()
}

// lostKey reports whether a key of old is no longer in new.
func lostKey(old, new []key) bool {
	return slices.ContainsFunc(old, func(o key) bool {
		return !slices.ContainsFunc(new, func(n key) bool { return sameKey(o, n) })
	})
}

func sameKey(a, b key) bool {
	public, ok := a.Key.(interface{ Equal(crypto.PublicKey) bool })
	return ok && a.KeyID == b.KeyID && public.Equal(b.Key)
}

// verifyWith returns the payload of jws and the key if one of the keys verifies it. known is false if the token names a key that
// isn't among them.
func verifyWith(jws *jose.JSONWebSignature, keys []key) (payload []byte, used *key, known bool, err error) {
	header := jws.Signatures[0].Header
	attempts := 0
	for n, k := range keys {
		if header.KeyID != "" && k.KeyID != header.KeyID || !k.fits(jose.SignatureAlgorithm(header.Algorithm)) {
			continue
		}
		if attempts++; attempts > maxAttempts {
			break
		}
		if payload, err := jws.Verify(k.Key); err == nil {
			return payload, &keys[n], true, nil
		}
	}
	return nil, nil, attempts > 0, errBadSignature
}
