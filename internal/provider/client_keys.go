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

// clientKeys are the key sets that clients publish, by address.
type clientKeys struct {
	mu   sync.Mutex
	sets map[string]jose.JSONWebKeySet
}

const (
	keysTimeout = 5 * time.Second
	maxKeys     = 1 << 20 // bytes of a key set
)

// verifyAssertion returns the claims of a JWT that proves a client, if its key and its alg are the client's.
func (p *Provider) verifyAssertion(c *Client, token string) (map[string]any, error) {
	jws, err := jose.ParseSignedCompact(token, assertionAlgs(c))
	if err != nil {
		return nil, errors.New("it is no JWT with an alg that this client may use")
	}
	header := jws.Signatures[0].Header
	if !assertionTyp(header) {
		return nil, errors.New("its typ is another kind of JWT's")
	}
	if _, critical := header.ExtraHeaders["crit"]; critical { // go-jose knows b64 (RFC 7797), which no JWT may ask for (§7)
		return nil, errors.New("its header has crit, and no extension is understood")
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

// assertionTyp keeps other JWTs of the same key from being assertions (RFC 8725 §3.11).
func assertionTyp(header jose.Header) bool {
	value, present := header.ExtraHeaders[jose.HeaderType]
	typ, _ := value.(string)
	return !present || strings.EqualFold(typ, "JWT") || strings.EqualFold(typ, "client-authentication+jwt")
}

func (p *Provider) verifyWithClientKey(c *Client, jws *jose.JSONWebSignature) ([]byte, error) {
	header := jws.Signatures[0].Header
	if c.AssertionIssuer != "" {
		return verifyWithOne(c.AssertionJWKS, jws)
	}
	set, fresh, err := p.clientKeys.of(c, false)
	if err != nil {
		return nil, err
	}
	if !fresh && !slices.ContainsFunc(set.Keys, func(k jose.JSONWebKey) bool { return k.KeyID == header.KeyID }) {
		if set, _, err = p.clientKeys.of(c, true); err != nil {
			return nil, err
		}
	}
	return verifyWithOne(set, jws)
}

// verifyWithOne verifies with the key that kid names; without a kid there may be only one that could be meant (OIDC Core
// §10.1).
func verifyWithOne(set jose.JSONWebKeySet, jws *jose.JSONWebSignature) ([]byte, error) {
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

// of returns a client's keys and whether they are as new as can be: those at an address are fetched once, and again if again
// is set.
func (k *clientKeys) of(c *Client, again bool) (set jose.JSONWebKeySet, fresh bool, err error) {
	if c.JWKSURI == "" {
		return c.JWKS, true, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if set, known := k.sets[c.JWKSURI]; known && !again {
		return set, false, nil
	}
	if set, err = fetchKeys(c.JWKSURI); err != nil {
		return set, false, fmt.Errorf("the client's keys can't be had: %w", err)
	}
	if k.sets == nil {
		k.sets = map[string]jose.JSONWebKeySet{}
	}
	k.sets[c.JWKSURI] = set
	return set, true, nil
}

// fetchKeys reads a key set key by key: one of a kind that isn't known doesn't spoil the others (RFC 7517 §5).
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
	for _, one := range raw.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(one, &key) == nil {
			set.Keys = append(set.Keys, key)
		}
	}
	return set, nil
}
