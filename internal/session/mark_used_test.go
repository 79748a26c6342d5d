package session

import (
	"testing"
	"time"
)

// TestOnce checks that of all replicas that share a store one is the first, until it removes the mark or the mark expires.
func TestOnce(t *testing.T) {
	onBoth(t, func(r *rig) {
		a, b := r.sessions(usual), r.sessions(usual)
		once := func(s *Sessions, secret string, want bool) func() {
			t.Helper()
			undo, first, err := s.MarkUsed(t.Context(), []byte(secret), time.Minute)
			if err != nil || first != want {
				t.Fatalf("%s: first %v, %v, expected %v", secret, first, err, want)
			}
			return func() { undo(t.Context()) }
		}
		undo := once(a, "login", true)
		once(a, "login", false)
		if r.server != nil {
			once(b, "login", false)
		}
		once(a, "another login", true)
		undo()
		once(a, "login", true)
	})
}
