package session

import "time"

// timeouts end sessions. A zero timeout is off.
type timeouts struct {
	idling   time.Duration // since the session was last used
	rolling  time.Duration // since its ID was issued
	absolute time.Duration // since the login, or since a remembered session was resumed

	remember         bool          // sessions are remembered
	rememberRolling  time.Duration // since the session's ID was issued
	rememberAbsolute time.Duration // since the login
}

const (
	touchEvery   = time.Minute // a store records a use of a session at most this often
	touchPerIdle = 10          // but at least this many times within an idling timeout, if that is short
)

// end returns when the rolling or the absolute timeout ends a session, or the zero time if both are off.
func (t *timeouts) end(s *Session) time.Time {
	var end time.Time
	if t.rolling > 0 {
		end = s.Issued.Add(t.rolling)
	}
	if absolute := s.Created.Add(t.absolute); t.absolute > 0 && (end.IsZero() || absolute.Before(end)) {
		end = absolute
	}
	return end
}

// over reports whether the rolling or the absolute timeout has ended a session. The store enforces the idling timeout: it
// deletes a session that is not used.
func (t *timeouts) over(s *Session, now time.Time) bool {
	end := t.end(s)
	return !end.IsZero() && !now.Before(end)
}

// rotationDue reports whether 3/4 of the rolling timeout have passed, so that the session must get a new ID.
func (t *timeouts) rotationDue(s *Session, now time.Time) bool {
	return t.rolling > 0 && now.Sub(s.Issued) >= t.rolling/4*3
}

// ttl returns how long a store keeps a session after a use now; zero means without limit.
func (t *timeouts) ttl(s *Session, now time.Time) time.Duration {
	end := t.end(s)
	if end.IsZero() {
		return t.idling
	}
	left := max(end.Sub(now), time.Millisecond)
	if t.idling > 0 {
		left = min(left, t.idling)
	}
	return left
}

// left returns the times until each timeout ends a session that is used now, at the earliest: the use may not be recorded. Zero means that
// a timeout is off.
func (t *timeouts) left(s *Session, now time.Time) (idling, rolling, absolute time.Duration) {
	until := func(begin time.Time, timeout time.Duration) time.Duration {
		if timeout == 0 {
			return 0
		}
		return max(begin.Add(timeout).Sub(now), 1)
	}
	if t.idling > 0 {
		idling = t.idling - t.touchAfter()
	}
	return idling, until(s.Issued, t.rolling), until(s.Created, t.absolute)
}

// touchAfter returns how long after a recorded use the next one is recorded.
func (t *timeouts) touchAfter() time.Duration {
	if t.idling == 0 {
		return touchEvery
	}
	return min(touchEvery, t.idling/touchPerIdle)
}

// Left returns the times until the idling, the rolling and the absolute timeout end a session that is used now, at the earliest. Zero means
// that a timeout is off.
func (s *Sessions) Left(of *Session) (idling, rolling, absolute time.Duration) {
	return s.timeouts.left(of, s.now())
}
