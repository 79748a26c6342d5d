package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/auth"
)

// ErrNotAccessToken says that a JWT is something else than an access token.
var ErrNotAccessToken = errors.New("not_an_access_token")

// AccessToken verifies a presented access token that is a JWT: of RFC 9068, or the plain ones of authorization servers
// that don't follow it. What its signature proves is kept; its times are judged at every call, its audience by the
// caller. The error wraps ErrUnavailable if the issuer's keys can't be had.
func (i *Issuer) AccessToken(ctx context.Context, token string) (*auth.Identity, error) {
	return i.presented(ctx, token, nil)
}

// presented is AccessToken for a token whose audience the caller judges later: one that wouldn't pass then causes no fetch of
// the keys. A nil mayPass lets all pass.
func (i *Issuer) presented(ctx context.Context, token string, mayPass func(auth.Claims) bool) (*auth.Identity, error) {
	return i.kept(ctx, token, readPresented, mayPass)
}

// kept verifies an access token that read reads, or answers from what is kept of that.
func (i *Issuer) kept(ctx context.Context, token string, read func(string) (*jwt, error), mayPass func(auth.Claims) bool) (*auth.Identity, error) {
	k := sum(token)
	if v, ok := i.tokens.get(k); ok {
		return v.Identity, i.CheckValidity(v.Identity.Tokens.Expiry, v.NotBefore)
	}
	t, err := read(token)
	if err != nil {
		return nil, err
	}
	v, by, err := i.verifyAccessToken(ctx, t, proof{algs: i.algs(), unsigned: i.unsigned, mayPass: mayPass})
	if err != nil {
		return nil, err
	}
	i.remember(k, v, by)
	return v.Identity, nil
}

// verifyAccessToken judges what a token says before its signature, which costs more and may need a fetch of the keys.
func (i *Issuer) verifyAccessToken(ctx context.Context, t *jwt, p proof) (*VerifiedToken, *verdict, error) {
	if err := checkType(t.header.Typ); err != nil {
		return nil, nil, err
	}
	if err := checkKind(t.header.Typ, t.claims); err != nil {
		return nil, nil, err
	}
	m, err := i.Metadata(ctx)
	if err != nil {
		return nil, nil, err
	}
	claims := t.claims
	if err := errors.Join(i.checkIssuer(claims, m), i.checkSubject(claims)); err != nil {
		return nil, nil, err
	}
	exp, nbf, err := i.checkTimes(claims)
	if err != nil {
		return nil, nil, err
	}
	by, err := i.prove(ctx, t, p)
	if err != nil {
		return nil, nil, err
	}
	return &VerifiedToken{NotBefore: nbf, Identity: &auth.Identity{
		Issuer: i.url, ClientID: claims.String("client_id"), Subject: claims.String("sub"),
		AccessToken: claims, AccessTokenJWK: by.jwk, Presented: true,
		Tokens: auth.Tokens{AccessToken: t.text, TokenType: "Bearer", Scope: claims.String("scope"), Expiry: exp},
	}}, by, nil
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
	kind, use := c.String("typ"), c.String("token_use")
	if slices.ContainsFunc(otherKinds, func(other string) bool { return strings.EqualFold(kind, other) }) {
		return fmt.Errorf("%w: it says typ %s", ErrNotAccessToken, kind)
	}
	if use != "" && use != "access" && use != "access_token" {
		return fmt.Errorf("%w: it says token_use %s", ErrNotAccessToken, clip(use))
	}
	names := []string{"at_hash", "c_hash", "s_hash", "nonce"}
	if typ == "at+jwt" || kind == "Bearer" || kind == "DPoP" || use != "" {
		names = names[:3] // it names itself an access token: a nonce alone doesn't make it an ID token
	}
	for _, name := range names {
		if _, ok := c[name]; ok {
			return fmt.Errorf("%w: it has %s, as ID tokens have", ErrNotAccessToken, name)
		}
	}
	return nil
}

// CheckUnread refuses a JWT that says of itself that it is no access token, by its header or its unverified claims, or that asks for an
// extension: the server that is about to be asked may not tell one kind of token from another. An opaque token passes.
func CheckUnread(token string) error {
	header, err := readHeader(token)
	switch {
	case errors.Is(err, errCritical):
		return err
	case err != nil:
		return nil
	}
	if err := checkType(header.Typ); err != nil {
		return err
	}
	claims, err := readPayload(token)
	if err != nil {
		return nil
	}
	return checkKind(header.Typ, claims)
}

// otherKinds are what the payload's typ says of tokens that aren't access tokens.
var otherKinds = []string{"ID", "Serialized-ID", "Refresh", "Offline", "Logout", "InitialAccessToken", "RegistrationAccessToken"}

// checkSubject refuses a sub that names nobody. It may be absent: not every access token is about a subject.
func (i *Issuer) checkSubject(c auth.Claims) error {
	if sub, present := c["sub"]; present && c.String("sub") == "" && !i.lenient {
		return fmt.Errorf("sub: expected a string that isn't empty (RFC 7519 §4.1.2), got %v", sub)
	}
	return nil
}

// IssuedAccessToken returns what an access token proves that the gate was issued itself, or nil if it is opaque or not
// signed for us to verify: the client isn't its audience, so that is no error (RFC 6749 §1.4). That the keys can't be had
// is one: nobody knows then what it proves.
func (i *Issuer) IssuedAccessToken(ctx context.Context, token string, unsigned bool) (*auth.Identity, error) {
	var v *VerifiedToken
	t, err := readIssued(token)
	if err == nil {
		v, _, err = i.verifyAccessToken(ctx, t, proof{algs: i.algs(), unsigned: unsigned || i.unsigned, from: fromIssuer})
	}
	switch {
	case errors.Is(err, ErrUnavailable):
		return nil, err
	case err != nil:
		i.tellUnjudged(err)
		return nil, nil
	}
	return v.Identity, nil
}

// tellUnjudged logs, once for each kind of reason, why nothing is read in an access token of the gate's own.
func (i *Issuer) tellUnjudged(err error) {
	kind := "unjudged"
	for _, reason := range []error{errMalformed, ErrNotAccessToken, ErrExpired, ErrNotYetValid, errBadSignature} {
		if errors.Is(err, reason) {
			kind += " " + reason.Error()
		}
	}
	if i.isNew(kind) {
		i.log.Info("claims of access tokens aren't read, so those of ID tokens, userinfo or introspection count alone", "issuer", i.url, "error", err)
	}
}
