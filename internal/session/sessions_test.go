package session

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"
)

func isNotFound(err error) bool {
	return errors.Is(err, ErrNotFound) && !errors.Is(err, ErrUnavailable)
}

func TestStartOpenEnd(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, replica := r.sessions(usual), r.sessions(usual)
		login := john()
		id := r.start(s, nil, login)
		for range 2 { // decoded from the record, and cached
			for _, s := range []*Sessions{s, replica} {
				opened := r.open(s, id)
				if opened.ID != id || opened.Rotated {
					t.Error("the ID changed")
				}
				if got := opened.Session.Login; !reflect.DeepEqual(got, login) {
					t.Errorf("got %+v, expected %+v", got, login)
				}
			}
		}
		if r.open(s, id).Session != r.open(s, id).Session {
			t.Error("an unchanged session was decoded again")
		}
		r.gone(s, newID())
		if err := replica.End(context.Background(), id); err != nil {
			t.Fatal(err)
		}
		r.gone(s, id)
		r.gone(replica, id)
		if err := s.End(context.Background(), id); err != nil {
			t.Errorf("ending twice: %v", err)
		}
		if err := s.Ping(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestTimeouts(t *testing.T) {
	const m = time.Minute
	cases := map[string]struct {
		timeouts timeouts
		used     []time.Duration // pauses, after each of which the session is valid
		over     time.Duration   // after the last use it has ended; zero: never
	}{
		"idling":                   {timeouts{15 * m, 0, 0}, []time.Duration{14 * m, 14 * m, 14 * m}, 15 * m},
		"idling, not used at all":  {timeouts{15 * m, 0, 0}, nil, 15 * m},
		"idling, short":            {timeouts{m / 3, 0, 0}, []time.Duration{m / 4, m / 4}, 21 * time.Second},
		"rolling, not rotated":     {timeouts{0, 60 * m, 0}, []time.Duration{44 * m}, 16 * m},
		"rolling, shorter":         {timeouts{90 * m, 60 * m, 0}, []time.Duration{44 * m}, 16 * m},
		"absolute, however used":   {timeouts{15 * m, 0, 60 * m}, []time.Duration{14 * m, 14 * m, 14 * m, 14 * m}, 4 * m},
		"absolute, not used again": {timeouts{0, 0, 60 * m}, []time.Duration{59 * m}, 1 * m},
		"all off":                  {timeouts{}, []time.Duration{365 * 24 * 60 * m, 365 * 24 * 60 * m}, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(r *rig) {
				s := r.sessions(c.timeouts)
				id := r.start(s, nil, john())
				for _, d := range c.used {
					r.pass(d)
					r.open(s, id)
				}
				if c.over == 0 {
					return
				}
				r.pass(c.over)
				r.gone(s, id)
			})
		})
	}
}

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

func TestRotationUnderParallelRequests(t *testing.T) {
	onBoth(t, func(r *rig) {
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
	})
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

func TestLogoutDuringRotationIsNotUndone(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, other := r.sessions(timeouts{rolling: time.Hour}), r.sessions(timeouts{rolling: time.Hour})
		for name, logout := range map[string]func(id ID) error{
			"by ID": func(id ID) error { return other.End(context.Background(), id) },
			"by sid": func(ID) error {
				_, err := other.EndBySID(context.Background(), john().Issuer, "app", john().SID)
				return err
			},
			"by a login": func(id ID) error { _, _, err := other.Start(context.Background(), &id, john()); return err },
		} {
			old := r.start(s, nil, john())
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
			n, err := s.EndBySubject(context.Background(), john().Issuer, "app", john().Subject)
			if err != nil || n != 0 && name != "by a login" {
				t.Errorf("%s: %d sessions are left, %v", name, n, err)
			}
		}
	})
}

// A refresh during a rotation undoes the rotation.
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
		if n, err := s.EndBySubject(t.Context(), john().Issuer, "app", john().Subject); n != 1 || err != nil {
			t.Errorf("%d sessions, %v, expected one", n, err)
		}
	})
}

// A login makes a new ID whatever ID the browser has (session fixation), and ends the former session.
func TestALoginEndsTheOneBefore(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(timeouts{rolling: time.Hour})
		old := r.start(s, nil, john())
		r.pass(50 * time.Minute)
		rotated := r.open(s, old).ID
		jane := john()
		jane.Subject = "jane-sub"
		next := r.start(s, &old, jane)
		if got := r.open(s, next).Session; got.Login.Subject != "jane-sub" || got.Created.Before(r.clock.now().Add(-time.Minute)) {
			t.Errorf("got %+v, expected a new session of jane", got)
		}
		r.gone(s, old)
		r.gone(s, rotated)
		unknown := newID() // planted by an attacker, or expired
		if fresh := r.start(s, &unknown, john()); fresh == unknown || r.open(s, fresh).ID != fresh {
			t.Error("an ID without a session was believed")
		}
		r.gone(s, unknown)
	})
}

