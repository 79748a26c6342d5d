package auth

import "time"

// A Session has the properties of a request's session that headers can send. It doesn't have the session's ID, which is a bearer secret.
type Session struct {
	ID       string // a hash of the session's ID
	Subject  string
	Audience string // session_audience

	// Idling, Rolling and Absolute are the times until the session's timeouts end it. Zero means that a timeout is off.
	Idling, Rolling, Absolute time.Duration
}

// Timeout returns the time until the first of the timeouts ends the session. Zero means that all are off.
func (s *Session) Timeout() (first time.Duration) {
	for _, left := range []time.Duration{s.Idling, s.Rolling, s.Absolute} {
		if left > 0 && (first == 0 || left < first) {
			first = left
		}
	}
	return first
}
