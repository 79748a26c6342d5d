package provider

// RevokeAll ends all sessions and revokes all codes and tokens. The signatures of JWTs stay valid.
func (p *Provider) RevokeAll() { p.state.revokeAll() }

// Revoked reports whether an access or refresh token or its grant was revoked, by a client or by a test. It reports false for
// unknown tokens and for tokens that expired long ago.
func (p *Provider) Revoked(token string) bool {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.find(token)
	return t != nil && t.wasRevoked()
}

// Revoke revokes one access or refresh token. Unlike the revocation of a refresh token by a client, it doesn't revoke other
// tokens of the grant. It panics if the token is unknown.
func (p *Provider) Revoke(token string) {
	p.state.update(token, func(t *issued) { t.revoked = true })
}

// Expire makes one access or refresh token expire now, whatever the exp of a JWT. It panics if the token is unknown.
func (p *Provider) Expire(token string) {
	now := p.now()
	p.state.update(token, func(t *issued) { t.expiry = now })
}

// update calls f with a token. It panics if the token is unknown.
func (s *state) update(token string, f func(*issued)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.find(token)
	if t == nil {
		panic("unknown token " + shorten(token))
	}
	f(t)
}
