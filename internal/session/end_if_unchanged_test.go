package session

import (
	"errors"
	"testing"
	"time"
)

// EndIfUnchanged ends the session that was read, but not one that another replica has refreshed or rotated since.
func TestEndIf(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(r *rig, replica *Sessions, id ID)
		changed bool
	}{
		"unchanged": {func(*rig, *Sessions, ID) {}, false},
		"refreshed": {func(r *rig, replica *Sessions, id ID) { r.quicker(replica, id) }, true},
		"rotated": {func(r *rig, replica *Sessions, id ID) {
			r.pass(50 * time.Minute)
			r.open(replica, id)
		}, true},
		"ended": {func(r *rig, replica *Sessions, id ID) {
			if err := replica.End(r.Context(), id); err != nil {
				r.Fatal(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				hour := timeouts{rolling: time.Hour}
				s, replica := r.sessions(hour), r.sessions(hour)
				id := r.start(s, nil, john())
				read := r.open(s, id).Session
				c.change(r, replica, id)
				if err := s.EndIfUnchanged(r.Context(), id, read); errors.Is(err, ErrChanged) != c.changed || err != nil && !c.changed {
					r.Errorf("got %v", err)
				}
				if _, err := s.Peek(r.Context(), id); (err == nil) != c.changed {
					r.Errorf("then the session: %v", err)
				}
			})
		})
	}
}

// EndIfUnchanged also ends a session that Update returned.
func TestEndIfRefreshed(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, i := r.sessions(usual), &issuer{clock: r.clock}
		id := r.start(s, nil, i.login())
		read, err := s.Update(r.Context(), id, i.refresh, noDiscard)
		if err != nil || !refreshed(read) {
			r.Fatal(read, err)
		}
		if err := s.EndIfUnchanged(r.Context(), id, read); err != nil {
			r.Error(err)
		}
		r.gone(s, id)
	})
}
