package oidc

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"sallyport/internal/dpop"
)

// An AuthorizationRequest has the parameters of an authorization request (RFC 6749 §4.1.1, OIDC Core §3.1.2.1).
type AuthorizationRequest struct {
	RedirectURI   string
	State         string
	Nonce         string
	CodeChallenge string // of the method S256 (RFC 7636 §4.2); empty: no PKCE
	Scopes        []string
	ResponseMode  string     // empty: the provider's default, query
	DPoPKey       *dpop.Key  // to which the code and its tokens are bound (RFC 9449 §10); nil: none
	Args          url.Values // further parameters; they never replace those above
}

// AuthorizationURL returns the URL of an authorization request, to which the browser is redirected for a login.
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
	maps.Copy(q, a.Args)
	q.Set("response_type", "code")
	q.Set("client_id", c.ID)
	q.Set("redirect_uri", a.RedirectURI)
	q.Set("scope", strings.Join(a.Scopes, " "))
	q.Set("state", a.State)
	if slices.Contains(a.Scopes, gooidc.ScopeOpenID) {
		q.Set("nonce", a.Nonce)
	}
	if a.ResponseMode != "" {
		q.Set("response_mode", a.ResponseMode)
	}
	if a.CodeChallenge != "" {
		q.Set("code_challenge", a.CodeChallenge)
		q.Set("code_challenge_method", "S256")
	}
	if a.DPoPKey != nil {
		jkt, err := a.DPoPKey.Thumbprint()
		if err != nil {
			return "", err
		}
		q.Set("dpop_jkt", jkt)
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// CheckResponseIssuer checks the parameter iss of an authorization response against mix-up attacks (RFC 9207 §2.4). The parameter is
// required if the issuer's metadata announces it.
func (c *Client) CheckResponseIssuer(ctx context.Context, iss []string) error {
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return err
	}
	if len(iss) == 0 && !m.IssInResponse {
		return nil
	}
	if len(iss) != 1 || iss[0] != m.IssuerURL {
		return fmt.Errorf("iss in the authorization response: expected %q, got %q", m.IssuerURL, clip(strings.Join(iss, " ")))
	}
	return nil
}

// ResponseError returns the error of an authorization response (RFC 6749 §4.1.2.1, OIDC Core §3.1.2.6). It wraps ErrNotSetUp if only the
// operator can correct it.
func (c *Client) ResponseError(code, description string) error {
	err := &oauth2.RetrieveError{
		Response: &http.Response{StatusCode: http.StatusFound}, ErrorCode: clip(code), ErrorDescription: clip(description),
	}
	remedy, known := map[string]string{
		"unauthorized_client":       "let client_id use authorization codes at the issuer",
		"unsupported_response_type": "let client_id use response_type code at the issuer",
		"unsupported_response_mode": "change response_mode",
		"invalid_scope":             "let client_id use the scopes at the issuer, or change scopes",
		"invalid_request": "compare redirect_uri, scopes, audience and authorization_query_args_names " +
			"with what the issuer expects of client_id",
		"invalid_target":             "change audience",
		"invalid_request_object":     "the issuer asks for a request object",
		"invalid_request_uri":        "the issuer asks for a request object",
		"request_not_supported":      "take request out of authorization_query_args_names",
		"request_uri_not_supported":  "take request_uri out of authorization_query_args_names",
		"registration_not_supported": "take registration out of authorization_query_args_names",
	}[code]
	if !known {
		return err
	}
	return fmt.Errorf("%w: the authorization endpoint answered: %w: %s", ErrNotSetUp, err, remedy)
}
