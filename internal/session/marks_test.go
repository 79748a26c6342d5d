package session

import (
	"context"
	"errors"
	"testing"
	"time"
)

// refused expects that a login has been ended by a logout.
func (r *rig) refused(s *Sessions, l Login, what string) {
	r.Helper()
	if _, _, err := s.Start(r.Context(), nil, l); !errors.Is(err, ErrLoggedOut) {
		r.Errorf("%s: got %v, expected %v", what, err, ErrLoggedOut)
	}
}

// second sets the clock to the beginning of the next second and returns it.
func (r *rig) second() time.Time {
	now := r.clock.now()
	next := now.Truncate(time.Second).Add(time.Second)
	r.clock.offset.Add(int64(next.Sub(now)))
	return next
}

// began returns a login of john that began at a time.
func began(at time.Time, sid string) Login {
	l := of("john", sid)
	l.Began = at
	return l
}

// An administrator's end holds for the logins that began until its second, by sid as well: the session at the provider keeps its sid, and
// the user must be able to log in again.
func TestAnAdministratorEndsLogins(t *testing.T) {
	for what, q := range map[string]Selection{
		"sid":    {Issuer: john().Issuer, ClientID: "app", SID: "1"},
		"sub":    {Issuer: john().Issuer, ClientID: "app", Subject: "john"},
		"client": {ClientID: "app"},
		"route":  {Route: "orders"},
	} {
		onBoth(t, func(r *rig) {
			s, other := r.sessions(usual), r.sessions(usual)
			now := r.second()
			id := r.start(s, nil, began(now.Add(-time.Hour), "1"))
			live := of("jane", "2")
			live.ClientID, live.Route, live.Began = "other", "other", now.Add(-time.Hour)
			janes := r.start(s, nil, live)
			if n, err := other.EndSelected(t.Context(), q); n != 1 || err != nil {
				t.Errorf("%s: ended %d, %v, expected 1", what, n, err)
			}
			r.gone(s, id)
			r.open(s, janes)
			r.refused(s, began(now.Add(-time.Minute), "1"), what+", a login that was under way")
			r.refused(s, began(now, "1"), what+", a login of the same second")
			again := r.start(s, nil, began(now.Add(time.Second), "1"))
			r.open(s, again)
			if n, err := other.EndSelected(t.Context(), q); n != 0 || err != nil {
				t.Errorf("%s, in the same second again: ended %d, %v, expected 0", what, n, err)
			}
			r.open(s, again)
			r.clock.offset.Add(int64(time.Second))
			if n, err := other.EndSelected(t.Context(), q); n != 1 || err != nil {
				t.Errorf("%s, a second later: ended %d, %v, expected 1", what, n, err)
			}
			r.gone(s, again)
		})
	}
}

func TestSelectionsThatDontEnd(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(usual)
		id := r.start(s, nil, of("john", "1"))
		issuer := john().Issuer
		for _, q := range []Selection{
			{}, {Issuer: issuer}, {Subject: "john"}, {SID: "1"}, {Issuer: issuer, ClientID: "app"}, {ClientID: "app", Route: "orders"},
			{Issuer: issuer, Subject: "john"}, {Issuer: issuer, ClientID: "app", Subject: "john", SID: "1"},
			{Issuer: issuer, ClientID: "app", Subject: "john", Route: "orders"},
		} {
			if n, err := s.EndSelected(t.Context(), q); n != 0 || !errors.Is(err, ErrSelection) {
				t.Errorf("%+v: got %d, %v, expected %v", q, n, err, ErrSelection)
			}
		}
		r.open(s, id)
	})
}

// A logout token ends only logins that began until its iat, so one that is sent twice ends no later login.
func TestALogoutTokenEndsNoLaterLogin(t *testing.T) { onBoth(t, aLogoutTokenEndsNoLaterLogin) }

func aLogoutTokenEndsNoLaterLogin(r *rig) {
	t := r.T
	s := r.sessions(usual)
	now := r.second()
	token := Logout{Issuer: john().Issuer, ClientID: "app", Subject: "john", Issued: now}
	before, same, after := r.start(s, nil, began(now.Add(-time.Second), "1")), r.start(s, nil, began(now, "2")),
		r.start(s, nil, began(now.Add(time.Second), "3"))
	for n, expected := range []int{2, 0} {
		if got, err := s.EndLogins(t.Context(), token); got != expected || err != nil {
			t.Errorf("time %d: ended %d, %v, expected %d", n+1, got, err, expected)
		}
	}
	r.gone(s, before)
	r.gone(s, same)
	r.open(s, after)

	// of two marks the later one counts, in either order
	token.Issued = now.Add(-time.Hour)
	if n, err := s.EndLogins(t.Context(), token); n != 0 || err != nil {
		t.Errorf("an older token: ended %d, %v", n, err)
	}
	r.refused(s, began(now, "4"), "after an older token")
	token.Issued = now.Add(time.Minute)
	if n, err := s.EndLogins(t.Context(), token); n != 1 || err != nil {
		t.Errorf("a later token: ended %d, %v", n, err)
	}
	r.refused(s, began(now.Add(time.Minute), "4"), "after a later token")
}

