package provider

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A party is the subject or the actor of a token exchange, or the subject of a JWT bearer grant.
type party struct {
	user     *User // for a client, or a user of another issuer only, a User that isn't in Config.Users
	iss      string
	claims   map[string]any // of the token; read-only
	authTime time.Time      // of the token's login, or now
}

// party verifies a token of this provider, or a JWT of a trusted issuer, and returns its subject. kind is the token type of
// RFC 8693 §3. reason, if not empty, says what is wrong.
func (p *Provider) party(c *Client, token, kind string) (_ *party, reason string) {
	switch kind {
	case typeAccessToken, typeIDToken, typeJWT:
	case typeRefreshToken:
		t := p.state.activeRefresh(token, p.now())
		if t == nil || t.grant.client != c {
			return nil, "isn't an active refresh token of this client"
		}
		return p.grantParty(t.grant, p.refreshTokenClaims(t)), ""
	default:
		return nil, "has an unsupported type"
	}
	if t := p.state.active(token, p.now()); t != nil && kind != typeIDToken {
		if kind == typeJWT && payload(token) == nil {
			return nil, "isn't a JWT"
		}
		if c.OnlyOwnAudience && !slices.Contains(audiences(t.claims), c.ID) {
			return nil, "isn't for this client"
		}
		return p.grantParty(t.grant, t.claims), ""
	}
	return p.jwtParty(c, token, kind)
}

// grantParty returns the subject of a token that this provider issued.
func (p *Provider) grantParty(g *grant, claims map[string]any) *party {
	a := &party{user: g.user, iss: p.Issuer(), claims: claims, authTime: g.authTime}
	if a.user == nil {
		a.user = &User{Username: g.client.ID, Claims: g.client.Claims}
	}
	if a.authTime.IsZero() {
		a.authTime = p.now()
	}
	return a
}

// jwtParty verifies an ID token of this provider or a JWT of a trusted issuer. It rejects access tokens of this provider: party
// has handled the active ones.
func (p *Provider) jwtParty(c *Client, token, kind string) (_ *party, reason string) {
	j, reason := p.verifyTrusted(token)
	own := reason == "" && j.issuer == p
	switch {
	case reason != "":
		return nil, reason
	case j.accessToken && own:
		return nil, "was revoked or never issued"
	case kind == typeAccessToken && !j.accessToken, kind == typeIDToken && j.accessToken:
		return nil, "has another type than the request says"
	case c.OnlyOwnAudience && !slices.Contains(audiences(j.claims), c.ID):
		return nil, "isn't for this client"
	}
	return p.trustedParty(j), ""
}

// trustedParty returns the subject of a verified JWT.
func (p *Provider) trustedParty(j *trustedJWT) *party {
	a := &party{user: p.subjectUser(j.claims), iss: j.issuer.Issuer(), claims: j.claims, authTime: p.now()}
	if t, ok := numericDate(j.claims["auth_time"]); ok {
		a.authTime = t
	}
	return a
}

// subjectUser returns the configured user with the sub of claims, or else a new User with these claims.
func (p *Provider) subjectUser(claims map[string]any) *User {
	sub, _ := claims["sub"].(string)
	for i := range p.config.Users {
		if p.config.Users[i].sub() == sub {
			return &p.config.Users[i]
		}
	}
	own := maps.Clone(claims)
	maps.DeleteFunc(own, func(name string, _ any) bool { return slices.Contains(tokenClaims, name) })
	own["sub"] = sub
	return &User{Username: sub, Claims: own}
}

// tokenClaims are the claims that describe the token rather than its subject.
var tokenClaims = []string{"iss", "aud", "exp", "iat", "nbf", "jti", "client_id", "azp", "scope", "auth_time", "acr", "amr", "sid",
	"nonce", "at_hash", "act", "may_act", "cnf"}

// actClaim returns the act claim for actor a of subject (RFC 8693 §4.1). It contains the act claim of the subject, the previous
// actors.
func (a *party) actClaim(subject *party) map[string]any {
	act := map[string]any{"iss": a.iss, "sub": a.claims["sub"]}
	if previous, ok := subject.claims["act"].(map[string]any); ok {
		act["act"] = previous
	}
	return act
}

// allowsActor reports whether the claim may_act of s allows actor (RFC 8693 §4.4): the actor must have all its members.
func (s *party) allowsActor(actor *party) bool {
	allowed, limited := s.claims["may_act"].(map[string]any)
	if !limited {
		return true
	}
	for name, v := range allowed {
		claim := actor.claims[name]
		if name == "iss" {
			claim = actor.iss
		}
		if !reflect.DeepEqual(claim, v) {
			return false
		}
	}
	return true
}

// A trustedJWT is a verified JWT of this provider or of a trusted issuer.
type trustedJWT struct {
	issuer      *Provider
	claims      map[string]any
	accessToken bool // typ at+jwt (RFC 9068 §2.1)
}

// verifyTrusted verifies a JWT with the published keys of its issuer, which is this provider or a trusted one. reason, if not
// empty, says what is wrong.
func (p *Provider) verifyTrusted(token string) (_ *trustedJWT, reason string) {
	iss, _ := payload(token)["iss"].(string) // not verified yet: it selects the keys
	for _, issuer := range slices.Concat([]*Provider{p}, p.config.TrustedIssuers) {
		if issuer.Issuer() != iss {
			continue
		}
		claims, header, err := issuer.keys.verifyPublished(token)
		if err != nil {
			return nil, "isn't signed by its issuer"
		}
		if _, ok := numericDate(claims["exp"]); !ok {
			return nil, "has no exp"
		}
		if reason := checkTimes(claims, p.now()); reason != "" {
			return nil, reason
		}
		if sub, _ := claims["sub"].(string); sub == "" {
			return nil, "has no sub"
		}
		return &trustedJWT{issuer: issuer, claims: claims, accessToken: header.ExtraHeaders[jose.HeaderType] == "at+jwt"}, ""
	}
	return nil, "is of an issuer that isn't trusted"
}
