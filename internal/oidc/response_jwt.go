package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// maxEncrypted is the longest encrypted JWT that is decrypted for a browser, in bytes: base64url makes a JWT of maxJWT a third longer, and
// the header and key come on top.
const maxEncrypted = 2 * maxJWT

// A ResponseJWT is an authorization response in a JWT (JARM §2.1). A browser has sent it, so anyone can have written it: until
// VerifyResponse succeeds, its parameters may only find the login to which it belongs.
type ResponseJWT struct{ jwt *jwt }

// ParseResponse parses an authorization response in a JWT, and decrypts it first if it is encrypted. All clients of one issuer have the
// same keys for that.
func (c *Client) ParseResponse(text string) (*ResponseJWT, error) {
	t, err := c.parseBrowserJWT(text, "authorization_encrypted_response_alg", c.settings.AuthorizationEncryptedResponseAlg)
	if err != nil {
		return nil, err
	}
	return &ResponseJWT{t}, nil
}

// parseBrowserJWT parses a JWT that came through a browser, and decrypts it first if it is encrypted; alg is as for decrypted.
func (c *Client) parseBrowserJWT(text, setting, alg string) (*jwt, error) {
	if len(text) > maxEncrypted {
		return nil, errTooLong
	}
	plain, err := c.decrypted(text, setting, alg)
	if err != nil {
		return nil, err
	}
	return parseRequestJWT(plain)
}

// Parameters returns the parameters of the response: the members that are strings. They aren't verified.
func (r *ResponseJWT) Parameters() url.Values {
	params := url.Values{}
	for name, v := range r.jwt.claims {
		if s, ok := v.(string); ok {
			params.Set(name, s)
		}
	}
	return params
}

// VerifyResponse verifies an authorization response in a JWT (JARM §2.4): iss, aud and exp, and the signature by the configured algorithm.
// No setting switches this off, because the response came through a browser. The error wraps ErrUnavailable if the issuer's keys can't be
// fetched.
func (c *Client) VerifyResponse(ctx context.Context, r *ResponseJWT) error {
	t, alg := r.jwt, c.settings.AuthorizationSignedResponseAlg
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return err
	}
	switch {
	case t.header.Typ != "" && t.header.Typ != "jwt":
		err = fmt.Errorf("its typ is %q, expected JWT or none", clip(t.header.Typ))
	case !sameAlgorithm(t.header.Alg, alg):
		err = fmt.Errorf("it is signed with %q, and authorization_signed_response_alg is %s: write what the issuer signs with",
			clip(t.header.Alg), alg)
	case t.claims["iss"] != m.IssuerURL:
		err = fmt.Errorf("iss: expected %q, got %q", m.IssuerURL, clip(t.claims.String("iss")))
	default:
		err = first(c.checkAudience(t.claims), c.checkResponseExpiry(t))
	}
	if err == nil {
		_, err = c.issuer.verifySignature(ctx, t, signatureRules{algorithms: []string{alg}, origin: fromRequest})
	}
	if err != nil {
		return fmt.Errorf("the authorization response: %w", err)
	}
	return nil
}

// checkResponseExpiry requires an exp that has not passed, also without verify_claims.
func (c *Client) checkResponseExpiry(t *jwt) error {
	exp, ok := t.claims.Time("exp")
	switch {
	case !ok || exp.IsZero():
		return errors.New("exp is missing, or isn't a NumericDate (RFC 7519 §2)")
	case !c.issuer.now().Before(exp.Add(c.issuer.settings.Leeway)):
		return fmt.Errorf("%w: exp was %s", ErrExpired, exp.UTC().Format(time.RFC3339))
	}
	return nil
}
