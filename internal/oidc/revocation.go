package oidc

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// Revoke tells the authorization server that a token is to be good for nothing any more (RFC 7009 §2.1). hint is
// access_token or refresh_token, param the name of the form's token, which is token almost everywhere.
func (c *Client) Revoke(ctx context.Context, token, hint, param string) error {
	leave, err := c.issuer.calls.forGate(ctx)
	if err != nil {
		return err
	}
	defer leave()
	a, err := c.post(ctx, revocationEndpoint, url.Values{param: {token}, "token_type_hint": {hint}}, http.Header{}, nil)
	if err != nil {
		return err
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("%w: its revocation endpoint answered %d, expected 200", ErrUnavailable, a.status)
	}
	return nil
}
