package provider

import "time"

// RevokeAll ends all logins and revokes all that was issued. What is a JWT still verifies.
func (p *Provider) RevokeAll() { p.state.revokeAll() }

// Revoked reports whether an access or refresh token was revoked, by a client or by a test, itself or with all of its grant. A
// token that isn't known, or has expired long ago, wasn't.
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

// Revoke revokes one access or refresh token and leaves the others of its grant alone, unlike a client's revocation of a
// refresh token. It panics if the token isn't known.
func (p *Provider) Revoke(token string) {
	p.state.change(token, func(revoked *bool, _ *time.Time) { *revoked = true })
}

// Expire makes one access or refresh token expire now, whatever a JWT says of itself. It panics if the token isn't known.
func (p *Provider) Expire(token string) {
	now := p.now()
	p.state.change(token, func(_ *bool, expiry *time.Time) { *expiry = now })
}

func (s *state) change(token string, f func(revoked *bool, expiry *time.Time)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.refresh[token]; t != nil {
		f(&t.revoked, &t.expiry)
		return
	}
	t := s.access[token]
	if t == nil {
		panic("the provider doesn't know the token " + shorten(token))
	}
	f(&t.revoked, &t.expiry)
}
