package provider

import "time"

// RevokeAll ends all sessions and revokes all codes and tokens. The signatures of JWTs stay valid.
func (p *Provider) RevokeAll() { p.state.revokeAll() }

// Revoked reports whether an access or refresh token or its grant was revoked, by a client or by a test. It reports false for
// unknown tokens and for tokens that expired long ago.
func (p *Provider) Revoked(token string) bool {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.refresh[token]; t != nil {
		return t.revoked || t.grant.revoked
	}
	t := s.access[token]
	return t != nil && (t.revoked || t.grant.revoked)
}

// Revoke revokes one access or refresh token. Unlike the revocation of a refresh token by a client, it doesn't revoke other
// tokens of the grant. It panics if the token is unknown.
func (p *Provider) Revoke(token string) {
	p.state.update(token, func(revoked *bool, _ *time.Time) { *revoked = true })
}

// Expire makes one access or refresh token expire now, whatever the exp of a JWT. It panics if the token is unknown.
func (p *Provider) Expire(token string) {
	now := p.now()
	p.state.update(token, func(_ *bool, expiry *time.Time) { *expiry = now })
}

// update calls f with the fields of a token. It panics if the token is unknown.
func (s *state) update(token string, f func(revoked *bool, expiry *time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.refresh[token]; t != nil {
		f(&t.revoked, &t.expiry)
		return
	}
	t := s.access[token]
	if t == nil {
		panic("unknown token " + shorten(token))
	}
	f(&t.revoked, &t.expiry)
}
