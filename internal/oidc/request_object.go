package oidc

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	typeRequestObject     = "oauth-authz-req+jwt" // RFC 9101 §10.8
	requestObjectLifetime = 5 * time.Minute       // a request object is sent at once; FAPI allows an hour
)

// reservedClaims are the claims of a request object that no parameter may replace (RFC 7519 §4.1). A request object has no sub, so that it
// can't serve as a client assertion (RFC 9101 §10.8).
var reservedClaims = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}

// jsonParameters are the parameters whose value is JSON. In a request object they stand as JSON, and not as strings (OIDC Core §5.5,
// §7.2.1, RFC 9396 §2).
var jsonParameters = []string{"claims", "authorization_details", "registration"}

// CheckRequestParameter returns an error if a request object can't have a parameter.
func CheckRequestParameter(name string) error {
	if slices.Contains(reservedClaims, name) {
		return errors.New("a request object has a claim of this name for itself: take it out")
	}
	return nil
}

// IsJSONParameter reports whether the value of a parameter of authorization requests is JSON.
func IsJSONParameter(name string) bool { return slices.Contains(jsonParameters, name) }

// signsRequests reports whether authorization requests are signed: by the setting, else by the metadata.
func (c *Client) signsRequests(m *Metadata) bool {
	if required := c.settings.RequireSignedRequestObject; required != nil {
		return *required
	}
	return m.RequireSignedRequestObject
}

// requestObject returns the request object of an authorization request (RFC 9101 §4), signed with the client's key, and encrypted if
// request_object_encryption_alg is set. The error wraps ErrUnavailable or ErrNotSetUp.
func (c *Client) requestObject(ctx context.Context, m *Metadata, params url.Values) (string, error) {
	claims, err := requestClaims(params)
	if err != nil {
		return "", err
	}
	now := c.issuer.now()
	claims["iss"], claims["aud"], claims["jti"] = c.ID, m.IssuerURL, rand.Text()
	claims["nbf"], claims["exp"] = now.Unix(), now.Add(requestObjectLifetime).Unix()
	key, err := c.signingKey(c.requestAlg())
	if err != nil {
		return "", fmt.Errorf("%w: the request object: %w", ErrUnavailable, err)
	}
	signed, err := signJWT(typeRequestObject, claims, key, c.certificates)
	if err != nil {
		return "", fmt.Errorf("%w: the request object can't be signed: %w", ErrUnavailable, err)
	}
	if c.settings.RequestObjectEncryptionAlg == "" {
		return signed, nil
	}
	return c.encryptedRequest(ctx, signed)
}

// requestAlg returns the algorithm that signs request objects.
func (c *Client) requestAlg() string {
	return cmp.Or(c.settings.RequestObjectSigningAlg, c.privateAlg())
}

// requestClaims returns the parameters of an authorization request as claims (RFC 9101 §4).
func requestClaims(params url.Values) (map[string]any, error) {
	claims := map[string]any{}
	for name, values := range params {
		if err := CheckRequestParameter(name); err != nil {
			return nil, fmt.Errorf("%w: the parameter %s: %w", ErrNotSetUp, name, err)
		}
		claims[name] = values
		if len(values) == 1 {
			claims[name] = requestClaim(name, values[0])
		}
	}
	return claims, nil
}

// requestClaim returns the value of a parameter as a claim. JSON that can't be read stays a string, which the issuer refuses.
func requestClaim(name, value string) any {
	if name == "max_age" {
		if n, err := strconv.ParseInt(value, 10, 64); err == nil {
			return n
		}
	}
	if IsJSONParameter(name) && json.Valid([]byte(value)) {
		return json.RawMessage(value)
	}
	return value
}
