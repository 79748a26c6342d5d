package oidc

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
)

// Revoke revokes a token at the authorization server (RFC 7009 §2.1). Hint is the token_type_hint: access_token or refresh_token. Param is
// the name of the parameter with the token, for servers that don't call it token.
func (c *Client) Revoke(ctx context.Context, token, hint, param string) error {
	leave, err := c.issuer.calls.admitOwn(ctx)
	if err != nil {
		return err
	}
	defer leave()
	r, err := c.post(ctx, revocationEndpoint, url.Values{param: {token}, "token_type_hint": {hint}}, http.Header{}, nil)
	if err != nil {
		return err
	}
	if r.status != http.StatusOK {
		return fmt.Errorf("%w: its revocation endpoint answered %d, expected 200", ErrUnavailable, r.status)
	}
	return nil
}
