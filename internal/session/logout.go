package session

import (
	"context"
	"errors"
	"time"
)

// A Logout is what an OpenID Provider says about logins that have ended (OIDC Back-Channel Logout §2.4). SID or Subject is set, or both.
type Logout struct {
	Issuer   string
	ClientID string
	SID      string    // the session at the OpenID Provider
	Subject  string    // the user
	Issued   time.Time // iat of the logout token
	Unproven bool      // no logout token proves it: anyone who knows the SID may say so; without Subject
}

// EndLogins ends the logins that an OpenID Provider names: those of the SID and, of the subject's, those without a SID; without a SID all
// of the subject's. A subject's login ends only if it began before the logout token was issued, so a token that is sent again ends no later
// one. A login or a rotation that is under way ends, too. EndLogins returns the number of ended sessions. After an error it must be
// called again, which is safe. The error wraps ErrUnavailable, also if there were too many unproven logouts.
func (s *Sessions) EndLogins(ctx context.Context, l Logout) (int, error) {
	bySubject := target{indexKey{kindSubject, l.Issuer, l.ClientID, l.Subject}, mark(l.Issued.Unix())}
	if l.SID == "" {
		return s.endTargets(ctx, []target{bySubject})
	}
	targets := []target{{indexKey{kindSID, l.Issuer, l.ClientID, l.SID}, everyLogin}}
	if l.Unproven {
		return s.endUnproven(ctx, targets)
	}
	if l.Subject != "" {
		bySubject.key.kind = kindSubjectWithoutSID
		targets = append(targets, bySubject)
	}
	return s.endTargets(ctx, targets)
}

// EndLogin ends the session of an ID, for its user. It follows a rotated ID to its successor. It returns the session that ended, or nil if
// the ID has none. It waits up to 2 s for a refresh that is under way, so that the returned tokens are the last ones.
func (s *Sessions) EndLogin(ctx context.Context, id ID) (ended *Session, err error) {
	wait, cancel := context.WithTimeout(ctx, s.timing.logout)
	defer cancel()
	if _, release, err := s.readWithLease(wait, id); err == nil {
		defer release()
	} else if errors.Is(err, ErrNotFound) && !errors.Is(err, ErrReplaced) {
		return nil, s.store.forgetNote(ctx, id)
	}
	err = s.end(ctx, id, func(e *entry) error {
		ended = e.session
		return s.store.drop(ctx, e)
	})
	if err == nil && ended == nil { // another logout was quicker, and may not be acknowledged yet
		err = s.store.forgetNote(ctx, id)
	}
	return ended, err
}

// EndIf ends the session of an ID if ends is true for its login. It reports whether a session ended.
func (s *Sessions) EndIf(ctx context.Context, id ID, ends func(*Login) bool) (ended bool, err error) {
	err = s.end(ctx, id, func(e *entry) error {
		if ended = ends(&e.session.Login); !ended {
			return nil
		}
		return s.store.drop(ctx, e)
	})
	return ended && err == nil, err
}
