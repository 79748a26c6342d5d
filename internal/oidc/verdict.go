package oidc

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"sallyport/internal/auth"
)

// ErrRefused is wrapped by errors that are the authorization server's verdict on what a caller brought: a wrong password, a
// spent refresh token, a wrong client secret of the caller's own. A wrong client of ours is no verdict on anybody.
var ErrRefused = errors.New("grant_refused")

// ErrNotSetUp is wrapped by errors that only the operator can mend, here or at the authorization server: a later attempt fails in the
// same way. It wraps ErrUnavailable, because it says nothing about the credential either.
var ErrNotSetUp error = notSetUp{}

type notSetUp struct{}

func (notSetUp) Error() string { return "the configuration and the authorization server disagree" }
func (notSetUp) Unwrap() error { return ErrUnavailable }

// IsOutage reports whether a later attempt may succeed without anybody's doing.
func IsOutage(err error) bool {
	return errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrNotSetUp)
}

// refusals are the error codes (RFC 6749 §5.2, OIDC Core §3.1.2.6) by which the token endpoint judges what a request brought, for each
// way to ask it. Codes that outages names say that the server is in trouble. Any other code is about the configuration.
var refusals = map[string][]string{
	// the code of a login
	"authorization_code": {"invalid_grant", "access_denied"},
	// the refresh token of a session: the grant is over
	"session": {"invalid_grant", "interaction_required", "login_required", "consent_required"},
	// the refresh token of a caller, which a stranger can make up
	"refresh_token": {"invalid_grant", "invalid_request", "access_denied", "interaction_required", "login_required", "consent_required"},
	// the client of a caller
	"client_credentials": {"invalid_client", "unauthorized_client", "invalid_grant", "invalid_request", "invalid_scope", "access_denied"},
	// a person's name and password
	"password": {"invalid_grant", "invalid_request", "access_denied", "interaction_required", "login_required", "consent_required"},
	// a subject token, or an actor token
	"token_exchange": {"invalid_grant", "invalid_request", "access_denied", "interaction_required", "login_required", "consent_required"},
}

// chosen are the codes about a parameter that a setting lets a caller choose: where the request had the caller's own, they judge it.
var chosen = map[string][]string{"invalid_scope": {"scope"}, "invalid_target": {"audience", "resource"}}

// outages are the codes that say nothing but that the server is in trouble (RFC 6749 §4.1.2.1).
var outages = []string{"temporarily_unavailable", "server_error"}

// outageStatus reports whether a status says that a later attempt may succeed.
func outageStatus(status int) bool {
	return status >= 500 || slices.Contains([]int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests}, status)
}

// statusError is the error of an answer without a code: an outage, or an endpoint that isn't what the setting says it is.
func statusError(what string, status int, setting string) error {
	if outageStatus(status) {
		return fmt.Errorf("%w: its %s answered %d", ErrUnavailable, what, status)
	}
	return fmt.Errorf("%w: its %s answered %d: see that %s names the right address, and that the issuer lets client_id use it",
		ErrNotSetUp, what, status, setting)
}

// refusal turns an error response of the token endpoint into an error, by the table of the grant.
func (c *Client) refusal(grant string, m *Metadata, status int, answer auth.Claims, callers url.Values) error {
	code := answer.String("error")
	err := &oauth2.RetrieveError{
		Response:         &http.Response{StatusCode: status, Status: http.StatusText(status)},
		ErrorCode:        clip(code),
		ErrorDescription: clip(answer.String("error_description")),
	}
	isChosen := slices.ContainsFunc(chosen[code], func(name string) bool { return len(callers[name]) > 0 })
	switch {
	case outageStatus(status) || slices.Contains(outages, code):
		return fmt.Errorf("%w: its token endpoint answered %d: %w", ErrUnavailable, status, err)
	case slices.Contains(refusals[grant], code) || isChosen:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case answer["error"] == nil && status == http.StatusOK: // no object: nobody knows what it is
		return fmt.Errorf("%w: its token endpoint answered with something else than tokens: %w", ErrUnavailable, err)
	case answer["error"] == nil:
		return fmt.Errorf("%w: %w", statusError("token endpoint", status, "token_endpoint"), err)
	}
	return fmt.Errorf("%w: its token endpoint answered: %w: %s", ErrNotSetUp, err, c.remedy(grant, code, m))
}

// remedy says which setting an error code is about, what it is, and what the issuer announces.
func (c *Client) remedy(grant, code string, m *Metadata) string {
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
			"some issuers say so of a wrong client_secret, too", c.ID, grant)
	case "unsupported_grant_type":
		return fmt.Sprintf("the issuer has no such grant: take %s out of auth_methods", grant) + announced(m.GrantTypes)
	case "invalid_scope":
		return fmt.Sprintf("let client_id (%s) use the scopes at the issuer, or change scopes (%s)", c.ID, strings.Join(c.settings.Scopes, " ")) +
			announced(m.Scopes)
	case "invalid_target":
		return fmt.Sprintf("change audience (%s)", strings.Join(c.settings.Audience, " "))
	}
	return "compare redirect_uri, scopes, audience and token_post_args_names with what the issuer expects of client_id (" + c.ID + ")"
}

// ResponseError is the error of an authorization response (RFC 6749 §4.1.2.1, OIDC Core §3.1.2.6). Where only the operator can mend it,
// it wraps ErrNotSetUp.
func (c *Client) ResponseError(code, description string) error {
	err := &oauth2.RetrieveError{Response: &http.Response{StatusCode: http.StatusFound}, ErrorCode: clip(code), ErrorDescription: clip(description)}
	setting, ours := map[string]string{
		"unauthorized_client":        "let client_id use authorization codes at the issuer",
		"unsupported_response_type":  "let client_id use response_type code at the issuer",
		"unsupported_response_mode":  "change response_mode",
		"invalid_scope":              "let client_id use the scopes at the issuer, or change scopes",
		"invalid_request":            "compare redirect_uri, scopes, audience and authorization_query_args_names with what the issuer expects of client_id",
		"invalid_target":             "change audience",
		"invalid_request_object":     "the issuer asks for a request object",
		"invalid_request_uri":        "the issuer asks for a request object",
		"request_not_supported":      "take request out of authorization_query_args_names",
		"request_uri_not_supported":  "take request_uri out of authorization_query_args_names",
		"registration_not_supported": "take registration out of authorization_query_args_names",
	}[code]
	if !ours {
		return err
	}
	return fmt.Errorf("%w: the authorization endpoint answered: %w: %s", ErrNotSetUp, err, setting)
}
