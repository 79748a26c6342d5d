package session

import (
	"context"
	"time"
)

// A Logout is what an OpenID Provider says about logins that have ended (OIDC Back-Channel Logout §2.4). SID or Subject is set, or both.
type Logout struct {
	Issuer   string
	ClientID string
	SID      string    // the session at the OpenID Provider
	Subject  string    // the user
	Issued   time.Time // iat of the logout token
}

// EndLogins ends the logins that an OpenID Provider names: those of the SID and, of the subject's, those without a SID; without a SID all
// of the subject's that began before the logout token was issued. It returns their number. After an error it must be called again, which is
// safe.
func (s *Sessions) EndLogins(ctx context.Context, l Logout) (int, error) {
	if l.SID != "" {
		return s.EndBySID(ctx, l.Issuer, l.ClientID, l.SID)
	}
	return s.EndBySubject(ctx, l.Issuer, l.ClientID, l.Subject)
}
