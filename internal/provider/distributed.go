package provider

import (
	"crypto/rand"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Aggregated and distributed claims (OIDC Core §5.6.2). The provider is its own claims provider: it signs the one kind and
// hands the other out at an endpoint of its own, to whom has the access token that _claim_sources gives.

// A claimSource is what an access token for the claims endpoint leads to.
type claimSource struct {
	claims map[string]any
	expiry time.Time
}

// claims are what the scopes allow to be said of whose grant it is, with the user's aggregated and distributed claims moved
// to their sources. They are the caller's own.
func (p *Provider) claims(g *grant, scope []string) map[string]any {
	claims := g.claims(scope)
	if g.user == nil {
		return claims
	}
	names, sources := map[string]any{}, map[string]any{}
	move := func(source string, which []string, make func(map[string]any) map[string]any) {
		moved := map[string]any{}
		for name, v := range claims {
			if slices.Contains(which, name) && name != "sub" {
				moved[name], names[name] = v, source
			}
		}
		for name := range moved {
			delete(claims, name)
		}
		if len(moved) > 0 {
			sources[source] = make(moved)
		}
	}
	move("aggregated", g.user.Aggregated, p.aggregate)
	move("distributed", g.user.Distributed, p.distribute)
	if len(names) > 0 {
		claims["_claim_names"], claims["_claim_sources"] = names, sources
	}
	return claims
}

func (p *Provider) aggregate(claims map[string]any) map[string]any {
	return map[string]any{"JWT": p.SignJWT(p.sourced(claims))}
}

func (p *Provider) distribute(claims map[string]any) map[string]any {
	now := p.now()
	s := &claimSource{claims: claims, expiry: now.Add(p.controls.accessTokenLifetime())}
	return map[string]any{"endpoint": p.Issuer() + string(Claims), "access_token": p.state.addSource(s, now)}
}

// sourced are claims as their provider signs them: with its iss, and without a sub, which isn't needed (§5.6.2).
func (p *Provider) sourced(claims map[string]any) map[string]any {
	now := p.now()
	claims["iss"], claims["iat"] = p.Issuer(), now.Unix()
	claims["exp"] = now.Add(p.controls.accessTokenLifetime()).Unix()
	return claims
}

// claimsEndpoint hands distributed claims out as a JWT.
func (p *Provider) claimsEndpoint(w http.ResponseWriter, r *http.Request) {
	token, refused := bearer(r)
	if refused != nil {
		p.refuse(w, refused)
		return
	}
	claims := p.state.source(token, p.now())
	if claims == nil {
		p.refuse(w, challenge(http.StatusUnauthorized, "invalid_token", "The access token leads to no claims, or no longer."))
		return
	}
	p.controls.adjust(Claims, claims)
	p.answerJWT(w, Claims, mediaJWT, "RS256", p.sourced(claims))
}

func (s *state) addSource(c *claimSource, now time.Time) string {
	name := "claims_" + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	s.sources[name] = c
	return name
}

// source returns the claims that a token leads to, as the caller's own, or nil.
func (s *state) source(token string, now time.Time) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.sources[token]
	if c == nil || !now.Before(c.expiry) {
		return nil
	}
	return maps.Clone(c.claims)
}
