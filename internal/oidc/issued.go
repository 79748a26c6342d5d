package oidc

import (
	"context"
	"errors"
	"fmt"

	"sallyport/internal/auth"
)

// Issued returns what tokens prove that the gate was issued itself: the ID token, if there is one, in full, and the access
// token, if it is signed for us to verify. The caller sets Identity.Flow.
func (c *Client) Issued(ctx context.Context, t auth.Tokens, want IDTokenWant) (*auth.Identity, error) {
	i := &auth.Identity{Issuer: c.issuer.url, ClientID: c.ID, Tokens: t}
	switch {
	case t.IDToken == "" && want.Expected:
		return nil, fmt.Errorf("%w: the token response has no ID token although scopes has openid: let client_id use openid at the issuer, "+
			"or take it out of scopes", ErrNotSetUp)
	case t.IDToken == "" && t.AccessToken == "":
		return nil, fmt.Errorf("%w: the token response has no token that can be used: its token_type is %q, expected Bearer", ErrNotSetUp, clip(t.TokenType))
	}
	if t.IDToken != "" {
		want.AccessToken = t.AccessToken
		claims, key, err := c.IDToken(ctx, t.IDToken, want)
		if err != nil {
			return nil, fmt.Errorf("the ID token: %w", err)
		}
		i.IDToken, i.IDTokenJWK, i.Subject = claims, key, claims.String("sub")
	}
	return i, c.proveAccessToken(ctx, i, want.Grant)
}

// Reissued returns what refreshed tokens prove: the ID token and the access token are each about the subject of the one before.
// The ID token before stays where the answer has none (OIDC Core §12.2).
func (c *Client) Reissued(ctx context.Context, before *auth.Identity, t auth.Tokens) (*auth.Identity, error) {
	i := &auth.Identity{
		Flow: before.Flow, Issuer: before.Issuer, ClientID: before.ClientID, Subject: before.Subject,
		IDToken: before.IDToken, IDTokenJWK: before.IDTokenJWK, Userinfo: before.Userinfo, UserinfoJWT: before.UserinfoJWT, Tokens: t,
	}
	if t.IDToken == "" {
		i.Tokens.IDToken = before.Tokens.IDToken
	} else {
		claims, key, err := c.IDToken(ctx, t.IDToken, IDTokenWant{Grant: "session", AccessToken: t.AccessToken, Previous: before.IDToken})
		if err != nil {
			return nil, fmt.Errorf("the refreshed ID token: %w", err)
		}
		i.IDToken, i.IDTokenJWK = claims, key
	}
	if t.Scope == "" {
		i.Tokens.Scope = before.Tokens.Scope // RFC 6749 §6: unchanged
	}
	if err := c.proveAccessToken(ctx, i, "session"); err != nil {
		return nil, err
	}
	if was, is := before.AccessToken.String("sub"), i.AccessToken.String("sub"); was != "" && is != "" && was != is {
		return nil, errors.New("sub: the refreshed access token names another subject than the one before")
	}
	return i, nil
}

// proveAccessToken adds the access token's claims, and its own exp where that comes before expires_in. Some issuers give the
// two tokens different subs: the ID token's counts.
func (c *Client) proveAccessToken(ctx context.Context, i *auth.Identity, grant string) error {
	if i.Tokens.AccessToken == "" {
		return nil
	}
	proved, err := c.issuer.IssuedAccessToken(ctx, i.Tokens.AccessToken, c.ignoresSignature(grant))
	if err != nil || proved == nil {
		return err
	}
	i.AccessToken, i.AccessTokenJWK = proved.AccessToken, proved.AccessTokenJWK
	if i.Subject == "" {
		i.Subject = proved.Subject
	}
	exp, known := proved.Tokens.Expiry, i.Tokens.Expiry
	if !exp.IsZero() && (known.IsZero() || exp.Before(known)) {
		i.Tokens.Expiry = exp
	}
	return nil
}

// Reverify verifies the tokens of a session again: by the keys that the issuer has now. The error wraps ErrUnavailable if they
// can't be had.
func (c *Client) Reverify(ctx context.Context, i *auth.Identity) error {
	switch {
	case i.AccessToken != nil:
		_, err := c.issuer.kept(ctx, i.Tokens.AccessToken, readIssued, nil)
		return err
	case i.Tokens.IDToken != "":
		return c.reverifyIDToken(ctx, i.Tokens.IDToken)
	}
	return nil
}

// reverifyIDToken verifies the signature alone: a session may outlive its ID token. An expired one causes no fetch of the keys.
func (c *Client) reverifyIDToken(ctx context.Context, token string) error {
	t, err := readIssued(token)
	if err != nil {
		return err
	}
	p := c.issued("session", []string{c.idTokenAlg})
	p.from, p.mayPass = fromCaller, func(claims auth.Claims) bool { _, _, err := c.issuer.checkTimes(claims); return err == nil }
	_, err = c.issuer.prove(ctx, t, p)
	return err
}
