package oidc

import (
	"cmp"
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
	ResponseType  string     // empty: code
	ResponseMode  string     // empty: the provider's default, query
	DPoPKey       *dpop.Key  // to which the code and its tokens are bound (RFC 9449 §10); nil: none
	Args          url.Values // further parameters; they never replace those above
}

// responseType returns the response type of the request.
func (a *AuthorizationRequest) responseType() string { return cmp.Or(a.ResponseType, "code") }

// AuthorizationURL returns the URL of an authorization request, to which the browser is redirected for a login. The URL has the parameters
// in its query, or a request object with them (RFC 9101), or a reference to what was pushed to the issuer before (RFC 9126). Nothing else
// stands beside a request object or a reference, because a user can change a query. The error wraps ErrUnavailable or ErrNotSetUp.
func (c *Client) AuthorizationURL(ctx context.Context, a AuthorizationRequest, by Caller) (string, error) {
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return "", err
	}
	if err := c.checkParameters(m, &a); err != nil {
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
	params, err := c.parameters(&a)
	if err != nil {
		return "", err
	}
	query, err := c.carry(ctx, m, params, by)
	if err != nil {
		return "", err
	}
	q := u.Query()
	maps.Copy(q, query)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// parameters returns the parameters of an authorization request.
func (c *Client) parameters(a *AuthorizationRequest) (url.Values, error) {
	params := maps.Clone(a.Args)
	if params == nil {
		params = url.Values{}
	}
	params.Set("response_type", a.responseType())
	params.Set("client_id", c.ID)
	params.Set("redirect_uri", a.RedirectURI)
	params.Set("scope", strings.Join(a.Scopes, " "))
	params.Set("state", a.State)
	if slices.Contains(a.Scopes, gooidc.ScopeOpenID) {
		params.Set("nonce", a.Nonce)
	}
	if a.ResponseMode != "" {
		params.Set("response_mode", a.ResponseMode)
	}
	if a.CodeChallenge != "" {
		params.Set("code_challenge", a.CodeChallenge)
		params.Set("code_challenge_method", "S256")
	}
	if a.DPoPKey != nil {
		jkt, err := a.DPoPKey.Thumbprint()
		if err != nil {
			return nil, err
		}
		params.Set("dpop_jkt", jkt)
	}
	return params, nil
}

// carry returns the query of the authorization request with these parameters. Beside a request object stand the parameters that OAuth 2.0
// and OpenID Connect require there, with the same values (RFC 9101 §5, OIDC Core §6.1). A request object that is pushed stands alone.
func (c *Client) carry(ctx context.Context, m *Metadata, params url.Values, by Caller) (url.Values, error) {
	carried := params
	if c.signsRequests(m) {
		object, err := c.requestObject(ctx, m, params)
		if err != nil {
			return nil, err
		}
		carried = url.Values{"client_id": {c.ID}, "request": {object}}
		if !c.pushesRequests(m) {
			carried["response_type"], carried["scope"] = params["response_type"], params["scope"]
		}
	}
	if c.pushesRequests(m) {
		return c.push(ctx, m, carried, by)
	}
	return carried, nil
}

// CheckResponseIssuer checks the parameter iss of an authorization response against mix-up attacks (RFC 9207 §2.4). The parameter is
// required if the issuer's metadata announces it, and with verify_response_issuer.
func (c *Client) CheckResponseIssuer(ctx context.Context, iss []string) error {
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return err
	}
	if len(iss) == 0 && !m.IssInResponse && !c.settings.VerifyResponseIssuer {
		return nil
	}
	if len(iss) != 1 || iss[0] != m.IssuerURL {
		return fmt.Errorf("iss in the authorization response: expected %q, got %q", m.IssuerURL, clip(strings.Join(iss, " ")))
	}
	return nil
}

// requestRemedies says what the operator can change, by the code with which the issuer refuses an authorization request.
var requestRemedies = map[string]string{
	"unauthorized_client":       "let client_id use authorization codes at the issuer",
	"unsupported_response_type": "let client_id use response_type at the issuer, or change it",
	"unsupported_response_mode": "change response_mode",
	"invalid_scope":             "let client_id use the scopes at the issuer, or change scopes",
	"invalid_request": "compare redirect_uri, scopes, audience and authorization_query_args_names " +
		"with what the issuer expects of client_id",
	"invalid_target": "change audience",
	"invalid_request_object": "compare request_object_signing_alg, request_object_encryption_alg and the client's key " +
		"with what the issuer expects",
	"invalid_request_uri":        "the issuer no longer had the pushed request: see how long it stores one",
	"request_not_supported":      "the issuer takes no request objects: take require_signed_request_object out",
	"request_uri_not_supported":  "the issuer takes no request_uri: take require_pushed_authorization_requests out",
	"registration_not_supported": "take registration out of authorization_query_args_names",
}

// ResponseError returns the error of an authorization response (RFC 6749 §4.1.2.1, OIDC Core §3.1.2.6). It wraps ErrNotSetUp if only the
// operator can correct it.
func (c *Client) ResponseError(code, description string) error {
	err := &oauth2.RetrieveError{
		Response: &http.Response{StatusCode: http.StatusFound}, ErrorCode: clip(code), ErrorDescription: clip(description),
	}
	remedy, known := requestRemedies[code]
	if !known {
		return err
	}
	return fmt.Errorf("%w: the authorization endpoint answered: %w: %s", ErrNotSetUp, err, remedy)
}
