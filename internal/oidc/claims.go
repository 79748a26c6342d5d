package oidc

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"sallyport/internal/auth"
)

// Reasons why a token is refused. Their texts are the reasons in the log.
var (
	ErrExpired     = errors.New("token_expired")
	ErrNotYetValid = errors.New("token_not_yet_valid")
)

// clockSkew is how far in the future iat and nbf may be, besides leeway, because clocks differ.
const clockSkew = time.Minute

// ClockTolerance returns how much the clocks of the issuer and of the gate may differ.
func (i *Issuer) ClockTolerance() time.Duration { return i.settings.Leeway + clockSkew }

// checkTimes checks exp, nbf and iat against the current time (RFC 7519 §4.1). It requires exp.
func (i *Issuer) checkTimes(c auth.Claims) (exp, nbf time.Time, err error) {
	exp, okExp := c.Time("exp")
	nbf, okNbf := c.Time("nbf")
	iat, okIat := c.Time("iat")
	switch {
	case !i.settings.VerifyClaims:
		return exp, nbf, nil
	case !okExp || !okNbf || !okIat:
		return exp, nbf, errors.New("exp, nbf or iat isn't a NumericDate (RFC 7519 §2)")
	case exp.IsZero():
		return exp, nbf, errors.New("exp is missing")
	case i.now().Add(i.ClockTolerance()).Before(iat):
		return exp, nbf, fmt.Errorf("%w: iat is %s", ErrNotYetValid, iat.UTC().Format(time.RFC3339))
	}
	return exp, nbf, i.checkValidity(exp, nbf)
}

// checkValidity checks exp and nbf against the current time. A zero time passes.
func (i *Issuer) checkValidity(exp, nbf time.Time) error {
	if !i.settings.VerifyClaims {
		return nil
	}
	now, leeway := i.now(), i.settings.Leeway
	if !exp.IsZero() && !now.Before(exp.Add(leeway)) {
		return fmt.Errorf("%w: exp was %s", ErrExpired, exp.UTC().Format(time.RFC3339))
	}
	if now.Add(leeway + clockSkew).Before(nbf) {
		return fmt.Errorf("%w: nbf is %s", ErrNotYetValid, nbf.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkIssuer refuses claims without an iss that this issuer accepts.
func (i *Issuer) checkIssuer(c auth.Claims, m *Metadata) error {
	if !i.settings.VerifyClaims {
		return nil
	}
	if iss := c.String("iss"); iss == "" || !i.acceptsIssuer(iss, m) {
		return fmt.Errorf("iss: expected %q, got %q", m.IssuerURL, clip(iss))
	}
	return i.checkTenant(c, m)
}

// audiences returns the values of aud: a string, or a list of strings (RFC 7519 §4.1.3).
func audiences(claims auth.Claims) ([]string, error) {
	switch aud := claims["aud"].(type) {
	case string:
		return []string{aud}, nil
	case []any:
		var all []string
		for _, a := range aud {
			s, ok := a.(string)
			if !ok {
				return nil, errors.New("aud has an element that isn't a string")
			}
			all = append(all, s)
		}
		return all, nil
	}
	return nil, errors.New("aud is missing, or neither a string nor a list")
}

// checkAudience refuses claims whose aud doesn't have the gate's client.
func (c *Client) checkAudience(claims auth.Claims) error {
	if audience, err := audiences(claims); err != nil || !slices.Contains(audience, c.ID) {
		return fmt.Errorf("aud: expected %q among %q", c.ID, audience)
	}
	return nil
}

// clip shortens a text from outside for a log line.
func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}
