package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sallyport/internal/auth"
)

// ErrNotAccessToken says that a JWT is something else than an access token.
var ErrNotAccessToken = errors.New("not_an_access_token")

// AccessToken verifies a presented access token that is a JWT: of RFC 9068, or the plain ones of authorization servers
// that don't follow it. What its signature proves is kept; its times are judged at every call, its audience by the
// caller. The error wraps ErrUnavailable if the issuer's keys can't be had.
func (i *Issuer) AccessToken(ctx context.Context, token string) (*auth.Identity, error) {
	k := sum(token)
	if v, ok := i.tokens.get(k); ok {
		return v.Identity, i.CheckValidity(v.Identity.Tokens.Expiry, v.NotBefore)
	}
	v, err := i.verifyAccessToken(ctx, token, false)
	if err != nil {
		return nil, err
	}
	i.tokens.put(k, v)
	return v.Identity, nil
}

func (i *Issuer) verifyAccessToken(ctx context.Context, token string, unsigned bool) (*VerifiedToken, error) {
	header, err := readHeader(token)
	if err != nil {
		return nil, err
	}
	if err := checkType(header.Typ); err != nil {
		return nil, err
	}
	claims, used, err := i.read(ctx, token, i.algs(), unsigned)
	if err != nil {
		return nil, err
	}
	if err := checkKind(header.Typ, claims); err != nil {
		return nil, err
	}
	m, err := i.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if err := i.checkIssuer(claims, m); err != nil {
		return nil, err
	}
	exp, nbf, err := i.checkTimes(claims)
	if err != nil {
		return nil, err
	}
	return &VerifiedToken{NotBefore: nbf, Identity: &auth.Identity{
		Flow: "bearer", Issuer: i.url, ClientID: claims.String("client_id"), Subject: claims.String("sub"),
		AccessToken: claims, AccessTokenJWK: used.text, Presented: true,
		Tokens: auth.Tokens{AccessToken: token, TokenType: "Bearer", Scope: claims.String("scope"), Expiry: exp},
	}}, nil
}

// checkType refuses what its header says is another kind of JWT (RFC 8725 §3.11): logout+jwt, dpop+jwt, secevent+jwt,
// token-introspection+jwt, oauth-authz-req+jwt and whatever comes next. Access tokens say at+jwt (RFC 9068 §2.1), or the
// unspecific JWT, or nothing.
func checkType(typ string) error {
	if slices.Contains([]string{"at+jwt", "jwt", ""}, typ) {
		return nil
	}
	return fmt.Errorf("%w: its typ is %q, expected at+jwt, JWT or none", ErrNotAccessToken, clip(typ))
}

// checkKind refuses tokens whose claims say that they are something else: a security event (RFC 8417), an ID token, or
// Keycloak's refresh and logout tokens.
func checkKind(typ string, c auth.Claims) error {
	if _, ok := c["events"]; ok {
		return fmt.Errorf("%w: it has events, as security event tokens have", ErrNotAccessToken)
	}
	if kind := c.String("typ"); slices.Contains([]string{"Refresh", "Offline", "Logout"}, kind) {
		return fmt.Errorf("%w: it says typ %s", ErrNotAccessToken, kind)
	}
	if typ == "at+jwt" {
		return nil
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash"} {
		if _, ok := c[name]; ok {
			return fmt.Errorf("%w: it has %s, as ID tokens have", ErrNotAccessToken, name)
		}
	}
	if c.String("typ") == "ID" {
		return fmt.Errorf("%w: it says typ ID", ErrNotAccessToken)
	}
	return nil
}

// IssuedAccessToken returns what an access token proves that the gate was issued itself, or nil if it is opaque or not
// signed for us to verify: the client isn't its audience, so that is no error (RFC 6749 §1.4). That the keys can't be had
// is one: nobody knows then what it proves.
func (i *Issuer) IssuedAccessToken(ctx context.Context, token string, unsigned bool) (*auth.Identity, error) {
	v, err := i.verifyAccessToken(ctx, token, unsigned)
	switch {
	case errors.Is(err, ErrUnavailable):
		return nil, err
	case err != nil:
		return nil, nil
	}
	return v.Identity, nil
}
