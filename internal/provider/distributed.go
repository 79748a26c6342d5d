package provider

import (
	"crypto/rand"
	"maps"
	"net/http"
	"slices"
	"time"
)

// This file implements aggregated and distributed claims (OIDC Core §5.6.2). The provider is also the claims provider: it signs
// aggregated claims, and serves distributed claims at the endpoint Claims for the access token in _claim_sources.

// A claimSource holds the distributed claims of one access token for the claims endpoint.
type claimSource struct {
	claims map[string]any
	expiry time.Time
}

// claims returns a new map of the claims that the scopes allow for the user or client of the grant. The user's aggregated and
// distributed claims are in _claim_sources.
func (p *Provider) claims(g *grant, scope []string) map[string]any {
	claims := g.claims(scope)
	if g.user == nil {
		return claims
	}
	names, sources := map[string]any{}, map[string]any{}
	move := func(source string, selected []string, newSource func(map[string]any) map[string]any) {
		moved := map[string]any{}
		for name, v := range claims {
			if slices.Contains(selected, name) && name != "sub" {
				moved[name], names[name] = v, source
				delete(claims, name)
			}
		}
		if len(moved) > 0 {
			sources[source] = newSource(moved)
		}
	}
	move("aggregated", g.user.Aggregated, p.aggregate)
	move("distributed", g.user.Distributed, p.distribute)
	if len(names) > 0 {
		claims["_claim_names"], claims["_claim_sources"] = names, sources
	}
	return claims
}

// aggregate returns the claim source of aggregated claims: a JWT.
func (p *Provider) aggregate(claims map[string]any) map[string]any {
	return map[string]any{"JWT": p.SignJWT(p.addIssuerClaims(claims))}
}

// distribute returns the claim source of distributed claims: the claims endpoint and a new access token.
func (p *Provider) distribute(claims map[string]any) map[string]any {
	now := p.now()
	s := &claimSource{claims: claims, expiry: now.Add(p.controls.accessTokenLifetime())}
	return map[string]any{"endpoint": p.Issuer() + string(Claims), "access_token": p.state.addSource(s, now)}
}

// addIssuerClaims adds iss, iat and exp to claims and returns them. A sub isn't required (§5.6.2).
func (p *Provider) addIssuerClaims(claims map[string]any) map[string]any {
	now := p.now()
	claims["iss"], claims["iat"] = p.iss(), now.Unix()
	claims["exp"] = now.Add(p.controls.accessTokenLifetime()).Unix()
	return claims
}

// claimsEndpoint serves distributed claims as a JWT.
func (p *Provider) claimsEndpoint(w http.ResponseWriter, r *http.Request) {
	token, refused := bearer(r)
	if refused != nil {
		p.refuse(w, refused)
		return
	}
	claims := p.state.source(token, p.now())
	if claims == nil {
		p.refuse(w, invalidToken("The access token is unknown or has expired."))
		return
	}
	p.controls.adjusted(subject(Claims), claims)
	p.answerJWT(w, Claims, nil, mediaJWT, "RS256", p.addIssuerClaims(claims))
}

func (s *state) addSource(c *claimSource, now time.Time) string {
	name := "claims_" + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	s.sources[name] = c
	return name
}

// source returns a copy of the claims for an access token, or nil if the token is unknown or expired.
func (s *state) source(token string, now time.Time) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.sources[token]
	if c == nil || !now.Before(c.expiry) {
		return nil
	}
	return maps.Clone(c.claims)
}
