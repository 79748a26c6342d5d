package provider

import (
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A party is whom a token is about that a client brings: a subject or an actor.
type party struct {
	user     *User // a client, or somebody whom only another issuer knows, is made a user for this one grant
	iss      string
	claims   map[string]any // the token's; not to be changed
	authTime time.Time      // of the login behind the token, or now
}

// party reads a token of this provider, or a JWT of an issuer that it trusts. reason, if not empty, says what is wrong.
func (p *Provider) party(c *Client, token, kind string) (_ *party, reason string) {
	switch kind {
	case typeAccessToken, typeIDToken, typeJWT:
	case typeRefreshToken:
		t := p.state.activeRefresh(token, p.now())
		if t == nil || t.grant.client != c {
			return nil, "is none of this client's refresh tokens, or no longer"
		}
		return p.partyOf(t.grant, p.refreshTokenClaims(t)), ""
	default:
		return nil, "is of a type that isn't known here"
	}
	if t := p.state.active(token, p.now()); t != nil && kind != typeIDToken {
		if kind == typeJWT && payload(token) == nil {
			return nil, "is no JWT"
		}
		if c.OnlyOwnAudience && !slices.Contains(audiences(t.claims), c.ID) {
			return nil, "isn't for this client"
		}
		return p.partyOf(t.grant, t.claims), ""
	}
	return p.partyOfJWT(c, token, kind)
}

func (p *Provider) partyOf(g *grant, claims map[string]any) *party {
	a := &party{user: g.user, iss: p.Issuer(), claims: claims, authTime: g.authTime}
	if a.user == nil {
		a.user = &User{Username: g.client.ID, Claims: g.client.Claims}
	}
	if a.authTime.IsZero() {
		a.authTime = p.now()
	}
	return a
}

// partyOfJWT reads an ID token of this provider, or a token of another. Of its own access tokens, those that are good have been
// found before.
func (p *Provider) partyOfJWT(c *Client, token, kind string) (_ *party, reason string) {
	j, reason := p.verifyTrusted(token)
	own := reason == "" && j.issuer == p
	switch {
	case reason != "":
		return nil, reason
	case j.accessToken && own:
		return nil, "was revoked or never issued"
	case kind == typeAccessToken && !j.accessToken, kind == typeIDToken && j.accessToken:
		return nil, "is of another type than the request says"
	case c.OnlyOwnAudience && !slices.Contains(audiences(j.claims), c.ID):
		return nil, "isn't for this client"
	}
	return p.partyIn(j), ""
}

func (p *Provider) partyIn(j *trustedJWT) *party {
	a := &party{user: p.userOf(j.claims), iss: j.issuer.Issuer(), claims: j.claims, authTime: p.now()}
	if t, ok := numericDate(j.claims["auth_time"]); ok {
		a.authTime = t
	}
	return a
}

// userOf is the user with a token's sub, or else one made of what the token says.
func (p *Provider) userOf(claims map[string]any) *User {
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

// tokenClaims are about the token and not about its subject.
var tokenClaims = []string{"iss", "aud", "exp", "iat", "nbf", "jti", "client_id", "azp", "scope", "auth_time", "acr", "amr", "sid", "nonce",
	"at_hash", "act", "may_act", "cnf"}

// actFor is the act claim (RFC 8693 §4.1): the actor, and inside it who acted before.
func (a *party) actFor(subject *party) map[string]any {
	act := map[string]any{"iss": a.iss, "sub": a.claims["sub"]}
	if before, ok := subject.claims["act"].(map[string]any); ok {
		act["act"] = before
	}
	return act
}

// mayBeActedForBy obeys may_act (RFC 8693 §4.4): whatever it says of the actor has to be so.
func (s *party) mayBeActedForBy(actor *party) bool {
	allowed, limited := s.claims["may_act"].(map[string]any)
	if !limited {
		return true
	}
	for name, v := range allowed {
		is := actor.claims[name]
		if name == "iss" {
			is = actor.iss
		}
		if !reflect.DeepEqual(is, v) {
			return false
		}
	}
	return true
}

// A trustedJWT is a good JWT of this provider or of a trusted one.
type trustedJWT struct {
	issuer      *Provider
	claims      map[string]any
	accessToken bool // typ at+jwt (RFC 9068 §2.1)
}

// verifyTrusted verifies with the keys that the issuer publishes now. reason, if not empty, says what is wrong.
func (p *Provider) verifyTrusted(token string) (_ *trustedJWT, reason string) {
	iss, _ := payload(token)["iss"].(string) // not yet proved: it finds the keys that do
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
	return nil, "is of no issuer that is trusted here"
}
