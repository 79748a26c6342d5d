package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/auth"
)

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

// token is the one token request, for what refusals has a row for. Its error wraps ErrRefused if the server has judged what the request
// brought, ErrNotSetUp if only the operator can mend it, else ErrUnavailable. The server's code is in an *oauth2.RetrieveError (RFC 6749
// §5.2).
func (c *Client) token(ctx context.Context, grant string, form url.Values, extra Extra, as *Credentials) (*TokenResponse, error) {
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
		m, err := c.issuer.Metadata(ctx)
		if err != nil {
			return nil, err
		}
		return nil, c.refusal(grant, m, a.status, object, extra.Args)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: its token response: %w", ErrUnavailable, err)
	}
	tokens, odd, err := readTokens(object, asked, grant)
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

// readTokens reads a successful token response (RFC 6749 §5.1). Members that are optional and not of their type count as absent. An
// access token that isn't used as a bearer token is taken out: nothing here knows how to send it (RFC 6749 §7.1). The answer to a token
// exchange may be no access token at all, which N_A says (RFC 8693 §2.2.1).
func readTokens(answer auth.Claims, asked time.Time, grant string) (t auth.Tokens, odd []skipped, err error) {
	t = auth.Tokens{
		AccessToken: answer.String("access_token"), TokenType: answer.String("token_type"), RefreshToken: answer.String("refresh_token"),
		IDToken: answer.String("id_token"), Scope: answer.String("scope"),
	}
	if t.AccessToken == "" {
		return t, nil, fmt.Errorf("%w: its token response has no access_token that is a string", ErrUnavailable)
	}
	bearer := t.TokenType == "" || strings.EqualFold(t.TokenType, "Bearer") || grant == "token_exchange" && strings.EqualFold(t.TokenType, "N_A")
	if !bearer {
		odd = append(odd, skipped{"access_token", fmt.Errorf("token_type is %q, expected Bearer: it is sent nowhere", clip(t.TokenType))})
		t.AccessToken = ""
		delete(answer, "access_token")
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
