package oidc

import (
	"context"
	"net/url"
)

// EndSession returns the address and the parameters of a logout request (RP-Initiated Logout §2), which the browser sends by GET or POST.
// The address is "" if the issuer has no such endpoint. An endpoint that is announced and can't be used is an error. Without an idToken
// the provider asks the user to confirm; hint, if not empty, is its logout_hint.
func (c *Client) EndSession(
	ctx context.Context, idToken, hint, postLogoutRedirectURI string,
) (address string, params url.Values, err error) {
	m, err := c.issuer.Metadata(ctx)
	if err != nil || m.EndSessionEndpoint == "" && m.unusable["end_session_endpoint"] == nil {
		return "", nil, err
	}
	if address, err = m.require("end_session_endpoint"); err != nil {
		return "", nil, err
	}
	params = url.Values{"client_id": {c.ID}}
	for name, value := range map[string]string{
		"id_token_hint": idToken, "logout_hint": hint, "post_logout_redirect_uri": postLogoutRedirectURI,
	} {
		if value != "" {
			params.Set(name, value)
		}
	}
	return address, params, nil
}
