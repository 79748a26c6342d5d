package oidc

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"sallyport/internal/auth"
)

// A FrontChannel has the values of an authorization response with which its ID token must agree.
type FrontChannel struct {
	Nonce, State, Code string
}

// FrontChannelIDToken verifies the ID token of an authorization response with response type code id_token (OIDC Core §3.3.2.11): as any ID
// token, and that its nonce, c_hash and s_hash are those of the login and of the response. All three are required (FAPI 1.0 Part 2
// §5.1.1). It returns the claims. The error wraps ErrUnavailable if the issuer's keys can't be fetched.
func (c *Client) FrontChannelIDToken(ctx context.Context, token string, r FrontChannel) (auth.Claims, error) {
	t, err := c.parseBrowserJWT(token, "id_token_encrypted_response_alg", c.settings.IDTokenEncryptedResponseAlg)
	if err == nil {
		err = checkHashes(t, r)
	}
	var claims auth.Claims
	if err == nil {
		claims, _, err = c.IDToken(ctx, t.text, IDTokenWant{Nonce: r.Nonce})
	}
	if err != nil {
		return nil, fmt.Errorf("the ID token of the authorization response: %w", err)
	}
	return claims, nil
}

// checkHashes checks c_hash and s_hash, which bind an ID token to the code and the state of its response (OIDC Core §3.3.2.11, FAPI
// 1.0 Part 2 §5.1).
func checkHashes(t *jwt, r FrontChannel) error {
	for _, h := range []struct{ claim, value string }{{"c_hash", r.Code}, {"s_hash", r.State}} {
		expected := halfHash(t.header.Alg, h.value)
		if subtle.ConstantTimeCompare([]byte(t.claims.String(h.claim)), []byte(expected)) != 1 {
			return errors.New(h.claim + ": expected the hash of the response's parameter")
		}
	}
	return nil
}

// checkFront checks that the ID token of the token response is about the same subject as that of the authorization response (OIDC Core
// §3.3.3.6).
func checkFront(claims, front auth.Claims) error {
	if front == nil {
		return nil
	}
	for _, name := range []string{"iss", "sub"} {
		if claims[name] != front[name] {
			return fmt.Errorf("%s: it has another value than in the ID token of the authorization response", name)
		}
	}
	return nil
}
