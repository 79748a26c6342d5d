package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
)

// A LogoutToken is what a verified logout token says (OIDC Back-Channel Logout §2.4). SID or Subject is set, or both.
type LogoutToken struct {
	Issuer    *Issuer
	ClientIDs []string // the clients of the gate that aud names
	ID        string   // jti
	SID       string   // the session at the OpenID Provider
	Subject   string
	Issued    time.Time // iat
	Until     time.Time // from then on the token isn't accepted
}

const (
	// logoutEvent is the member of events that makes a JWT a logout token.
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

	// maxLogoutTokenAge is how long a logout token without exp is accepted.
	maxLogoutTokenAge = 2 * time.Minute
)

// VerifyLogoutToken verifies a logout token that a request carries (OIDC Back-Channel Logout §2.6). Of several issuers, the token's iss
// chooses one before any key is used. The token must be for at least one of the clients. Anyone can send such a request: cheap checks come
// first, and the signatures in flight are bounded by the caller's address, together with the calls to the issuer that the address causes.
//
// The settings that switch off checks of other tokens don't apply, because a forged logout token would end the logins of other users. The
// error wraps ErrUnavailable if the issuer's keys can't be fetched.
func VerifyLogoutToken(ctx context.Context, token string, clients []*Client, caller netip.Addr) (*LogoutToken, error) {
	t, err := parseRequestJWT(token)
	if err != nil {
		return nil, err
	}
	if err := first(checkLogoutType(t.header.Typ), checkLogoutClaims(t.claims)); err != nil {
		return nil, err
	}
	var issuers []*Issuer
	for _, c := range clients {
		issuers = append(issuers, c.issuer)
	}
	i, err := IssuerNamed(ctx, t.claims.String("iss"), issuers)
	if err != nil {
		return nil, err
	}
	named, err := clientsOfAudience(t.claims, i, clients)
	if err != nil {
		return nil, err
	}
	iat, until, err := i.checkLogoutTimes(t.claims)
	if err != nil {
		return nil, err
	}
	if err := named[0].verifyLogoutSignature(ctx, t, caller); err != nil {
		return nil, err
	}
	out := &LogoutToken{
		Issuer: i, ID: t.claims.String("jti"), SID: t.claims.String("sid"), Subject: t.claims.String("sub"), Issued: iat, Until: until,
	}
	for _, c := range named {
		out.ClientIDs = append(out.ClientIDs, c.ID)
	}
	return out, nil
}

// checkLogoutType refuses a typ of another token. Issuers that precede the final standard write JWT or nothing (§2.4, §4).
func checkLogoutType(typ string) error {
	if slices.Contains([]string{"logout+jwt", "jwt", ""}, typ) {
		return nil
	}
	return fmt.Errorf("its typ is %q, expected logout+jwt, JWT or none", clip(typ))
}

// checkLogoutClaims checks jti, events, nonce, sub and sid (§2.4).
func checkLogoutClaims(claims auth.Claims) error {
	events, _ := claims["events"].(map[string]any)
	if _, ok := events[logoutEvent].(map[string]any); !ok {
		return fmt.Errorf("events: expected an object with the member %s, whose value is an object", logoutEvent)
	}
	if _, present := claims["nonce"]; present {
		return errors.New("nonce: a logout token must not have it")
	}
	if claims.String("jti") == "" {
		return errors.New("jti is missing or not a string")
	}
	for _, name := range []string{"sid", "sub"} {
		if v, present := claims[name]; present && (claims.String(name) == "" || len(claims.String(name)) > maxSubject) {
			return fmt.Errorf("%s: expected a string of 1 to %d characters, got %s", name, maxSubject, clip(fmt.Sprint(v)))
		}
	}
	if claims.String("sid") == "" && claims.String("sub") == "" {
		return errors.New("sid and sub are missing: one of them is required")
	}
	return nil
}

// maxSubject is the length of the longest sub (OIDC Core §2), and of the longest sid.
const maxSubject = 255

// clientsOfAudience returns the clients of the issuer that aud names. As in an ID token, every other audience must be trusted (§2.6 step
// 3, OIDC Core §3.1.3.7 step 3).
func clientsOfAudience(claims auth.Claims, i *Issuer, clients []*Client) (named []*Client, err error) {
	audience, err := audiences(claims)
	if err != nil {
		return nil, err
	}
	for _, c := range clients {
		if c.issuer == i && slices.Contains(audience, c.ID) {
			named = append(named, c)
		}
	}
	if len(named) == 0 {
		return nil, fmt.Errorf("aud: it names no client_id of this route: %s", clip(strings.Join(audience, " ")))
	}
	for _, other := range audience {
		s := &named[0].settings
		if !slices.Contains(s.ClientID, other) && !slices.Contains(s.IDTokenAudiencesTrusted, other) {
			return nil, fmt.Errorf("aud names %q besides client_id: add it to id_token_audiences_trusted, if it may have our ID tokens",
				clip(other))
		}
	}
	return named, nil
}

// checkLogoutTimes checks iat, exp and nbf. It returns iat and the time from which on the token isn't accepted.
func (i *Issuer) checkLogoutTimes(claims auth.Claims) (iat, until time.Time, err error) {
	iat, okIat := claims.Time("iat")
	exp, okExp := claims.Time("exp")
	nbf, okNbf := claims.Time("nbf")
	now, tolerance := i.now(), i.settings.Leeway+clockSkew
	until = exp.Add(i.settings.Leeway)
	if exp.IsZero() {
		until = iat.Add(maxLogoutTokenAge + tolerance)
	}
	switch {
	case !okIat || !okExp || !okNbf:
		return iat, until, errors.New("iat, exp or nbf isn't a NumericDate (RFC 7519 §2)")
	case iat.IsZero():
		return iat, until, errors.New("iat is missing")
	case now.Add(tolerance).Before(iat), now.Add(tolerance).Before(nbf):
		return iat, until, fmt.Errorf("%w: iat is %s", ErrNotYetValid, iat.UTC().Format(time.RFC3339))
	case !now.Before(until):
		return iat, until, fmt.Errorf("%w: it was accepted until %s", ErrExpired, until.UTC().Format(time.RFC3339))
	}
	return iat, until, nil
}

// verifyLogoutSignature verifies the signature in the way of ID tokens (§2.6 step 2), as one of the caller's calls in flight.
func (c *Client) verifyLogoutSignature(ctx context.Context, t *jwt, caller netip.Addr) error {
	leave, err := c.issuer.Admit(ctx, caller)
	if err != nil {
		return err
	}
	_, err = c.issuer.verifySignature(ctx, t, signatureRules{algorithms: c.idTokenAlgs, origin: fromLogout})
	leave(isRefusal(err))
	return err
}
