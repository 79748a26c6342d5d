package oidc

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
)

// IDTokenWant is what an ID token must say to be the answer to our request.
type IDTokenWant struct {
	Grant       string         // by which it was got, where ignore_signature may name it; empty: it was presented
	Expected    bool           // openid was asked for, so there must be one
	Nonce       string         // of the authorization request; empty at a refresh: there may be none
	AccessToken string         // issued together with it
	MaxAge      *time.Duration // requested; nil if it wasn't
	Previous    auth.Claims    // at a refresh: the claims of the ID token before (OIDC Core §12.2)
}

// IDToken verifies an ID token in full (OIDC Core §3.1.3.7): signature with the pinned algorithm, iss, sub, aud, azp,
// exp, iat, nonce, at_hash, auth_time. It returns the key that verified it, too, as JSON. The error wraps ErrUnavailable if
// the issuer's keys can't be had.
func (c *Client) IDToken(ctx context.Context, token string, want IDTokenWant) (auth.Claims, string, error) {
	p := c.issued(want.Grant, []string{c.idTokenAlg})
	read := readIssued
	if want.Grant == "" {
		p.from, read = fromCaller, readPresented
	}
	t, err := read(token)
	if err != nil {
		return nil, "", err
	}
	if t.header.Typ != "" && t.header.Typ != "jwt" {
		return nil, "", fmt.Errorf("its typ is %q, expected JWT or none", clip(t.header.Typ))
	}
	m, err := c.issuer.Metadata(ctx)
	if err != nil {
		return nil, "", err
	}
	err = first(c.checkAlg(t, p, m), c.issuer.checkIssuer(t.claims, m), c.checkParties(t.claims))
	if err != nil && p.from == fromIssuer { // it would be so at every login
		err = fmt.Errorf("%w: %w", ErrNotSetUp, err)
	}
	fresh := c.checkFreshness(t.claims, want.MaxAge)
	if p.from == fromIssuer && (errors.Is(fresh, ErrExpired) || errors.Is(fresh, ErrNotYetValid)) { // it has only just been issued
		fresh = fmt.Errorf("%w: %w: compare the clocks of the gate and of the issuer, or write leeway", ErrNotSetUp, fresh)
	}
	err = first(err, fresh, checkBinding(t.claims, want, t.header.Alg), checkContinuity(t.claims, want.Previous))
	if err != nil {
		return nil, "", err
	}
	by, err := c.issuer.prove(ctx, t, p)
	if err != nil {
		return nil, "", err
	}
	return t.claims, by.jwk, nil
}

// first returns the first of the errors that is one.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// checkAlg judges the algorithm that an ID token names: it is pinned. prove does so again, by what has verified the signature.
func (c *Client) checkAlg(t *jwt, p proof, m *Metadata) error {
	if p.unsigned || sameAlgorithm(t.header.Alg, c.idTokenAlg) {
		return nil
	}
	announced := ""
	if len(m.IDTokenAlgs) > 0 {
		announced = " (the issuer announces " + strings.Join(m.IDTokenAlgs, ", ") + ")"
	}
	if !slices.ContainsFunc(slices.Concat(asymmetric, symmetric), func(alg string) bool { return sameAlgorithm(alg, t.header.Alg) }) {
		return fmt.Errorf("its alg is %q, which is never taken: let the issuer sign with %s%s", clip(t.header.Alg), c.idTokenAlg, announced)
	}
	return fmt.Errorf("it is signed with %q, and id_token_signed_response_alg is %s: write what the issuer signs with%s",
		clip(t.header.Alg), c.idTokenAlg, announced)
}

// issued says how a JWT is proved that the issuer answered to a grant or call of this name.
func (c *Client) issued(grant string, algs []string) proof {
	return proof{algs: algs, unsigned: c.issuer.unsigned || c.ignoresSignature(grant), from: fromIssuer}
}

// ignoresSignature reports whether the signatures of what a grant brings aren't verified: insecure, and only where
// ignore_signature says so.
func (c *Client) ignoresSignature(grant string) bool {
	return grant != "" && slices.Contains(c.settings.IgnoreSignature, grant)
}