// A logout token with a sid and a sub ends the logins of the sid, and those of the sub that have no sid.
func TestALogoutOfSIDAndSubject(t *testing.T) { onBoth(t, aLogoutOfSIDAndSubject) }

func aLogoutOfSIDAndSubject(r *rig) {
	t := r.T
	s := r.sessions(usual)
	now := r.second()
	named, without, another := r.start(s, nil, began(now, "1")), r.start(s, nil, began(now, "")), r.start(s, nil, began(now, "2"))
	later := r.start(s, nil, began(now.Add(time.Second), ""))
	n, err := s.EndLogins(t.Context(), Logout{Issuer: john().Issuer, ClientID: "app", SID: "1", Subject: "john", Issued: now})
	if n != 2 || err != nil {
		t.Errorf("ended %d, %v, expected 2", n, err)
	}
	r.gone(s, named)
	r.gone(s, without)
	r.open(s, another)
	r.open(s, later)
	r.refused(s, began(now, ""), "a login without sid that is under way")
	r.open(s, r.start(s, nil, began(now, "3")))
}

// A sid that the provider has ended begins no login as long as the mark lives: 15 minutes. Another sid does.
func TestAnEndedSIDIsFinal(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(usual)
		if n, err := bySID(s, t.Context(), john().Issuer, "app", "1"); n != 0 || err != nil {
			t.Errorf("ended %d, %v", n, err)
		}
		r.pass(markLife - time.Minute)
		r.refused(s, began(r.clock.now().Add(time.Hour), "1"), "the ended sid")
		r.open(s, r.start(s, nil, began(r.clock.now(), "2")))
		r.pass(time.Minute)
		r.open(s, r.start(s, nil, began(r.clock.now(), "1")))
	})
}

// A login or a rotation that takes longer than a mark lives could miss a logout.
func TestSlowLoginsAndRotationsEnd(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(timeouts{rolling: 4 * time.Hour})
		slow := began(r.clock.now(), "1")
		slow.Obtained = r.clock.now().Add(-markLife)
		r.refused(s, slow, "tokens of 15 minutes ago")
		slow.Obtained = slow.Obtained.Add(5 * time.Second)
		r.open(s, r.start(s, nil, slow))
		r.refused(r.slow(s, "marks"), began(r.clock.now(), "2"), "15 minutes between the record and the marks")

		id := r.start(s, nil, began(r.clock.now(), "3"))
		e, err := s.store.load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		now, err := r.slow(s, "marks").move(t.Context(), e)
		if err != nil || now.id != id {
			t.Errorf("a slow rotation: got %v, %v, expected the session under its old ID", now, err)
		}
		if all := r.pages(s, Selection{SID: "3"}, 10); len(all) != 1 {
			t.Errorf("%d sessions after a slow rotation, expected 1", len(all))
		}
	})
}

// slow returns Sessions over the store of s in which 15 minutes pass before a step.
func (r *rig) slow(s *Sessions, step string) *Sessions {
	return hook(s, step, func() { r.clock.offset.Add(int64(markLife)) })
}

// A hookedStore calls before, once, before its step.
type hookedStore struct {
	store
	step   string
	before func()
}

// hook returns Sessions over the store of s with a hook before the next index, add, marks (which are read) or swap.
func hook(s *Sessions, step string, before func()) *Sessions {
	hooked := newSessions(&hookedStore{s.store, step, before}, s.timeouts, s.now, s.log)
	return hooked
}

func (h *hookedStore) at(step string) {
	if before := h.before; step == h.step && before != nil {
		h.before = nil
		before()
	}
}

func (h *hookedStore) index(ctx context.Context, id ID, s *Session) error {
	h.at("index")
	return h.store.index(ctx, id, s)
}

func (h *hookedStore) add(ctx context.Context, id ID, s *Session) error {
	h.at("add")
	return h.store.add(ctx, id, s)
}

func (h *hookedStore) latestMark(ctx context.Context, keys []indexKey) (mark, error) {
	h.at("marks")
	return h.store.latestMark(ctx, keys)
}

func (h *hookedStore) swap(ctx context.Context, old, next *entry) error {
	h.at("swap")
	return h.store.swap(ctx, old, next)
}
