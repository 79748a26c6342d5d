package flow

import (
	"sallyport/internal/auth"
	"sallyport/internal/session"
)

// describe returns the properties of a session, or nil if no header sends them.
func (f *sessions) describe(id session.ID, s *session.Session) *auth.Session {
	if !f.properties {
		return nil
	}
	p := &auth.Session{ID: id.Hash(), Subject: s.Login.Subject, Audience: f.configured}
	p.Idling, p.Rolling, p.Absolute = f.store.Left(s)
	return p
}