// checkParties judges sub, aud and azp (OIDC Core §2, §3.1.3.7 steps 3 to 5).
func (c *Client) checkParties(claims auth.Claims) error {
	if c.issuer.lenient {
		return nil
	}
	if sub := claims.String("sub"); sub == "" || len(sub) > 255 {
		return errors.New("sub is missing or longer than 255 characters")
	}
	audience, err := audiences(claims)
	if err != nil {
		return err
	}
	if !slices.Contains(audience, c.ID) {
		return fmt.Errorf("aud: expected %q among %q", c.ID, audience)
	}
	if azp, present := claims["azp"]; present {
		if azp != c.ID {
			return fmt.Errorf("azp: expected %q, got %v", c.ID, azp)
		}
		return nil
	}
	for _, other := range audience {
		if !slices.Contains(c.settings.ClientID, other) && !slices.Contains(c.settings.IDTokenAudiencesTrusted, other) {
			return fmt.Errorf("aud names %q besides client_id, and there is no azp: add it to id_token_audiences_trusted, if it may have our ID tokens", other)
		}
	}
	return nil
}

// audiences reads aud: a string or a list of strings (RFC 7519 §4.1.3).
func audiences(claims auth.Claims) ([]string, error) {
	switch aud := claims["aud"].(type) {
	case string:
		return []string{aud}, nil
	case []any:
		var all []string
		for _, a := range aud {
			s, ok := a.(string)
			if !ok {
				return nil, errors.New("aud holds something else than strings")
			}
			all = append(all, s)
		}
		return all, nil
	}
	return nil, errors.New("aud is missing or no string")
}

func (c *Client) checkFreshness(claims auth.Claims, maxAge *time.Duration) error {
	if c.issuer.lenient {
		return nil
	}
	if _, _, err := c.issuer.checkTimes(claims); err != nil {
		return err
	}
	if iat, _ := claims.Time("iat"); iat.IsZero() {
		return errors.New("iat is missing")
	}
	if maxAge == nil {
		return nil
	}
	at, ok := claims.Time("auth_time")
	if !ok || at.IsZero() {
		return errors.New("auth_time is missing although max_age was asked for")
	}
	if age := c.issuer.now().Sub(at); age > *maxAge+c.issuer.leeway+clockSkew {
		return fmt.Errorf("auth_time: the login is %s old, max_age is %s", age.Round(time.Second), *maxAge)
	}
	return nil
}

// checkBinding ties the ID token to our request and to the access token beside it (OIDC Core §3.1.3.6, §3.1.3.7).
func checkBinding(claims auth.Claims, want IDTokenWant, alg string) error {
	if want.Nonce != "" && subtle.ConstantTimeCompare([]byte(claims.String("nonce")), []byte(want.Nonce)) != 1 {
		return errors.New("nonce isn't the one that was sent")
	}
	hash, present := claims["at_hash"]
	if !present || want.AccessToken == "" {
		return nil
	}
	if hash != halfHash(alg, want.AccessToken) {
		return errors.New("at_hash isn't the access token's")
	}
	return nil
}

// halfHash is the left half of a hash whose size the algorithm names, base64url (OIDC Core §3.1.3.6). EdDSA with Ed25519
// has SHA-512 inside.
func halfHash(alg, value string) string {
	var sum []byte
	switch {
	case strings.HasSuffix(alg, "256"):
		s := sha256.Sum256([]byte(value))
		sum = s[:]
	case strings.HasSuffix(alg, "384"):
		s := sha512.Sum384([]byte(value))
		sum = s[:]
	default:
		s := sha512.Sum512([]byte(value))
		sum = s[:]
	}
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// checkContinuity obeys OIDC Core §12.2: a refreshed ID token is about the same person and login.
func checkContinuity(claims, previous auth.Claims) error {
	if previous == nil {
		return nil
	}
	for _, name := range []string{"iss", "sub"} {
		if claims[name] != previous[name] {
			return fmt.Errorf("%s: the refreshed ID token names another than the one before", name)
		}
	}
	for _, name := range []string{"nonce", "auth_time"} {
		if now, ok := claims[name]; ok && previous[name] != nil && now != previous[name] {
			return fmt.Errorf("%s: the refreshed ID token names another than the one before", name)
		}
	}
	return nil
}
