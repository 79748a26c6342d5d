package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"sallyport/internal/auth"
)

// Code redeems an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5).
func (c *Client) Code(ctx context.Context, code, redirectURI, verifier string) (auth.Tokens, error) {
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}}
	if verifier != "" {
		form.Set("code_verifier", verifier)
	}
	return c.token(ctx, form)
}

// Refresh asks for new tokens (RFC 6749 §6). The answer's refresh token is the old one if the server sent no new one.
func (c *Client) Refresh(ctx context.Context, refreshToken string) (auth.Tokens, error) {
	t, err := c.token(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}})
	if err == nil && t.RefreshToken == "" {
		t.RefreshToken = refreshToken
	}
	return t, err
}

// token is the one token request. Its error wraps ErrUnavailable if the server can't be asked or is in trouble itself, or
// is an *oauth2.RetrieveError with the server's error code (RFC 6749 §5.2): a refusal.
func (c *Client) token(ctx context.Context, form url.Values) (auth.Tokens, error) {
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return auth.Tokens{}, err
	}
	if m.TokenEndpoint == "" {
		return auth.Tokens{}, fmt.Errorf("%w: its metadata has no token_endpoint", ErrUnavailable)
	}
	header := http.Header{}
	if err := c.authenticate(m, form, header); err != nil {
		return auth.Tokens{}, err
	}
	asked := c.issuer.now()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return auth.Tokens{}, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	r.Header = header
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	status, body, err := c.issuer.do(r)
	if err != nil {
		return auth.Tokens{}, err
	}
	answer, err := decodeObject(body)
	if status != http.StatusOK {
		return auth.Tokens{}, refusal(status, answer)
	}
	if err != nil {
		return auth.Tokens{}, fmt.Errorf("%w: its token response: %w", ErrUnavailable, err)
	}
	return readTokens(answer, asked)
}

// authenticate adds the client's authentication to a token request.
func (c *Client) authenticate(m *Metadata, form url.Values, header http.Header) error {
	switch method := c.authMethod(m); method {
	case "client_secret_basic":
		// RFC 6749 §2.3.1: both are form-encoded before they are joined.
		pair := &http.Request{Header: header}
		pair.SetBasicAuth(url.QueryEscape(c.ID), url.QueryEscape(string(c.secret)))
	case "client_secret_post":
		form.Set("client_id", c.ID)
		form.Set("client_secret", string(c.secret))
	case "none":
		form.Set("client_id", c.ID)
	default:
		return fmt.Errorf("client_auth: %s isn't known", method)
	}
	return nil
}

// authMethod is the configured method, else what the metadata offers, else client_secret_basic. Nothing is ever tried
// out: some servers lock a client at its first wrong authentication.
func (c *Client) authMethod(m *Metadata) string {
	offers := func(method string) bool { return slices.Contains(m.TokenAuthMethods, method) }
	switch {
	case c.auth != "":
		return c.auth
	case c.secret == "":
		return "none"
	case offers("client_secret_post") && !offers("client_secret_basic"):
		return "client_secret_post"
	}
	return "client_secret_basic"
}

// refusal turns an error response into an error. 5xx and 429 say nothing about the grant.
func refusal(status int, answer map[string]any) error {
	code := auth.Claims(answer).String("error")
	err := &oauth2.RetrieveError{
		Response:         &http.Response{StatusCode: status, Status: http.StatusText(status)},
		ErrorCode:        clip(code),
		ErrorDescription: clip(auth.Claims(answer).String("error_description")),
	}
	if code == "" || status >= 500 || status == http.StatusTooManyRequests || code == "temporarily_unavailable" || code == "server_error" {
		return fmt.Errorf("%w: its token endpoint answered %d: %w", ErrUnavailable, status, err)
	}
	return err
}

// Refused reports whether err is the authorization server's verdict on the grant itself, such as invalid_grant: not a
// wrong client configuration, which says nothing about the caller.
func Refused(err error) bool {
	var e *oauth2.RetrieveError
	return errors.As(err, &e) && !errors.Is(err, ErrUnavailable) && e.ErrorCode == "invalid_grant"
}

// readTokens reads a successful token response (RFC 6749 §5.1).
func readTokens(answer auth.Claims, asked time.Time) (auth.Tokens, error) {
	t := auth.Tokens{
		AccessToken: answer.String("access_token"), TokenType: answer.String("token_type"), RefreshToken: answer.String("refresh_token"),
		IDToken: answer.String("id_token"), Scope: answer.String("scope"),
	}
	if t.AccessToken == "" {
		return t, fmt.Errorf("%w: its token response has no access_token", ErrUnavailable)
	}
	if t.TokenType != "" && !strings.EqualFold(t.TokenType, "Bearer") {
		return t, fmt.Errorf("%w: its token response has token_type %q, expected Bearer", ErrUnavailable, clip(t.TokenType))
	}
	lifetime, known, err := expiresIn(answer["expires_in"])
	if err != nil {
		return t, err
	}
	if known {
		t.Expiry = asked.Add(lifetime)
	}
	return t, nil
}

// expiresIn reads seconds; some servers quote them. 0 and less means expired, not endless.
func expiresIn(v any) (d time.Duration, known bool, err error) {
	if v == nil {
		return 0, false, nil
	}
	s, _ := auth.Scalar(v)
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || seconds != seconds {
		return 0, false, fmt.Errorf("%w: its token response has an expires_in that is no number", ErrUnavailable)
	}
	const year = 365 * 24 * 3600
	return time.Duration(max(0, min(seconds, year))) * time.Second, true, nil
}
