package oidc

import (
	"context"
	"errors"
	"fmt"

	"sallyport/internal/auth"
)

// ProveAccessToken verifies an access token that a request carries and that is a JWT: one of RFC 9068, or the plain JWT of an authorization
// server that doesn't follow it. Of several issuers, the token's own iss chooses one before any key is used, so that the keys of one
// issuer never verify a token of another.
//
// The verification is cached; the token's times are checked at every call, and its audience by the caller. MayPass reports whether the
// caller will accept the audience in the claims: a token that can't pass causes no fetch of keys. Nil accepts all.
//
// The identity is the caller's, who sets its Flow; what it points to is shared. The error wraps ErrUnavailable if the issuer's keys can't
// be fetched.
func ProveAccessToken(ctx context.Context, token string, issuers []*Issuer, mayPass func(auth.Claims) bool) (*auth.Identity, error) {
	sum := sumOf(token)
	for _, i := range issuers {
		if v, ok := i.keys.tokens.GetIfPresent(sum); ok {
			i.verified.Found(true)
			return v.identityOf(token), i.checkValidity(v.identity.Tokens.Expiry, v.notBefore)
		}
	}
	t, err := parseRequestJWT(token)
	if err != nil {
		return nil, err
	}
	issuer := issuers[0]
	if len(issuers) > 1 {
		if issuer, err = IssuerNamed(ctx, t.claims.String("iss"), issuers); err != nil {
			return nil, err
		}
	}
	return issuer.verifyAndCache(ctx, sum, t, mayPass)
}

// reverifyAccessToken verifies an access token that the gate was issued earlier, from the cache where it has the token.
func (i *Issuer) reverifyAccessToken(ctx context.Context, token string) error {
	sum := sumOf(token)
	if v, ok := i.keys.tokens.GetIfPresent(sum); ok {
		i.verified.Found(true)
		return i.checkValidity(v.identity.Tokens.Expiry, v.notBefore)
	}
	t, err := parseJWT(token)
	if err != nil {
		return err
	}
	_, err = i.verifyAndCache(ctx, sum, t, nil)
	return err
}

func (i *Issuer) verifyAndCache(ctx context.Context, sum tokenSum, t *jwt, mayPass func(auth.Claims) bool) (*auth.Identity, error) {
	i.verified.Found(false)
	v, by, err := i.verifyAccessToken(ctx, t, signatureRules{
		algorithms: i.algorithms(), insecure: !i.settings.VerifySignature, origin: fromRequest, mayPass: mayPass,
	})
	if err != nil {
		return nil, err
	}
	i.keys.remember(sum, v, by)
	return v.identity, nil
}

// verifyAccessToken checks the type and the claims of an access token first, because its signature costs more and may need a fetch of keys.
func (i *Issuer) verifyAccessToken(ctx context.Context, t *jwt, r signatureRules) (*verifiedToken, verifiedBy, error) {
	if err := first(checkHeaderType(t.header.Typ), checkTokenUse(t.header.Typ, t.claims), i.checkProfile(t)); err != nil {
		return nil, verifiedBy{}, err
	}
	m, err := i.Metadata(ctx)
	if err != nil {
		return nil, verifiedBy{}, err
	}
	claims := t.claims
	if err := errors.Join(i.checkIssuer(claims, m), i.checkSubject(claims)); err != nil {
		return nil, verifiedBy{}, err
	}
	exp, nbf, err := i.checkTimes(claims)
	if err != nil {
		return nil, verifiedBy{}, err
	}
	by, err := i.verifySignature(ctx, t, r)
	if err != nil {
		return nil, verifiedBy{}, err
	}
	return &verifiedToken{notBefore: nbf, identity: &auth.Identity{
		Issuer: i.url, ClientID: claims.String("client_id"), Subject: claims.String("sub"),
		AccessToken: claims, AccessTokenJWK: by.jwk, Presented: true,
		Tokens: auth.Tokens{AccessToken: t.text, TokenType: "Bearer", Scope: claims.String("scope"), Expiry: exp},
	}}, by, nil
}

// checkSubject refuses a sub that isn't a string, or is empty. A token without sub passes: not every access token is about a subject.
func (i *Issuer) checkSubject(c auth.Claims) error {
	if sub, present := c["sub"]; present && c.String("sub") == "" && i.settings.VerifyClaims {
		return fmt.Errorf("sub: expected a string that isn't empty (RFC 7519 §4.1.2), got %v", sub)
	}
	return nil
}

// IssuedAccessToken verifies an access token that was issued to the gate. It returns nil without an error for a token that is opaque or
// that the issuer's keys don't verify: such a token isn't made for its client to read (RFC 6749 §1.4). The error wraps ErrUnavailable if
// the keys can't be fetched. With insecure the signature isn't verified.
func (i *Issuer) IssuedAccessToken(ctx context.Context, token string, insecure bool) (*auth.Identity, error) {
	var v *verifiedToken
	t, err := parseJWT(token)
	if err == nil {
		v, _, err = i.verifyAccessToken(ctx, t, signatureRules{
			algorithms: i.algorithms(), insecure: insecure || !i.settings.VerifySignature, origin: fromIssuer,
		})
	}
	switch {
	case errors.Is(err, ErrUnavailable):
		return nil, err
	case err != nil:
		i.logUnread(err)
		return nil, nil
	}
	return v.identity, nil
}

// logUnread logs why the claims of an access token that was issued to the gate aren't read, once for each kind of reason.
func (i *Issuer) logUnread(err error) {
	reason := "access token unread"
	for _, known := range []error{errMalformed, ErrNotAccessToken, ErrExpired, ErrNotYetValid, errBadSignature} {
		if errors.Is(err, known) {
			reason += " " + known.Error()
		}
	}
	if i.logged.add(reason) {
		i.log.Info("claims of access tokens aren't read, so those of ID tokens, userinfo or introspection count alone",
			"issuer", i.url, "error", err)
	}
}
