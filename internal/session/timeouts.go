package session

import "time"

// timeouts are when a session is over. Each is off if zero.
type timeouts struct {
	idling   time.Duration // since it was last used
	rolling  time.Duration // since its ID was issued
	absolute time.Duration // since the login
}

const (
	touchEvery   = time.Minute // at most so often a store is told that a session is in use
	touchPerIdle = 10          // and at least so often within the idling timeout, if that is short
)

// end is when a session is over however much it is used; the zero time for never.
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

// over reports whether the rolling or the absolute timeout has ended a session. Idling is for the store to judge: it
// forgets what isn't used.
func (t *timeouts) over(s *Session, now time.Time) bool {
	end := t.end(s)
	return !end.IsZero() && !now.Before(end)
}

// due reports whether a session is to go on under a new ID: at 3/4 of the rolling timeout.
func (t *timeouts) due(s *Session, now time.Time) bool {
	return t.rolling > 0 && now.Sub(s.Issued) >= t.rolling/4*3
}

// ttl is how long a session used now lives if nobody uses it again; zero is for ever.
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

// touchAfter is how long a store may leave out telling that a session is in use.
func (t *timeouts) touchAfter() time.Duration { return min(touchEvery, t.idling/touchPerIdle) }
