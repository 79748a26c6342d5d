package oidc

import (
	"context"
	"errors"
	"fmt"

	"sallyport/internal/auth"
)

// Issued verifies the tokens of a token response, and returns the identity that they prove: by the ID token, if there is one, and by the
// access token, if the issuer's keys verify it. The caller sets Identity.Flow, which is empty.
func (c *Client) Issued(ctx context.Context, t auth.Tokens, want IDTokenWant) (*auth.Identity, error) {
	i := &auth.Identity{Issuer: c.issuer.url, ClientID: c.ID, Tokens: t}
	switch {
	case t.IDToken == "" && want.Expected:
		return nil, fmt.Errorf("%w: the token response has no ID token although scopes has openid: "+
			"let client_id use openid at the issuer, "+
			"or take it out of scopes", ErrNotSetUp)
	case t.IDToken == "" && t.AccessToken == "":
		return nil, fmt.Errorf("%w: the token response has no token that can be used: its token_type is %q, expected Bearer",
			ErrNotSetUp, clip(t.TokenType))
	}
	if t.IDToken != "" {
		want.AccessToken = t.AccessToken
		claims, key, err := c.issuedIDToken(ctx, &i.Tokens.IDToken, want)
		if err != nil {
			return nil, fmt.Errorf("the ID token: %w", err)
		}
		i.IDToken, i.IDTokenJWK, i.Subject = claims, key, claims.String("sub")
	}
	return i, c.addAccessToken(ctx, i, want.Grant)
}

// Reissued verifies the refreshed tokens of a session, and returns the identity that they prove. The ID token and the access token must
// each be about the same subject as the one before. Without a new ID token the old one stays (OIDC Core §12.2).
func (c *Client) Reissued(ctx context.Context, before *auth.Identity, t auth.Tokens) (*auth.Identity, error) {
	i := &auth.Identity{
		Flow: before.Flow, Issuer: before.Issuer, ClientID: before.ClientID, Subject: before.Subject,
		IDToken: before.IDToken, IDTokenJWK: before.IDTokenJWK, Userinfo: before.Userinfo, UserinfoJWT: before.UserinfoJWT, Tokens: t,
	}
	if t.IDToken == "" {
		i.Tokens.IDToken = before.Tokens.IDToken
	} else {
		claims, key, err := c.issuedIDToken(ctx, &i.Tokens.IDToken, IDTokenWant{
			Grant: requestSession, AccessToken: t.AccessToken, Previous: before.IDToken,
		})
		if err != nil {
			return nil, fmt.Errorf("the refreshed ID token: %w", err)
		}
		i.IDToken, i.IDTokenJWK = claims, key
	}
	if t.Scope == "" {
		i.Tokens.Scope = before.Tokens.Scope // RFC 6749 §6: unchanged
	}
	if t.AuthorizationDetails == nil {
		i.Tokens.AuthorizationDetails = before.Tokens.AuthorizationDetails // likewise
	}
	if err := c.addAccessToken(ctx, i, requestSession); err != nil {
		return nil, err
	}
	if was, is := before.AccessToken.String("sub"), i.AccessToken.String("sub"); was != "" && is != "" && was != is {
		return nil, errors.New("sub: the refreshed access token names another subject than the one before")
	}
	return i, nil
}

// issuedIDToken verifies the ID token of a token response. It replaces an encrypted one by the signed JWT within, which upstreams and the
// issuer's logout can read.
func (c *Client) issuedIDToken(ctx context.Context, token *string, want IDTokenWant) (auth.Claims, string, error) {
	plain, err := c.decrypted(*token, "id_token_encrypted_response_alg", c.settings.IDTokenEncryptedResponseAlg)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrNotSetUp, err)
	}
	*token = plain
	return c.IDToken(ctx, plain, want)
}

// addAccessToken verifies the access token of an identity, and adds its claims. Its exp counts if it is before expires_in. If the sub
// differs from the ID token's, as some issuers do, the ID token's counts. Request is the name of the token request in ignore_signature.
func (c *Client) addAccessToken(ctx context.Context, i *auth.Identity, request string) error {
	if i.Tokens.AccessToken == "" {
		return nil
	}
	issued, err := c.issuer.IssuedAccessToken(ctx, i.Tokens.AccessToken, c.ignoresSignature(request))
	if err != nil || issued == nil {
		return err
	}
	if err := checkJKT(i.Tokens, issued.AccessToken); err != nil {
		return err
	}
	i.AccessToken, i.AccessTokenJWK = issued.AccessToken, issued.AccessTokenJWK
	if i.Subject == "" {
		i.Subject = issued.Subject
	}
	exp, known := issued.Tokens.Expiry, i.Tokens.Expiry
	if !exp.IsZero() && (known.IsZero() || exp.Before(known)) {
		i.Tokens.Expiry = exp
	}
	return nil
}

// Reverify verifies the tokens of a session again, with the issuer's current keys. The error wraps ErrUnavailable if the keys can't be
// fetched.
func (c *Client) Reverify(ctx context.Context, i *auth.Identity) error {
	switch {
	case i.AccessToken != nil:
		return c.issuer.reverifyAccessToken(ctx, i.Tokens.AccessToken)
	case i.Tokens.IDToken != "":
		return c.reverifyIDToken(ctx, i.Tokens.IDToken)
	}
	return nil
}

// reverifyIDToken verifies only the signature, because a session may outlive its ID token. An expired token causes no fetch of keys.
func (c *Client) reverifyIDToken(ctx context.Context, token string) error {
	t, err := parseJWT(token)
	if err != nil {
		return err
	}
	rules := c.responseRules(requestSession, c.idTokenAlgs)
	rules.origin = fromRequest
	rules.mayPass = func(claims auth.Claims) bool { _, _, err := c.issuer.checkTimes(claims); return err == nil }
	_, err = c.issuer.verifySignature(ctx, t, rules)
	return err
}
