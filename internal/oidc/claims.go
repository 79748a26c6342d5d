package oidc

import (
	"errors"
	"fmt"
	"time"

	"sallyport/internal/auth"
)

// Reasons why a token is refused. They are what errors.Is finds and what the log names.
var (
	ErrExpired     = errors.New("token_expired")
	ErrNotYetValid = errors.New("token_not_yet_valid")
)

// clockSkew is how far in the future an iat or nbf may be besides the leeway: clocks differ, and no standard asks for less.
const clockSkew = time.Minute

// checkTimes judges exp, nbf and iat (RFC 7519 §4.1) at this moment. exp is required.
func (i *Issuer) checkTimes(c auth.Claims) (exp, nbf time.Time, err error) {
	exp, okExp := c.Time("exp")
	nbf, okNbf := c.Time("nbf")
	iat, okIat := c.Time("iat")
	switch {
	case i.lenient:
		return exp, nbf, nil
	case !okExp || !okNbf || !okIat:
		return exp, nbf, errors.New("exp, nbf or iat is no NumericDate (RFC 7519 §2)")
	case exp.IsZero():
		return exp, nbf, errors.New("exp is missing")
	case i.now().Add(i.leeway + clockSkew).Before(iat):
		return exp, nbf, fmt.Errorf("%w: iat is %s", ErrNotYetValid, iat.UTC().Format(time.RFC3339))
	}
	return exp, nbf, i.CheckValidity(exp, nbf)
}

// CheckValidity judges a token's expiry and nbf at this moment; a zero time is no bound.
func (i *Issuer) CheckValidity(exp, nbf time.Time) error {
	if i.lenient {
		return nil
	}
	now := i.now()
	if !exp.IsZero() && !now.Before(exp.Add(i.leeway)) {
		return fmt.Errorf("%w: exp was %s", ErrExpired, exp.UTC().Format(time.RFC3339))
	}
	if now.Add(i.leeway + clockSkew).Before(nbf) {
		return fmt.Errorf("%w: nbf is %s", ErrNotYetValid, nbf.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkIssuer judges iss, by its exact name.
func (i *Issuer) checkIssuer(c auth.Claims, m *Metadata) error {
	if iss := c.String("iss"); !i.lenient && (iss == "" || !i.acceptsIssuer(iss, m)) {
		return fmt.Errorf("iss: expected %q, got %q", m.Issuer, clip(iss))
	}
	return nil
}

// clip bounds what a stranger can put into a log line.
func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}
