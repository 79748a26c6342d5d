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

// An IDTokenWant has the values of our request with which an ID token must agree.
type IDTokenWant struct {
	// Grant names the request that the issuer answered with the token, as in ignore_signature. It is empty for a token that a client sent.
	Grant       string
	Expected    bool           // the scopes have openid, so the response must have an ID token
	Nonce       string         // of the authorization request; empty: not checked
	AccessToken string         // of the same response
	MaxAge      *time.Duration // max_age of the authorization request; nil without it
	Front       auth.Claims    // of the ID token of the authorization response; nil without one
	Previous    auth.Claims    // at a refresh: the claims of the ID token before (OIDC Core §12.2)
}

// IDToken verifies an ID token (OIDC Core §3.1.3.7): its signature with the configured algorithm, iss, sub, aud, azp, exp, iat, nonce,
// at_hash and auth_time. It returns the claims, and the key that verified the signature as JSON. The error wraps ErrUnavailable if the
// issuer's keys can't be fetched, and ErrNotSetUp if the settings contradict what the issuer sent.
func (c *Client) IDToken(ctx context.Context, token string, want IDTokenWant) (auth.Claims, string, error) {
	parse, rules := parseJWT, c.responseRules(want.Grant, c.idTokenAlgs)
	if want.Grant == "" {
		parse, rules.origin = parseRequestJWT, fromRequest
	}
	t, err := parse(token)
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
	if err := c.checkIDToken(t, m, rules, want); err != nil {
		return nil, "", err
	}
	by, err := c.issuer.verifySignature(ctx, t, rules)
	if err != nil {
		return nil, "", err
	}
	return t.claims, by.jwk, nil
}

// checkIDToken checks all of an ID token but its signature. What is wrong with a token that the issuer has just sent is wrong at every
// login, so that the error wraps ErrNotSetUp.
func (c *Client) checkIDToken(t *jwt, m *Metadata, rules signatureRules, want IDTokenWant) error {
	err := first(c.checkIDTokenAlg(t, m, rules), c.issuer.checkIssuer(t.claims, m), c.checkParties(t.claims))
	if err != nil && rules.origin == fromIssuer {
		err = fmt.Errorf("%w: %w", ErrNotSetUp, err)
	}
	times := c.checkFreshness(t.claims, want.MaxAge)
	if rules.origin == fromIssuer && (errors.Is(times, ErrExpired) || errors.Is(times, ErrNotYetValid)) {
		times = fmt.Errorf("%w: %w: compare the clocks of the gate and of the issuer, or write leeway", ErrNotSetUp, times)
	}
	return first(err, times, checkBinding(t.claims, want, t.header.Alg), checkFront(t.claims, want.Front),
		checkContinuity(t.claims, want.Previous))
}

// checkIDTokenAlg refuses an alg other than the configured ones. verifySignature refuses it, too; this error says which setting to change.
func (c *Client) checkIDTokenAlg(t *jwt, m *Metadata, rules signatureRules) error {
	if rules.insecure || hasAlgorithm(c.idTokenAlgs, t.header.Alg) {
		return nil
	}
	expected, announced := strings.Join(c.idTokenAlgs, " or "), ""
	if len(m.Algorithms) > 0 {
		announced = " (the issuer announces " + strings.Join(m.Algorithms, ", ") + ")"
	}
	if !hasAlgorithm(slices.Concat(asymmetric, symmetric), t.header.Alg) {
		return fmt.Errorf("its alg is %q, which is never accepted: let the issuer sign with %s%s",
			clip(t.header.Alg), expected, announced)
	}
	return fmt.Errorf("it is signed with %q, and id_token_signed_response_alg is %s: write what the issuer signs with%s",
		clip(t.header.Alg), expected, announced)
}

// responseRules returns the rules for a JWT that the issuer sent in response to a request; ignore_signature may have the request's name.
func (c *Client) responseRules(request string, algorithms []string) signatureRules {
	insecure := !c.issuer.settings.VerifySignature || c.ignoresSignature(request)
	return signatureRules{algorithms: algorithms, insecure: insecure, origin: fromIssuer}
}

// ignoresSignature reports whether ignore_signature names a request, so that signatures in the response are not verified.
func (c *Client) ignoresSignature(request string) bool {
	return request != "" && slices.Contains(c.settings.IgnoreSignature, request)
}

// checkParties checks sub, aud and azp (OIDC Core §2, §3.1.3.7 steps 3 to 5).
func (c *Client) checkParties(claims auth.Claims) error {
	if !c.issuer.settings.VerifyClaims {
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
			return fmt.Errorf("aud names %q besides client_id, and there is no azp: "+
				"add it to id_token_audiences_trusted, if it may have our ID tokens", other)
		}
	}
	return nil
}

// checkFreshness checks exp, nbf and iat, and auth_time if the request had max_age.
func (c *Client) checkFreshness(claims auth.Claims, maxAge *time.Duration) error {
	if !c.issuer.settings.VerifyClaims {
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
	if age := c.issuer.now().Sub(at); age > *maxAge+c.issuer.settings.Leeway+clockSkew {
		return fmt.Errorf("auth_time: the login is %s old, max_age is %s", age.Round(time.Second), *maxAge)
	}
	return nil
}

// checkBinding checks that the ID token belongs to our request, by its nonce, and to the access token of the same response, by its at_hash
// (OIDC Core §3.1.3.6, §3.1.3.7).
func checkBinding(claims auth.Claims, want IDTokenWant, alg string) error {
	if want.Nonce != "" && subtle.ConstantTimeCompare([]byte(claims.String("nonce")), []byte(want.Nonce)) != 1 {
		return errors.New("nonce: expected that of the authorization request")
	}
	hash, present := claims["at_hash"]
	if !present || want.AccessToken == "" {
		return nil
	}
	if hash != halfHash(alg, want.AccessToken) {
		return errors.New("at_hash: expected the hash of the access token")
	}
	return nil
}

// halfHash returns the left half of a hash of value in base64url (OIDC Core §3.1.3.6). The name of alg has the size of the hash; Ed25519
// uses SHA-512.
func halfHash(alg, value string) string {
	newHash := sha512.New
	switch {
	case strings.HasSuffix(alg, "256"):
		newHash = sha256.New
	case strings.HasSuffix(alg, "384"):
		newHash = sha512.New384
	}
	h := newHash()
	h.Write([]byte(value))
	sum := h.Sum(nil)
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// checkContinuity checks that a refreshed ID token is about the same subject and login as the one before (OIDC Core §12.2).
func checkContinuity(claims, previous auth.Claims) error {
	if previous == nil {
		return nil
	}
	for _, name := range []string{"iss", "sub"} {
		if claims[name] != previous[name] {
			return fmt.Errorf("%s: the refreshed ID token has another value than the one before", name)
		}
	}
	for _, name := range []string{"nonce", "auth_time"} {
		if now, ok := claims[name]; ok && previous[name] != nil && now != previous[name] {
			return fmt.Errorf("%s: the refreshed ID token has another value than the one before", name)
		}
	}
	return nil
}
