package provider

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"
)

// An issuance describes the tokens of a token response.
type issuance struct {
	scope   []string // of the access token: the grant's or less
	nonce   string   // of the ID token
	refresh bool     // issue a refresh token, unless Client.NoRefreshToken is set
	binding binding  // of the tokens
}

// issue issues tokens and returns the token response (RFC 6749 §5.1, OIDC Core §3.1.3.3).
func (p *Provider) issue(g *grant, i issuance) map[string]any {
	now := p.now()
	lifetime := p.lifetime(g.client)
	access := p.newAccessToken(g, i, now, lifetime)
	answer := map[string]any{
		"access_token": access, "token_type": i.binding.tokenType(), "expires_in": int64(lifetime / time.Second),
		"scope": strings.Join(i.scope, " "),
	}
	if g.details != nil {
		answer["authorization_details"] = g.details // RFC 9396 §7
	}
	if i.refresh && !g.client.NoRefreshToken && p.as().givesRefreshToken(g) {
		answer["refresh_token"] = p.state.addRefresh(g, i.binding, now, p.config.RefreshTokenLifetime)
	}
	if slices.Contains(i.scope, "openid") {
		answer["id_token"] = p.newIDToken(g, i, access, now, lifetime)
	}
	p.as().tokenAnswer.apply(p, g, answer)
	return answer
}

// newAccessToken issues an access token.
func (p *Provider) newAccessToken(g *grant, i issuance, now time.Time, lifetime time.Duration) string {
	claims := p.accessTokenClaims(g, i.scope, now, lifetime)
	if cnf := i.binding.confirmation(); len(cnf) > 0 {
		claims["cnf"] = cnf
	}
	p.controls.adjusted(accessTokens, claims)
	return p.mint(g, claims, now.Add(lifetime), now)
}

// mint creates an access token with claims, a JWT or an opaque one, and stores it for introspection and revocation.
func (p *Provider) mint(g *grant, claims map[string]any, expiry, now time.Time) string {
	token := "opaque_" + rand.Text()
	switch write := p.as().accessToken; {
	case write != nil:
		token = write(p, g, maps.Clone(claims))
	case !g.client.OpaqueAccessTokens:
		token = p.SignJWT(claims, WithHeader("typ", "at+jwt"))
	}
	p.state.addAccess(token, &accessToken{issued{grant: g, expiry: expiry}, claims}, now)
	return token
}

// accessTokenClaims returns the claims of a new access token: those of RFC 9068 §2.2 and the user's.
func (p *Provider) accessTokenClaims(g *grant, scope []string, now time.Time, lifetime time.Duration) map[string]any {
	claims := p.commonClaims(g, scope, now, lifetime)
	maps.Copy(claims, map[string]any{
		"aud": audience(g.accessTokenAudience()), "client_id": g.client.ID, "scope": strings.Join(scope, " "),
	})
	if g.details != nil {
		claims["authorization_details"] = g.details // RFC 9396 §9.1
	}
	if g.act != nil {
		claims["act"] = g.act
	}
	if g.session.sid != "" {
		claims["auth_time"] = g.authTime.Unix()
	}
	return claims
}

// commonClaims returns the claims that access tokens and ID tokens have in common, among them the user's.
func (p *Provider) commonClaims(g *grant, scope []string, now time.Time, lifetime time.Duration) map[string]any {
	claims := p.claims(g, scope)
	maps.Copy(claims, map[string]any{
		"iss": p.iss(), "sub": g.sub(), "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(lifetime).Unix(),
	})
	if g.session.sid != "" {
		claims["acr"], claims["sid"] = g.session.acr, g.session.sid
	}
	return claims
}

func (g *grant) accessTokenAudience() []string {
	if len(g.audience) > 0 {
		return g.audience
	}
	return g.client.AccessTokenAudience
}

// newIDToken issues an ID token. access is the access token of the same response, or "".
func (p *Provider) newIDToken(g *grant, i issuance, access string, now time.Time, lifetime time.Duration) string {
	claims := p.idTokenClaims(g, i.scope, i.nonce, access, now, lifetime)
	p.as().idToken.apply(p, g, claims)
	p.controls.adjusted(idTokens, claims)
	return p.encrypted(g.client, g.client.IDTokenEncryption, p.SignJWT(claims, WithAlg(g.client.IDTokenAlg)))
}

// newFrontIDToken issues the ID token of an authorization response, which binds its code and state (OIDC Core §3.3.2.11, FAPI 1.0 Part 2
// §5.1).
func (p *Provider) newFrontIDToken(g *grant, code, state string) string {
	claims := p.idTokenClaims(g, g.scope, g.nonce, "", p.now(), p.lifetime(g.client))
	claims["c_hash"], claims["s_hash"] = atHash(g.client.IDTokenAlg, code), atHash(g.client.IDTokenAlg, state)
	p.controls.adjusted(frontIDTokens, claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return p.encrypted(g.client, g.client.IDTokenEncryption, p.SignJWT(claims, WithAlg(g.client.IDTokenAlg)))
}

// idTokenClaims returns the claims of a new ID token: those of OIDC Core §2 and §3.1.3.6 and the user's.
func (p *Provider) idTokenClaims(g *grant, scope []string, nonce, access string, now time.Time, lifetime time.Duration) map[string]any {
	claims := p.commonClaims(g, scope, now, lifetime)
	maps.Copy(claims, map[string]any{
		"aud": g.client.ID, "azp": g.client.ID, "auth_time": g.authTime.Unix(), "amr": []string{"pwd"}, "nonce": nonce, "at_hash": "",
	})
	if access != "" {
		claims["at_hash"] = atHash(g.client.IDTokenAlg, access)
	}
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == "" })
	return claims
}

// claims returns a new map of the user's claims that the scopes allow, or for a client's own grant of the client's claims.
func (g *grant) claims(scope []string) map[string]any {
	if g.user != nil {
		return g.user.claims(scope)
	}
	claims := map[string]any{}
	maps.Copy(claims, g.client.Claims)
	return claims
}

// lifetime returns the lifetime of access tokens and ID tokens of client c.
func (p *Provider) lifetime(c *Client) time.Duration {
	if c.AccessTokenLifetime != 0 {
		return c.AccessTokenLifetime
	}
	return p.controls.accessTokenLifetime()
}

// audience returns list as a value of aud: a single value is a string (RFC 7519 §4.1.3).
func audience(list []string) any {
	if len(list) == 1 {
		return list[0]
	}
	return list
}

// atHash returns the at_hash of an access token (OIDC Core §3.1.3.6), or the c_hash or s_hash of another value: the left half
// of its SHA-256 hash, or for Ed25519 of its SHA-512 hash, which Ed25519 itself uses.
func atHash(alg, token string) string {
	sum := sha256.Sum256([]byte(token))
	half := sum[:16]
	if alg == "EdDSA" || alg == "Ed25519" {
		sum := sha512.Sum512([]byte(token))
		half = sum[:32]
	}
	return base64.RawURLEncoding.EncodeToString(half)
}
