package flow

import (
	"context"
	"errors"
	"fmt"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// newIdentity proves what a login brought: the ID token in full, the access token if it is signed for us to verify.
func newIdentity(ctx context.Context, c *oidc.Client, t auth.Tokens, want oidc.IDTokenWant, idTokenExpected bool) (*auth.Identity, error) {
	identity := &auth.Identity{Flow: "session", Issuer: c.Issuer().URL(), ClientID: c.ID, Tokens: t}
	if t.IDToken == "" && idTokenExpected {
		return nil, errors.New("the token response has no ID token although openid was asked for")
	}
	if t.IDToken != "" {
		want.AccessToken = t.AccessToken
		claims, err := c.IDToken(ctx, t.IDToken, want)
		if err != nil {
			return nil, fmt.Errorf("the ID token: %w", err)
		}
		identity.IDToken, identity.Subject = claims, claims.String("sub")
	}
	setAccessToken(ctx, c, identity)
	return identity, nil
}

// renewedIdentity is before with refreshed tokens. The ID token before stays where the answer has none (OIDC Core §12.2).
func renewedIdentity(ctx context.Context, c *oidc.Client, before *auth.Identity, t auth.Tokens) (*auth.Identity, error) {
	identity := &auth.Identity{
		Flow: before.Flow, Issuer: before.Issuer, ClientID: before.ClientID, Subject: before.Subject,
		IDToken: before.IDToken, Userinfo: before.Userinfo, Tokens: t,
	}
	if t.IDToken == "" {
		identity.Tokens.IDToken = before.Tokens.IDToken
	} else {
		claims, err := c.IDToken(ctx, t.IDToken, oidc.IDTokenWant{AccessToken: t.AccessToken, Previous: before.IDToken})
		if err != nil {
			return nil, fmt.Errorf("the refreshed ID token: %w", err)
		}
		identity.IDToken = claims
	}
	if t.Scope == "" {
		identity.Tokens.Scope = before.Tokens.Scope // RFC 6749 §6: unchanged
	}
	setAccessToken(ctx, c, identity)
	return identity, nil
}

// setAccessToken adds the access token's claims, and its own exp where that comes before expires_in.
func setAccessToken(ctx context.Context, c *oidc.Client, identity *auth.Identity) {
	identity.AccessToken = c.Issuer().IssuedAccessToken(ctx, identity.Tokens.AccessToken)
	if identity.Subject == "" {
		identity.Subject = identity.AccessToken.String("sub")
	}
	exp, ok := identity.AccessToken.Time("exp")
	if known := identity.Tokens.Expiry; ok && !exp.IsZero() && (known.IsZero() || exp.Before(known)) {
		identity.Tokens.Expiry = exp
	}
}

// sid is the provider's own session (OIDC Back-Channel Logout §2.1), by which a logout elsewhere finds ours.
func sid(identity *auth.Identity) string { return identity.IDToken.String("sid") }
