package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// clientKeys caches the key sets of clients, by JWKSURI.
type clientKeys struct {
	mu   sync.Mutex
	sets map[string]jose.JSONWebKeySet
}

const (
	keysTimeout = 5 * time.Second
	maxKeys     = 1 << 20 // the maximum size of a key set, in bytes
)

// verifyAssertion verifies the signature of a client assertion with the keys of client c and returns its claims.
func (p *Provider) verifyAssertion(c *Client, token string) (map[string]any, error) {
	jws, err := jose.ParseSignedCompact(token, assertionAlgs(c))
	if err != nil {
		return nil, errors.New("it isn't a JWT with an alg that this client may use")
	}
	header := jws.Signatures[0].Header
	if !assertionTyp(header) {
		return nil, errors.New("its typ is that of another kind of JWT")
	}
	if _, critical := header.ExtraHeaders["crit"]; critical { // go-jose supports b64 (RFC 7797), which JWTs must not use (§7)
		return nil, errors.New("its header has crit, and no extension is supported")
	}
	var verified []byte
	if c.AuthMethod == "client_secret_jwt" {
		verified, err = jws.Verify([]byte(c.Secret))
	} else {
		verified, err = p.verifyWithClientKey(c, jws)
	}
	if err != nil {
		return nil, err
	}
	return decodeClaims(verified)
}

// assertionAlgs returns the algs that client c may sign with.
func assertionAlgs(c *Client) []jose.SignatureAlgorithm {
	algs := asymmetricAlgs
	if c.AuthMethod == "client_secret_jwt" {
		algs = hmacAlgs
	}
	if c.AuthSigningAlg == "" {
		return algs
	}
	return slices.DeleteFunc(slices.Clone(algs), func(a jose.SignatureAlgorithm) bool { return string(a) != c.AuthSigningAlg })
}

// assertionTyp reports whether typ allows a JWT as a client assertion, so that other JWTs of the same key are rejected
// (RFC 8725 §3.11).
func assertionTyp(header jose.Header) bool {
	value, present := header.ExtraHeaders[jose.HeaderType]
	typ, _ := value.(string)
	return !present || strings.EqualFold(typ, "JWT") || strings.EqualFold(typ, "client-authentication+jwt")
}

// verifyWithClientKey verifies jws with a key of client c. It fetches the key set again if that has no key with the kid.
func (p *Provider) verifyWithClientKey(c *Client, jws *jose.JSONWebSignature) ([]byte, error) {
	header := jws.Signatures[0].Header
	if c.AssertionIssuer != "" {
		return verifyWithMatchingKey(c.AssertionJWKS, jws)
	}
	set, err := p.clientKeys.having(c, func(k jose.JSONWebKey) bool { return k.KeyID == header.KeyID })
	if err != nil {
		return nil, err
	}
	return verifyWithMatchingKey(set, jws)
}

// verifyWithMatchingKey verifies jws with the key that has its kid. Without a kid, set must have exactly one suitable key
// (OIDC Core §10.1).
func verifyWithMatchingKey(set jose.JSONWebKeySet, jws *jose.JSONWebSignature) ([]byte, error) {
	header := jws.Signatures[0].Header
	var fit []jose.JSONWebKey
	for _, k := range set.Keys {
		k = k.Public()
		if k.Valid() && (header.KeyID == "" || k.KeyID == header.KeyID) && (k.Use == "" || k.Use == "sig") &&
			(k.Algorithm == "" || k.Algorithm == header.Algorithm) {
			fit = append(fit, k)
		}
	}
	if len(fit) != 1 {
		return nil, fmt.Errorf("expected one key for its kid and alg, got %d", len(fit))
	}
	return jws.Verify(fit[0])
}

// having returns the keys of client c. It fetches those at JWKSURI on first use, and again if the cache has no key for which has is true.
func (k *clientKeys) having(c *Client, has func(jose.JSONWebKey) bool) (set jose.JSONWebKeySet, err error) {
	if c.JWKSURI == "" {
		return c.JWKS, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if set = k.sets[c.JWKSURI]; slices.ContainsFunc(set.Keys, has) {
		return set, nil
	}
	if set, err = fetchKeys(c.JWKSURI); err != nil {
		return set, fmt.Errorf("the client's keys can't be fetched: %w", err)
	}
	if k.sets == nil {
		k.sets = map[string]jose.JSONWebKeySet{}
	}
	k.sets[c.JWKSURI] = set
	return set, nil
}

// fetchKeys fetches a key set and ignores keys that it can't parse (RFC 7517 §5).
func fetchKeys(address string) (set jose.JSONWebKeySet, err error) {
	r, err := (&http.Client{Timeout: keysTimeout}).Get(address)
	if err != nil {
		return set, err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return set, fmt.Errorf("expected 200, got %s", r.Status)
	}
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, maxKeys)).Decode(&raw); err != nil {
		return set, err
	}
	for _, encoded := range raw.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(encoded, &key) == nil {
			set.Keys = append(set.Keys, key)
		}
	}
	return set, nil
}