// A request with an ID that a login or a rotation replaced gets ErrReplaced: the browser has a newer cookie of that name, which
// must not be deleted. An ID whose session ended in another way does not.
func TestReplacedIDs(t *testing.T) {
	onBoth(t, func(r *rig) {
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
	})
}

func TestLogoutFromAnywhere(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, replica := r.sessions(usual), r.sessions(usual)
		ctx, login := context.Background(), func(issuer, subject, sid string) Login {
			l := john()
			l.Issuer, l.Subject, l.SID = issuer, subject, sid
			return l
		}
		laptop := r.start(s, nil, login("https://a", "john", "1"))
		phone := r.start(s, nil, login("https://a", "john", "2"))
		jane := r.start(s, nil, login("https://a", "jane", "3"))
		foreign := r.start(s, nil, login("https://b", "john", "1"))
		for _, c := range []struct {
			end      func(ctx context.Context, issuer, clientID, value string) (int, error)
			issuer   string
			client   string
			value    string
			expected int
		}{
			{replica.EndBySID, "https://a", "app", "nobody", 0},
			{replica.EndBySID, "https://c", "app", "1", 0},
			{replica.EndBySubject, "https://a", "app", "1", 0}, // a sid is no sub
			{replica.EndBySID, "https://a", "other", "1", 0},
			{replica.EndBySID, "https://a", "app", "1", 1},
			{replica.EndBySID, "https://a", "app", "1", 0},
			{replica.EndBySubject, "https://a", "app", "john", 1},
		} {
			if n, err := c.end(ctx, c.issuer, c.client, c.value); err != nil || n != c.expected {
				t.Errorf("%s %s %s: got %d, %v, expected %d", c.issuer, c.client, c.value, n, err, c.expected)
			}
		}
		r.gone(s, laptop)
		r.gone(s, phone)
		r.open(s, jane)
		r.open(s, foreign)
	})
}

func TestLogoutFromAnywhereFindsRotatedSessions(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(timeouts{rolling: time.Hour})
		id := r.start(s, nil, john())
		for range 3 {
			r.pass(50 * time.Minute)
			id = r.open(s, id).ID
		}
		if n, err := s.EndBySubject(context.Background(), john().Issuer, "app", john().Subject); n != 1 || err != nil {
			t.Errorf("got %d, %v, expected 1", n, err)
		}
		r.gone(s, id)
	})
}

func TestSessionsAreImmutable(t *testing.T) {
	s := &Session{Version: version, Login: john()}
	jane := john()
	jane.Subject = "jane"
	if next := s.With(jane); s.Login.Subject != john().Subject || next.Login.Subject != "jane" {
		t.Errorf("With changed what it was called on: %v, %v", s.Login, next.Login)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	r := &rig{T: t, clock: &clock{}, log: &syncBuffer{}}
	s := r.sessions(usual)
	r.memory.entries.Max = 10
	var ids []ID
	for range 10 {
		ids = append(ids, r.start(s, nil, john()))
		r.pass(time.Minute)
	}
	r.open(s, ids[0]) // used: it is no longer the first to expire
	last := r.start(s, nil, john())
	r.gone(s, ids[1])
	for i, id := range append(ids[2:], ids[0], last) {
		if _, err := s.Open(t.Context(), id); err != nil {
			t.Errorf("session %d: %v", i, err)
		}
	}
	if r.memory.entries.Len() != 10 || r.log.String() == "" {
		t.Errorf("%d sessions, expected 10 and a warning: %q", r.memory.entries.Len(), r.log.String())
	}
}

func TestMemorySweeps(t *testing.T) {
	r := &rig{T: t, clock: &clock{}, log: &syncBuffer{}}
	s := r.sessions(usual)
	var used ID
	for i := range 100 {
		l := john()
		l.Subject = fmt.Sprint("sub ", i)
		used = r.start(s, nil, l)
	}
	r.memory.lease(t.Context(), newID(), "dead", time.Second)
	r.pass(10 * time.Minute)
	r.open(s, used)
	r.pass(10 * time.Minute)
	r.memory.sweep()
	if m := r.memory; m.entries.Len() != 1 || m.leases.Len() != 0 || len(m.index) != 2 {
		t.Errorf("after the sweep: %d sessions, %d leases, %d index keys; expected 1, 0, 2", m.entries.Len(), m.leases.Len(), len(m.index))
	}
	r.open(s, used)
	r.pass(time.Hour)
	r.memory.sweep()
	if r.memory.entries.Len()+len(r.memory.index) != 0 {
		t.Error("something is left")
	}
}
