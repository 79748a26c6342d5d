package provider

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"slices"
	"time"
)

func (s *state) addCode(c *code, now time.Time) string {
	name := rand.Text()
	c.expiry = now.Add(codeLifetime)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	s.codes[name] = c
	return name
}

// redeem uses a code up: it is spent by the first attempt of its client, right or wrong. A second one revokes what the
// first was given (RFC 6749 §4.1.2).
func (s *state) redeem(name string, client *Client, redirectURI, verifier string, now time.Time) (*grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.codes[name]
	if c == nil || c.grant.client != client {
		return nil, refusal("invalid_grant", "The code is unknown.")
	}
	if c.used {
		c.grant.revoked = true
		return nil, refusal("invalid_grant", "The code was used before.")
	}
	c.used = true
	switch {
	case !now.Before(c.expiry):
		return nil, refusal("invalid_grant", "The code has expired.")
	case c.grant.revoked:
		return nil, refusal("invalid_grant", "The login has ended.")
	case c.redirectURI != redirectURI:
		return nil, refusal("invalid_grant", "The redirect_uri isn't the one that the code was sent to.")
	case !c.proves(verifier):
		return nil, refusal("invalid_grant", "The code_verifier doesn't fit the code_challenge.")
	}
	return c.grant, nil
}

// proves compares a verifier with the challenge (RFC 7636 §4.6). A verifier without a challenge fails too: somebody has
// taken the challenge away (RFC 9700 §4.8).
func (c *code) proves(verifier string) bool {
	if c.challenge == "" || verifier == "" {
		return c.challenge == verifier
	}
	sum := sha256.Sum256([]byte(verifier))
	return subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(c.challenge)) == 1
}

// addRefresh keeps a new refresh token. A public client's is bound to the certificate, because nothing else says whose it is
// (RFC 8705 §4); any other client may change its certificate.
func (s *state) addRefresh(g *grant, thumbprint string, now time.Time, lifetime time.Duration) string {
	name := rand.Text()
	if g.client.AuthMethod != "none" {
		thumbprint = ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh[name] = &refreshToken{grant: g, thumbprint: thumbprint, expiry: now.Add(lifetime)}
	return name
}

// useRefresh checks a refresh token and, if the client's are rotated, uses it up. A second use means that two have it:
// the grant ends for both (RFC 9700 §4.14.2). scope is what is asked for, empty for all that was granted.
func (s *state) useRefresh(r *tokenRequest, scope []string, now time.Time) (*grant, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.refresh[r.form.Get("refresh_token")]
	switch {
	case t == nil || t.grant.client != r.client:
		return nil, refusal("invalid_grant", "The refresh token is unknown.")
	case !now.Before(t.expiry):
		return nil, refusal("invalid_grant", "The refresh token has expired.")
	case t.used:
		t.grant.revoked = true
		return nil, refusal("invalid_grant", "The refresh token was used before.")
	case t.revoked || t.grant.revoked:
		return nil, refusal("invalid_grant", "The refresh token was revoked.")
	case t.thumbprint != "" && t.thumbprint != r.thumbprint:
		return nil, refusal("invalid_grant", "The refresh token is bound to another certificate.")
	}
	for _, asked := range scope {
		if !slices.Contains(t.grant.scope, asked) {
			return nil, refusal("invalid_scope", "The scope is wider than what was granted.")
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

// active finds a good access token: one that was issued here, hasn't expired and wasn't revoked.
func (s *state) active(token string, now time.Time) *accessToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.access[token]
	if t == nil || t.revoked || t.grant.revoked || !now.Before(t.expiry) {
		return nil
	}
	return t
}

// activeRefresh finds a good refresh token.
func (s *state) activeRefresh(token string, now time.Time) *refreshToken {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.refresh[token]
	if t == nil || t.used || t.revoked || t.grant.revoked || !now.Before(t.expiry) {
		return nil
	}
	return t
}

// useOnce reports whether a name is used for the first time before its expiry.
func (s *state) useOnce(name string, expiry, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(now)
	if _, before := s.used[name]; before {
		return false
	}
	s.used[name] = expiry
	return true
}

// revoke revokes an access token alone, or with a refresh token the whole grant (RFC 7009 §2.1). It reports false, and
// does nothing, if the token is another client's; a token that isn't known is as good as revoked.
func (s *state) revoke(token string, client *Client) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.refresh[token]; t != nil {
		t.grant.revoked = t.grant.revoked || t.grant.client == client
		return t.grant.client == client
	}
	if t := s.access[token]; t != nil {
		t.revoked = t.revoked || t.grant.client == client
		return t.grant.client == client
	}
	return true
}

// revokeAll ends all sessions and all that was issued.
func (s *state) revokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
	s.each(func(g *grant) { g.revoked = true })
}
