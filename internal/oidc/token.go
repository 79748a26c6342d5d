package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"sallyport/internal/auth"
)

// ErrRefused is wrapped by errors that are the authorization server's verdict on what a caller brought: a wrong password, a
// spent refresh token, a wrong client secret of the caller's own. A wrong client of ours is no verdict on anybody.
var ErrRefused = errors.New("grant_refused")

// A TokenResponse is a successful token response (RFC 6749 §5.1). It is immutable: it may be kept and serve many requests.
type TokenResponse struct {
	Tokens          auth.Tokens `json:"tokens"`
	IssuedTokenType string      `json:"issued_token_type,omitempty"` // RFC 8693 §2.2.1
	Answer          auth.Claims `json:"answer,omitempty"`            // the whole object, with members that no standard names
	Header          http.Header `json:"header,omitempty"`            // those that token_headers_replay names

	Identity *auth.Identity `json:"identity,omitempty"` // what the tokens prove, where a caller's credential was exchanged for them
}

func (t *TokenResponse) size() int {
	return 2*(len(t.Tokens.AccessToken)+len(t.Tokens.IDToken)+len(t.Tokens.RefreshToken)) + 1024
}

// expires is when the access token does; zero if nobody said.
func (t *TokenResponse) expires() time.Time {
	if t.Identity != nil {
		return t.Identity.Tokens.Expiry
	}
	return t.Tokens.Expiry
}

// token is the one token request. Its error wraps ErrUnavailable if the server can't be asked or is in trouble itself, or
// is an *oauth2.RetrieveError with the server's error code (RFC 6749 §5.2); it wraps ErrRefused if the code is a verdict.
func (c *Client) token(ctx context.Context, form url.Values, extra Extra, as *Credentials, verdicts ...string) (*TokenResponse, error) {
	header := http.Header{}
	for name, values := range extra.Header {
		header[name] = values
	}
	s := &c.settings.TokenRequestSettings
	if !extra.OwnHeader {
		named(s.TokenHeadersNames, s.TokenHeadersValues, header.Set)
	}
	if !extra.OwnArgs {
		named(s.TokenPostArgsNames, s.TokenPostArgsValues, form.Add)
	}
	for name, values := range extra.Args {
		form[name] = values
	}
	asked := c.issuer.now()
	a, err := c.post(ctx, tokenEndpoint, form, header, as)
	if err != nil {
		return nil, err
	}
	object, err := a.object()
	if a.status != http.StatusOK || object["error"] != nil { // some servers send their refusals with 200
		return nil, refusal(a.status, object, verdicts)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: its token response: %w", ErrUnavailable, err)
	}
	tokens, odd, err := readTokens(object, asked)
	if err != nil {
		return nil, err
	}
	c.issuer.tell("token response", odd)
	t := &TokenResponse{Tokens: tokens, IssuedTokenType: auth.Claims(object).String("issued_token_type"), Answer: object}
	for _, name := range s.TokenHeadersReplay {
		name = strings.ReplaceAll(name, "_", "-")
		if values := a.header.Values(name); len(values) > 0 {
			if t.Header == nil {
				t.Header = http.Header{}
			}
			t.Header[textproto.CanonicalMIMEHeaderKey(name)] = values
		}
	}
	return t, nil
}

// refusal turns an error response into an error. 5xx and 429 say nothing about the grant.
func refusal(status int, answer map[string]any, verdicts []string) error {
	code := auth.Claims(answer).String("error")
	err := &oauth2.RetrieveError{
		Response:         &http.Response{StatusCode: status, Status: http.StatusText(status)},
		ErrorCode:        clip(code),
		ErrorDescription: clip(auth.Claims(answer).String("error_description")),
	}
	switch {
	case code == "" || status >= 500 || status == http.StatusTooManyRequests || code == "temporarily_unavailable" || code == "server_error":
		return fmt.Errorf("%w: its token endpoint answered %d: %w", ErrUnavailable, status, err)
	case slices.Contains(verdicts, code):
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

// readTokens reads a successful token response (RFC 6749 §5.1). Members that are optional and not of their type count as absent.
func readTokens(answer auth.Claims, asked time.Time) (t auth.Tokens, odd []skipped, err error) {
	t = auth.Tokens{
		AccessToken: answer.String("access_token"), TokenType: answer.String("token_type"), RefreshToken: answer.String("refresh_token"),
		IDToken: answer.String("id_token"), Scope: answer.String("scope"),
	}
	if t.AccessToken == "" {
		return t, nil, fmt.Errorf("%w: its token response has no access_token that is a string", ErrUnavailable)
	}
	if t.TokenType != "" && !strings.EqualFold(t.TokenType, "Bearer") {
		return t, nil, fmt.Errorf("%w: its token response has token_type %q, expected Bearer", ErrUnavailable, clip(t.TokenType))
	}
	for _, name := range []string{"token_type", "refresh_token", "id_token", "scope", "issued_token_type"} {
		if v := answer[name]; v != nil && !isString(v) {
			odd = append(odd, skipped{name, errors.New("expected a string")})
		}
	}
	lifetime, known, err := expiresIn(answer["expires_in"])
	if err != nil {
		odd = append(odd, skipped{"expires_in", err})
	}
	if known {
		t.Expiry = asked.Add(lifetime)
	}
	return t, odd, nil
}

func isString(v any) bool { _, ok := v.(string); return ok }

// expiresIn reads seconds; some servers quote them. 0 and less means expired, not endless.
func expiresIn(v any) (d time.Duration, known bool, err error) {
	if v == nil {
		return 0, false, nil
	}
	s, _ := auth.Scalar(v)
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || seconds != seconds {
		return 0, false, errors.New("expected a number of seconds")
	}
	const year = 365 * 24 * 3600
	return time.Duration(max(0, min(seconds, year))) * time.Second, true, nil
}
