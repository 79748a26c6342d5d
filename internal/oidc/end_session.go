package oidc

import (
	"context"
	"net/url"
)

// A LogoutRequest has the parameters of a logout request (RP-Initiated Logout §2). Empty ones are not sent.
type LogoutRequest struct {
	IDToken     string // id_token_hint; without it the provider asks the user to confirm
	Hint        string // logout_hint
	RedirectURI string // post_logout_redirect_uri
	State       string // the provider adds it to RedirectURI

	// RedirectParam is the name of RedirectURI at an endpoint of another kind, which gets no other parameters than client_id; empty:
	// post_logout_redirect_uri.
	RedirectParam string
}

// PostLogoutRedirectURI is the standard's name of the parameter with the page after a logout.
const PostLogoutRedirectURI = "post_logout_redirect_uri"

// params returns the parameters of the request besides client_id.
func (r LogoutRequest) params() map[string]string {
	if r.RedirectParam != "" && r.RedirectParam != PostLogoutRedirectURI {
		return map[string]string{r.RedirectParam: r.RedirectURI}
	}
	return map[string]string{
		"id_token_hint": r.IDToken, "logout_hint": r.Hint, PostLogoutRedirectURI: r.RedirectURI, "state": r.State,
	}
}

// EndSession returns the address and the parameters of a logout request, which the browser sends by GET or POST. The address is "" if the
// issuer has no such endpoint. An endpoint that is announced and can't be used is an error.
func (c *Client) EndSession(ctx context.Context, r LogoutRequest) (address string, params url.Values, err error) {
	m, err := c.issuer.Metadata(ctx)
	if err != nil || m.EndSessionEndpoint == "" && m.unusable["end_session_endpoint"] == nil {
		return "", nil, err
	}
	if address, err = m.require("end_session_endpoint"); err != nil {
		return "", nil, err
	}
	params = url.Values{"client_id": {c.ID}}
	for name, value := range r.params() {
		if value != "" {
			params.Set(name, value)
		}
	}
	return address, params, nil
}
