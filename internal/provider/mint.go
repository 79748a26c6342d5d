package provider

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// AccessToken issues an access token of a client without a request: for a user, or with an empty username for the client
// itself. The scope of a user's token is all scopes except offline_access, that of a client's token is Config.Scopes.
// overrides replace claims; a nil value removes one. AccessToken panics if the client or the user isn't configured.
func (p *Provider) AccessToken(username, clientID string, overrides map[string]any) string {
	g, now := p.mustGrant(username, clientID), p.now()
	lifetime := p.lifetime(g.client)
	claims := override(p.accessTokenClaims(g, g.scope, now, lifetime), overrides)
	expiry := now.Add(lifetime)
	if exp, ok := claims["exp"].(int64); ok {
		expiry = time.Unix(exp, 0)
	}
	return p.mint(g, claims, expiry, now)
}

// IDToken issues an ID token of a client without a request. The parameters are those of AccessToken.
func (p *Provider) IDToken(username, clientID string, overrides map[string]any) string {
	g := p.mustGrant(username, clientID)
	claims := p.idTokenClaims(g, g.scope, "", "", p.now(), p.lifetime(g.client))
	return p.SignJWT(override(claims, overrides), WithAlg(g.client.IDTokenAlg))
}

// mustGrant returns a new grant of the client for the user, or with an empty username for the client itself.
func (p *Provider) mustGrant(username, clientID string) *grant {
	g := &grant{client: p.client(clientID), user: p.user(username), scope: slices.Clone(p.config.Scopes), authTime: p.now()}
	if g.client == nil || g.user == nil && username != "" {
		panic(fmt.Sprintf("the provider has no client %q or no user %q", clientID, username))
	}
	if g.user != nil {
		g.scope = withoutOffline(p.scopes())
	}
	return g
}

// override adds overrides to claims and removes nil values.
func override(claims, overrides map[string]any) map[string]any {
	maps.Copy(claims, overrides)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}
