package oidc

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sallyport/internal/auth"
)

// A TokenResponse is a successful token response (RFC 6749 §5.1). It is immutable: it may be cached and serve many requests.
type TokenResponse struct {
	Tokens          auth.Tokens `json:"tokens"`
	IssuedTokenType string      `json:"issued_token_type,omitempty"` // RFC 8693 §2.2.1
	Answer          auth.Claims `json:"answer,omitempty"`            // all members, also those of no standard
	Header          http.Header `json:"header,omitempty"`            // the headers that token_headers_replay names
	Received        time.Time   `json:"received,omitzero"`           // zero if it isn't the response of a token endpoint

	// Identity is what the verified tokens say, if they were issued for a caller's credential.
	Identity *auth.Identity `json:"identity,omitempty"`
}

// size returns the rough size in memory, in bytes.
func (t *TokenResponse) size() int {
	return 2*(len(t.Tokens.AccessToken)+len(t.Tokens.IDToken)+len(t.Tokens.RefreshToken)) + 1024
}

// expires returns the expiry of the access token; zero if it is unknown.
func (t *TokenResponse) expires() time.Time {
	if t.Identity != nil {
		return t.Identity.Tokens.Expiry
	}
	return t.Tokens.Expiry
}

// readTokens reads the members of a successful token response (RFC 6749 §5.1) to a request that was sent at a time. An optional member of
// another type counts as absent. An access token whose token_type isn't one of types is removed, because the gate can't send it (RFC 6749
// §7.1).
func readTokens(body auth.Claims, sent time.Time, types ...string) (t auth.Tokens, ignored []ignoredMember, err error) {
	t = auth.Tokens{
		AccessToken: body.String("access_token"), TokenType: body.String("token_type"), RefreshToken: body.String("refresh_token"),
		IDToken: body.String("id_token"), Scope: body.String("scope"),
	}
	if t.AccessToken == "" {
		return t, nil, fmt.Errorf("%w: its token response has no access_token that is a string", ErrUnavailable)
	}
	if !slices.ContainsFunc(types, func(known string) bool { return strings.EqualFold(known, t.TokenType) }) {
		ignored = append(ignored,
			ignoredMember{"access_token", fmt.Errorf("token_type is %q, expected Bearer: it is not used", clip(t.TokenType))})
		t.AccessToken = ""
		delete(body, "access_token")
	}
	for _, name := range []string{"token_type", "refresh_token", "id_token", "scope", "issued_token_type"} {
		if v := body[name]; v != nil && !isString(v) {
			ignored = append(ignored, ignoredMember{name, errors.New("expected a string")})
		}
	}
	lifetime, known, err := expiresIn(body["expires_in"])
	if err != nil {
		ignored = append(ignored, ignoredMember{"expires_in", err})
	}
	if known {
		t.Expiry = sent.Add(lifetime)
	}
	return t, ignored, nil
}

func isString(v any) bool { _, ok := v.(string); return ok }

// expiresIn reads expires_in: a number of seconds, which some servers quote. A lifetime of 0 or less is over at once; one of more than a
// year counts as a year.
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
