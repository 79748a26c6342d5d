package session

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

// A session is rotated repeatedly until the absolute timeout.
func TestRotationGoesOnUntilTheAbsoluteTimeout(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(timeouts{rolling: time.Hour, absolute: 4 * time.Hour})
		id, ids := r.start(s, nil, john()), 0
		for range 4 {
			r.pass(46 * time.Minute)
			opened := r.open(s, id)
			if !opened.Rotated || opened.ID == id {
				t.Fatal("not rotated at 3/4 of the rolling timeout")
			}
			if again := r.open(s, opened.ID); again.Rotated || again.ID != opened.ID {
				t.Fatal("rotated twice")
			}
			id, ids = opened.ID, ids+1
		}
		r.pass(55 * time.Minute)
		r.open(s, id)
		r.pass(time.Minute)
		r.gone(s, id)
	})
}

func TestRotationUnderParallelRequests(t *testing.T) { onBoth(t, rotationUnderParallelRequests) }

func rotationUnderParallelRequests(r *rig) {
	t := r.T
	replicas := []*Sessions{r.sessions(usual), r.sessions(usual)}
	old := r.start(replicas[0], nil, john())
	for _, s := range replicas {
		r.open(s, old)
	}
	r.pass(10 * time.Minute)
	for range 4 { // used, so that it isn't idle
		r.open(replicas[0], old)
		r.pass(9 * time.Minute)
	}
	var mu sync.Mutex
	minted := map[ID]int{}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			opened, err := replicas[i%2].Open(context.Background(), old)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if opened.Rotated != (opened.ID != old) {
				t.Error("Rotated doesn't say whether the ID is new")
			}
			if opened.Rotated {
				minted[opened.ID]++
			}
		})
	}
	wg.Wait()
	if len(minted) != 1 {
		t.Fatalf("%d successors, expected 1", len(minted))
	}
	for i := range replicas {
		opened := r.open(replicas[i], old)
		if minted[opened.ID] == 0 || !opened.Rotated {
			t.Error("the old ID doesn't lead to its successor")
		}
	}
	r.pass(grace)
	for next := range minted {
		r.gone(replicas[0], old)
		r.gone(replicas[1], old)
		r.open(replicas[1], next)
	}
}

// A request that read the session before its rotation does not extend the life of the old ID.
func TestGraceIsNotProlonged(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, other := r.sessions(usual), r.sessions(usual)
		old := r.start(s, nil, john())
		r.pass(10 * time.Minute)
		e, err := other.store.load(context.Background(), old)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.move(context.Background(), e); err != nil {
			t.Fatal(err)
		}
		r.clock.offset.Add(int64(2 * time.Minute)) // Redis still has the record, as after a touch
		r.gone(other, old)
		r.gone(s, old)
	})
}

func TestLogoutWithTheOldIDEndsTheSuccessor(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(timeouts{rolling: time.Hour})
		old := r.start(s, nil, john())
		r.pass(50 * time.Minute)
		next := r.open(s, old).ID
		if err := s.End(context.Background(), old); err != nil {
			t.Fatal(err)
		}
		r.gone(s, old)
		r.gone(s, next)
	})
}

func TestLogoutDuringRotationIsNotUndone(t *testing.T) { onBoth(t, logoutDuringRotationIsNotUndone) }

func logoutDuringRotationIsNotUndone(r *rig) {
	t := r.T
	s, other := r.sessions(timeouts{rolling: time.Hour}), r.sessions(timeouts{rolling: time.Hour})
	named := func(name string) Login {
		l := john()
		l.SID, l.Subject = name, name
		return l
	}
	for name, logout := range map[string]func(id ID) error{
		"by ID": func(id ID) error { return other.End(context.Background(), id) },
		"by sid": func(ID) error {
			_, err := bySID(other, context.Background(), john().Issuer, "app", "by sid")
			return err
		},
		"by a login": func(id ID) error { r.start(other, &id, named("by a login")); return nil },
	} {
		old := r.start(s, nil, named(name))
		e, err := s.store.load(context.Background(), old) // as rotate reads it
		if err != nil {
			t.Fatal(err)
		}
		if err := logout(old); err != nil {
			t.Fatal(err)
		}
		if moved, err := s.move(context.Background(), e); !isNotFound(err) {
			t.Errorf("%s: got %v, %v, expected %v", name, moved, err, ErrNotFound)
		}
		r.gone(s, old)
		n, err := bySubject(s, context.Background(), john().Issuer, "app", name)
		if err != nil || n != 0 && name != "by a login" {
			t.Errorf("%s: %d sessions are left, %v", name, n, err)
		}
	}
}

// If a session is refreshed during its rotation, it keeps its old ID.
func TestRefreshDuringRotation(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, other := r.sessions(usual), r.sessions(usual)
		id := r.start(s, nil, john())
		e, err := s.store.load(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		r.quicker(other, id)
		now, err := s.move(t.Context(), e)
		if err != nil || now.id != id || now.session.Login.Identity.Tokens.AccessToken != "the other's" {
			t.Errorf("got %v, %v, expected the refreshed session under the old ID", now, err)
		}
		if n, err := bySubject(s, t.Context(), john().Issuer, "app", john().Subject); n != 1 || err != nil {
			t.Errorf("%d sessions, %v, expected one", n, err)
		}
	})
}

// A request with an ID that a login or a rotation replaced gets ErrReplaced: the browser has a newer cookie of that name, which
// must not be deleted. An ID whose session ended in another way does not.
func TestReplacedIDs(t *testing.T) { onBoth(t, replacedIDs) }

func replacedIDs(r *rig) {
	t := r.T
	s, other := r.sessions(timeouts{rolling: time.Hour}), r.sessions(timeouts{rolling: time.Hour})
	over, live, ended := newID(), r.start(s, nil, john()), r.start(s, nil, john())
	r.open(other, live)
	r.start(s, &over, john())
	r.start(s, &live, john())
	turned := r.start(s, nil, john())
	r.pass(50 * time.Minute)
	r.open(s, turned)
	r.pass(grace)
	over2 := r.start(s, nil, john())
	r.start(s, &over2, john())
	if err := s.End(t.Context(), ended); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		id       ID
		replaced bool
	}{
		"by a login":                 {over2, true},
		"by a rotation":              {turned, true},
		"a logout":                   {ended, false},
		"by a login, long ago":       {live, false},
		"of none, by one, long ago":  {over, false},
		"an ID that was never given": {newID(), false},
	} {
		for _, s := range []*Sessions{s, other} {
			_, err := s.Open(t.Context(), c.id)
			if !isNotFound(err) || errors.Is(err, ErrReplaced) != c.replaced {
				t.Errorf("%s: got %v", what, err)
			}
		}
	}
	planted := newID()
	r.start(s, &planted, john())
	if _, err := other.Open(t.Context(), planted); !errors.Is(err, ErrReplaced) {
		t.Errorf("a session that was over: got %v, expected %v", err, ErrReplaced)
	}
}
