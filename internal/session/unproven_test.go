package session

import (
	"errors"
	"fmt"
	"testing"
)

// Strangers can write a bounded number of marks: with logouts of sids that no session has. The sids of sessions, and logouts that a logout
// token proves, are never refused.
func TestUnprovenLogoutsAreBounded(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(usual)
		frame := func(sid string) (int, error) {
			return s.EndLogins(t.Context(), Logout{Issuer: john().Issuer, ClientID: "app", SID: sid, Unproven: true})
		}
		s.unproven.since, s.unproven.marks = r.clock.now(), maxUnproven-1
		known, live := r.start(s, nil, of("john", "known")), r.start(s, nil, of("john", "live"))
		if n, err := frame("known"); n != 1 || err != nil { // it takes no place
			t.Errorf("a session's sid: ended %d, %v", n, err)
		}
		r.gone(s, known)
		if n, err := frame("last"); n != 0 || err != nil {
			t.Errorf("the last place: ended %d, %v", n, err)
		}
		r.refused(s, of("john", "last"), "a login that was under way")
		for n := range 3 {
			if _, err := frame(fmt.Sprint("one more ", n)); !errors.Is(err, ErrUnavailable) {
				t.Errorf("one more: %v", err)
			}
		}
		r.open(s, r.start(s, nil, of("john", "one more 0"))) // no mark was written
		if n, err := frame("live"); n != 1 || err != nil {
			t.Errorf("a session's sid, after too many others: ended %d, %v", n, err)
		}
		r.gone(s, live)
		if _, err := bySID(s, t.Context(), john().Issuer, "app", "proven"); err != nil {
			t.Errorf("a proven logout: %v", err)
		}
		r.pass(markLife)
		if _, err := frame("later"); err != nil {
			t.Errorf("when the first marks have expired: %v", err)
		}
	})
}
