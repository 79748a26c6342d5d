package oidc

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// AuthorizationRequest is what is sent to the authorization endpoint (RFC 6749 §4.1.1, OIDC Core §3.1.2.1).
type AuthorizationRequest struct {
	RedirectURI   string
	State         string
	Nonce         string
	CodeChallenge string // S256 (RFC 7636 §4.2); empty: no PKCE
	Scopes        []string
	ResponseMode  string     // empty: the provider's default, query
	Args          url.Values // further parameters; they never replace the ones above
}

// AuthorizationURL is where the browser is sent to log in.
func (c *Client) AuthorizationURL(ctx context.Context, a AuthorizationRequest) (string, error) {
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return "", err
	}
	if err := c.checkParameters(m, a.ResponseMode, a.CodeChallenge != ""); err != nil {
		return "", err
	}
	address, err := m.require("authorization_endpoint")
	if err != nil {
		return "", err
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("%w: authorization_endpoint: %w", ErrUnavailable, err)
	}
	q := u.Query()
	for name, values := range a.Args {
		q[name] = values
	}
	q.Set("response_type", "code")
	q.Set("client_id", c.ID)
	q.Set("redirect_uri", a.RedirectURI)
	q.Set("scope", strings.Join(a.Scopes, " "))
	q.Set("state", a.State)
	if slices.Contains(a.Scopes, "openid") {
		q.Set("nonce", a.Nonce)
	}
	if a.ResponseMode != "" {
		q.Set("response_mode", a.ResponseMode)
	}
	if a.CodeChallenge != "" {
		q.Set("code_challenge", a.CodeChallenge)
		q.Set("code_challenge_method", "S256")
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// CheckResponseIssuer judges the iss parameter of an authorization response (RFC 9207 §2.4): required where the issuer
// announces it, and never another's. It is what stops mix-up attacks.
func (c *Client) CheckResponseIssuer(ctx context.Context, iss []string) error {
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return err
	}
	if len(iss) == 0 && !m.IssInResponse {
		return nil
	}
	if len(iss) != 1 || iss[0] != m.Issuer {
		return fmt.Errorf("iss in the authorization response: expected %q, got %q", m.Issuer, clip(strings.Join(iss, " ")))
	}
	return nil
}

// EndSession returns where the browser is sent to log out at the provider, as an address and the parameters that go there by GET or
// POST (RP-Initiated Logout §2). The address is "" if the issuer has no such endpoint; one that is
// announced and can't be used is an error. IDToken may be empty: then the provider asks
// the person, and hint, if there is one, tells it who that is.
func (c *Client) EndSession(ctx context.Context, idToken, hint, postLogoutRedirectURI string) (address string, params url.Values, err error) {
	m, err := c.issuer.Metadata(ctx)
	if err != nil || m.EndSessionEndpoint == "" && m.bad["end_session_endpoint"] == nil {
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
