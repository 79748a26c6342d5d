package provider

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// AccessToken issues an access token to a client without being asked: for a user, or with an empty username for the client
// itself. It has every scope. overrides replace claims, nil removes one. It panics if either isn't configured.
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

// IDToken issues an ID token to a client without being asked, likewise.
func (p *Provider) IDToken(username, clientID string, overrides map[string]any) string {
	g := p.mustGrant(username, clientID)
	claims := p.idTokenClaims(g, g.scope, "", "", p.now(), p.lifetime(g.client))
	return p.SignJWT(override(claims, overrides), WithAlg(g.client.IDTokenAlg))
}

func (p *Provider) mustGrant(username, clientID string) *grant {
	g := &grant{client: p.client(clientID), user: p.user(username), scope: slices.Clone(p.config.Scopes), authTime: p.now()}
	if g.client == nil || g.user == nil && username != "" {
		panic(fmt.Sprintf("the provider has no client %q or no user %q", clientID, username))
	}
	if g.user != nil {
		g.scope = slices.DeleteFunc(slices.Clone(p.scopes()), func(s string) bool { return s == "offline_access" })
	}
	return g
}

func override(claims, overrides map[string]any) map[string]any {
	maps.Copy(claims, overrides)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}
