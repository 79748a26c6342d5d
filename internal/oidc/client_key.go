package oidc

import (
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// privateAlg returns the algorithm of private_key_jwt: client_alg, else the alg of the key, else RS256.
func (c *Client) privateAlg() string {
	own := ""
	if c.jwk != nil {
		own = c.jwk.Algorithm
	}
	if strings.HasPrefix(c.alg, "HS") {
		return cmp.Or(own, "RS256")
	}
	return cmp.Or(c.alg, own, "RS256")
}

// signingKey returns the client's private key for signatures by alg: client_jwk, or a key that the gate generates and publishes.
func (c *Client) signingKey(alg string) (jose.SigningKey, error) {
	key := c.jwk
	if key == nil {
		if c.keys == nil {
			return jose.SigningKey{}, errors.New("there is no client_jwk, and the gate makes no keys: write keys: beside routes:")
		}
		var err error
		if key, err = c.keys(alg); err != nil {
			return jose.SigningKey{}, err
		}
	}
	return signingKey(alg, key)
}

// GateKeyAlgs returns the algorithms for which the client needs keys that the gate generates: none if it signs nothing, or has a key of its
// own.
func (c *Client) GateKeyAlgs() (algs []string) {
	if c.jwk != nil {
		return nil
	}
	if c.settings.signsRequests() {
		algs = append(algs, c.requestAlg())
	}
	for e := range endpoints {
		if c.assertion == nil && c.authMethod(c.endpointAuth(&Metadata{}, e)) == "private_key_jwt" {
			algs = append(algs, c.privateAlg())
		}
	}
	slices.Sort(algs)
	return slices.Compact(algs)
}

// signJWT returns a JWT of a type (RFC 7515 §4.1.9) with these claims. More has further parameters of its header.
func signJWT(typ string, claims map[string]any, key jose.SigningKey, more map[jose.HeaderKey]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ))
	for name, v := range more {
		options.WithHeader(name, v)
	}
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return signed.CompactSerialize()
}
