package oidc

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"sallyport/internal/auth"
)

// parameterErrors are the error codes about a parameter that a setting lets a caller choose. Where the request has the caller's own
// parameter, the code refuses the request.
var parameterErrors = map[string][]string{"invalid_scope": {"scope"}, "invalid_target": {"audience", "resource"}}

// outageErrors are the error codes of a server in trouble (RFC 6749 §4.1.2.1).
var outageErrors = []string{"temporarily_unavailable", "server_error"}

// tokenError turns an error response of the token endpoint into an error (RFC 6749 §5.2). The error wraps ErrRefused if it is about the
// credential in the request, ErrUnavailable at an outage, else ErrNotSetUp. Args are the parameters that the caller chose.
func (c *Client) tokenError(g tokenGrant, m *Metadata, status int, body auth.Claims, args url.Values) error {
	code := body.String("error")
	err := retrieveError(status, body)
	chosen := slices.ContainsFunc(parameterErrors[code], func(name string) bool { return len(args[name]) > 0 })
	switch {
	case outageStatus(status) || slices.Contains(outageErrors, code):
		return fmt.Errorf("%w: its token endpoint answered %d: %w", ErrUnavailable, status, err)
	case slices.Contains(g.refusals, code) || chosen:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case body["error"] == nil && status == http.StatusOK: // the body isn't a JSON object
		return fmt.Errorf("%w: its token response is not a JSON object: %w", ErrUnavailable, err)
	case body["error"] == nil:
		return fmt.Errorf("%w: %w", statusError("token endpoint", status, "token_endpoint"), err)
	}
	return fmt.Errorf("%w: its token endpoint answered: %w: %s", ErrNotSetUp, err, c.remedy(g, code, m))
}

// retrieveError returns the error code and the description in an error response (RFC 6749 §5.2).
func retrieveError(status int, body auth.Claims) *oauth2.RetrieveError {
	return &oauth2.RetrieveError{
		Response:  &http.Response{StatusCode: status, Status: http.StatusText(status)},
		ErrorCode: clip(body.String("error")), ErrorDescription: clip(body.String("error_description")),
	}
}

// remedy says which setting an error code is about, its value, and what the issuer announces.
func (c *Client) remedy(g tokenGrant, code string, m *Metadata) string {
	announced := func(values []string) string {
		if len(values) == 0 {
			return ""
		}
		return "; the issuer announces " + strings.Join(values, ", ")
	}
	switch code {
	case "invalid_client":
		return fmt.Sprintf("compare client_id (%s), client_secret and client_auth with what is registered at the issuer", c.ID) +
			announced(m.TokenAuthMethods)
	case "unauthorized_client":
		return fmt.Sprintf("let client_id (%s) use this grant at the issuer, or take %s out of auth_methods; "+
			"some issuers say so of a wrong client_secret, too", c.ID, g.name)
	case "unsupported_grant_type":
		return fmt.Sprintf("the issuer has no such grant: take %s out of auth_methods", g.name) + announced(m.GrantTypes)
	case "invalid_scope":
		return fmt.Sprintf("let client_id (%s) use the scopes at the issuer, or change scopes (%s)",
			c.ID, strings.Join(c.settings.Scopes, " ")) +
			announced(m.Scopes)
	case "invalid_target":
		return fmt.Sprintf("change audience (%s)", strings.Join(c.settings.Audience, " "))
	}
	return "compare redirect_uri, scopes, audience and token_post_args_names with what the issuer expects of client_id (" + c.ID + ")"
}
