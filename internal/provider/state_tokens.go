package provider

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"time"
)

// addCode stores an authorization code and returns its value.
func (s *state) addCode(c *code, now time.Time) string {
	name := rand.Text()
	c.expiry = now.Add(codeLifetime)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	s.codes[name] = c
	return name
}

// redeem returns the grant of an authorization code. The first attempt of the client uses the code, even if it fails; a second
// attempt revokes the grant (RFC 6749 §4.1.2).
func (s *state) redeem(t *tokenRequest, now time.Time) (*grant, error) {
	name, client, redirectURI := t.form.Get("code"), t.client, t.form.Get("redirect_uri")
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.codes[name]
	if c == nil || c.grant.client != client {
		return nil, invalidGrant("The code is unknown.")
	}
	if c.used {
		c.grant.revoked = true
		return nil, invalidGrant("The code was used before.")
	}
	c.used = true
	switch {
	case !now.Before(c.expiry):
		return nil, invalidGrant("The code has expired.")
	case c.grant.revoked:
		return nil, invalidGrant("The login has ended.")
	case c.redirectURI != redirectURI:
		return nil, invalidGrant("The redirect_uri differs from that of the authorization request.")
	case !c.matchesVerifier(t.form.Get("code_verifier")):
		return nil, invalidGrant("The code_verifier doesn't match the code_challenge.")
	case c.jkt != "" && c.jkt != t.binding.jkt: // RFC 9449 §10
		return nil, invalidGrant("The DPoP proof is by another key than dpop_jkt.")
	}
	return c.grant, nil
}

// matchesVerifier reports whether verifier matches the code challenge (RFC 7636 §4.6). A verifier without a challenge doesn't:
// an attacker may have removed the challenge (RFC 9700 §4.8).
func (c *code) matchesVerifier(verifier string) bool {
	if c.challenge == "" || verifier == "" {
		return c.challenge == verifier
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(c.challenge)) == 1
}

// addRefresh stores a new refresh token and returns its value. Only that of a public client is bound (RFC 8705 §4, RFC 9449 §5): other
// clients authenticate, and may replace their certificates and keys.
func (s *state) addRefresh(g *grant, bound binding, now time.Time, lifetime time.Duration) string {
	name := rand.Text()
	if g.client.AuthMethod != "none" {
		bound = binding{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh[name] = &refreshToken{issued: issued{grant: g, expiry: now.Add(lifetime)}, binding: bound}
	return name
}

// useRefresh returns the grant of a refresh token and, unless the client has KeepRefreshToken, invalidates the token. A second
// use revokes the grant, because the token may be stolen (RFC 9700 §4.14.2). scope is the requested scope; if it is empty,
// all granted scopes.
func (s *state) useRefresh(r *tokenRequest, scope []string, now time.Time) (*grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.refresh[r.form.Get("refresh_token")]
	switch {
	case t == nil || t.grant.client != r.client:
		return nil, invalidGrant("The refresh token is unknown.")
	case !now.Before(t.expiry):
		return nil, invalidGrant("The refresh token has expired.")
	case t.used:
		t.grant.revoked = true
		return nil, invalidGrant("The refresh token was used before.")
	case t.wasRevoked():
		return nil, invalidGrant("The refresh token was revoked.")
	case t.binding != binding{} && t.binding != r.binding:
		return nil, invalidGrant("The refresh token is bound to another certificate or key.")
	}
	for _, requested := range scope {
		if !slices.Contains(t.grant.scope, requested) {
			return nil, refusal("invalid_scope", "The scope exceeds the granted scope.")
		}
	}
	t.used = !r.client.KeepRefreshToken
	return t.grant, nil
}

func (s *state) addAccess(token string, t *accessToken, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	s.access[token] = t
}

// active returns the access token with this value, or nil if it is unknown, expired or revoked.
func (s *state) active(token string, now time.Time) *accessToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.access[token]
	if t == nil || t.ended(now) {
		return nil
	}
	return t
}

// activeRefresh returns the refresh token with this value, or nil if it is unknown, used, expired or revoked.
func (s *state) activeRefresh(token string, now time.Time) *refreshToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.refresh[token]
	if t == nil || t.used || t.ended(now) {
		return nil
	}
	return t
}

// useOnce reports whether this is the first use of a jti. It stores the jti until expiry.
func (s *state) useOnce(jti string, expiry, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	if _, used := s.usedJTIs[jti]; used {
		return false
	}
	s.usedJTIs[jti] = expiry
	return true
}

// revoke revokes an access token, or the whole grant of a refresh token (RFC 7009 §2.1). It reports false, without revoking, if
// the token was issued to another client, and true if the token is unknown.
func (s *state) revoke(token string, client *Client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.find(token)
	if t == nil {
		return true
	}
	own := t.grant.client == client
	if s.refresh[token] != nil {
		t.grant.revoked = t.grant.revoked || own
	} else {
		t.revoked = t.revoked || own
	}
	return own
}

// find returns the refresh token or the access token with this value, or nil; mu must be held.
func (s *state) find(token string) *issued {
	if t := s.refresh[token]; t != nil {
		return &t.issued
	}
	if t := s.access[token]; t != nil {
		return &t.issued
	}
	return nil
}

// revokeAll ends all sessions and revokes all grants.
func (s *state) revokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
	s.eachGrant(func(g *grant) { g.revoked = true })
}
