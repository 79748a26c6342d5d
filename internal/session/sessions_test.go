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
		a := john()
		id := r.start(s, nil, a)
		for range 2 { // decoded, and from what is kept decoded
			for _, s := range []*Sessions{s, replica} {
				opened := r.open(s, id)
				if opened.ID != id || opened.Renewed {
					t.Error("the ID changed")
				}
				if got := opened.Session.Audience("default", a.Issuer, "app"); got == nil || !reflect.DeepEqual(*got, a) {
					t.Errorf("got %+v, expected %+v", got, a)
				}
			}
		}
		if r.open(s, id).Session != r.open(s, id).Session {
			t.Error("an unchanged session was decoded again")
		}
		if opened := r.open(s, id); opened.Session.Audience("default", a.Issuer, "another") != nil {
			t.Error("another client's audience was found")
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
		used     []time.Duration // after each the session is used and alive
		over     time.Duration   // after the last of them it is over; zero: never
	}{
		"idling":                   {timeouts{15 * m, 0, 0}, []time.Duration{14 * m, 14 * m, 14 * m}, 15 * m},
		"idling, not used at all":  {timeouts{15 * m, 0, 0}, nil, 15 * m},
		"idling, short":            {timeouts{20 * time.Second, 0, 0}, []time.Duration{15 * time.Second, 15 * time.Second}, 21 * time.Second},
		"rolling, not renewed":     {timeouts{0, 60 * m, 0}, []time.Duration{44 * m}, 16 * m},
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

// Through renewals a session lives on, until the absolute timeout.
func TestRenewalGoesOnUntilTheAbsoluteTimeout(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(timeouts{rolling: time.Hour, absolute: 4 * time.Hour})
		id, ids := r.start(s, nil, john()), 0
		for range 4 {
			r.pass(46 * time.Minute)
			opened := r.open(s, id)
			if !opened.Renewed || opened.ID == id {
				t.Fatal("not renewed at 3/4 of the rolling timeout")
			}
			if again := r.open(s, opened.ID); again.Renewed || again.ID != opened.ID {
				t.Fatal("renewed twice")
			}
			id, ids = opened.ID, ids+1
		}
		r.pass(55 * time.Minute)
		r.open(s, id)
		r.pass(time.Minute)
		r.gone(s, id)
	})
}

func TestRenewalUnderParallelRequests(t *testing.T) {
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
				if opened.Renewed != (opened.ID != old) {
					t.Error("Renewed doesn't say whether the ID is new")
				}
				if opened.Renewed {
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
			if minted[opened.ID] == 0 || !opened.Renewed {
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

// A request that has read the session before its renewal must not prolong the life of the old ID.
func TestGraceIsNotProlonged(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, other := r.sessions(usual), r.sessions(usual)
		old := r.start(s, nil, john())
		r.pass(10 * time.Minute)
		e, err := other.store.load(context.Background(), old)
		if err != nil {
			t.Fatal(err)
		}
		next := *e.session
		if err := s.store.save(context.Background(), newID(), &next, e, true); err != nil {
			t.Fatal(err)
		}
		r.clock.offset.Add(int64(2 * time.Minute)) // Redis still has it, as if it had been touched
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

func TestLogoutDuringRenewalIsNotUndone(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, other := r.sessions(timeouts{rolling: time.Hour}), r.sessions(timeouts{rolling: time.Hour})
		for name, logout := range map[string]func(id ID) error{
			"by ID":      func(id ID) error { return other.End(context.Background(), id) },
			"by sid":     func(ID) error { _, err := other.EndBySID(context.Background(), john().Issuer, john().SID); return err },
			"by a login": func(id ID) error { _, _, err := other.Start(context.Background(), &id, john()); return err },
		} {
			old := r.start(s, nil, john())
			e, err := s.store.load(context.Background(), old) // what renew works on
			if err != nil {
				t.Fatal(err)
			}
			if err := logout(old); err != nil {
				t.Fatal(err)
			}
			next, successor := *e.session, newID()
			if err := s.store.save(context.Background(), successor, &next, e, true); !errors.Is(err, errChanged) {
				t.Errorf("%s: got %v, expected %v", name, err, errChanged)
			}
			r.gone(s, old)
			r.gone(s, successor)
		}
	})
}

// A login makes a new ID, whatever the browser had (session fixation), and keeps the other audiences.
func TestLoginCarriesOverAudiences(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(usual)
		first, second := john(), john()
		second.Name, second.Issuer, second.Subject = "admin", "https://other.example.com", "other-sub"
		old := r.start(s, nil, first)
		created := r.open(s, old).Session.Created
		r.pass(5 * time.Minute)
		both := r.start(s, &old, second)
		r.gone(s, old)
		session := r.open(s, both).Session
		if session.Audience("default", first.Issuer, "app") == nil || session.Audience("admin", second.Issuer, "app") == nil {
			t.Fatalf("got %d audiences, expected both", len(session.Audiences))
		}
		if !session.Created.Equal(created) {
			t.Error("another login prolonged the first one's absolute timeout")
		}
		again := john()
		again.Subject = "jane-sub"
		replaced := r.start(s, &both, again)
		r.gone(s, both)
		session = r.open(s, replaced).Session
		if got := session.Audience("default", first.Issuer, "app"); got.Subject != "jane-sub" || len(session.Audiences) != 2 {
			t.Errorf("got %s of %d audiences, expected jane-sub of 2", got.Subject, len(session.Audiences))
		}
		unknown := newID() // planted, or long over
		if fresh := r.start(s, &unknown, john()); fresh == unknown || len(r.open(s, fresh).Session.Audiences) != 1 {
			t.Error("an ID without a session was believed")
		}
	})
}

func TestLoginWithARenewedID(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(timeouts{rolling: time.Hour})
		old := r.start(s, nil, john())
		r.pass(50 * time.Minute)
		next := r.open(s, old).ID
		id := r.start(s, &old, john())
		r.gone(s, old)
		r.gone(s, next)
		if s := r.open(s, id).Session; s.Created.Before(r.clock.now().Add(-time.Minute)) {
			t.Error("a login of the same audience alone is a new session")
		}
	})
}

func TestLogoutFromAnywhere(t *testing.T) {
	onBoth(t, func(r *rig) {
		s, replica := r.sessions(usual), r.sessions(usual)
		ctx, audience := context.Background(), func(issuer, subject, sid string) Audience {
			a := john()
			a.Issuer, a.Subject, a.SID = issuer, subject, sid
			return a
		}
		laptop := r.start(s, nil, audience("https://a", "john", "1"))
		phone := r.start(s, nil, audience("https://a", "john", "2"))
		jane := r.start(s, nil, audience("https://a", "jane", "3"))
		foreign := r.start(s, nil, audience("https://b", "john", "1"))
		for _, c := range []struct {
			end      func(context.Context, string, string) (int, error)
			issuer   string
			value    string
			expected int
		}{
			{replica.EndBySID, "https://a", "nobody", 0},
			{replica.EndBySID, "https://c", "1", 0},
			{replica.EndBySubject, "https://a", "1", 0}, // a sid is no sub
			{replica.EndBySID, "https://a", "1", 1},
			{replica.EndBySID, "https://a", "1", 0},
			{replica.EndBySubject, "https://a", "john", 1},
		} {
			if n, err := c.end(ctx, c.issuer, c.value); err != nil || n != c.expected {
				t.Errorf("%s %s: got %d, %v, expected %d", c.issuer, c.value, n, err, c.expected)
			}
		}
		r.gone(s, laptop)
		r.gone(s, phone)
		r.open(s, jane)
		r.open(s, foreign)
	})
}

func TestLogoutFromAnywhereFindsRenewedSessions(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(timeouts{rolling: time.Hour})
		id := r.start(s, nil, john())
		for range 3 {
			r.pass(50 * time.Minute)
			id = r.open(s, id).ID
		}
		if n, err := s.EndBySubject(context.Background(), john().Issuer, john().Subject); n != 1 || err != nil {
			t.Errorf("got %d, %v, expected 1", n, err)
		}
		r.gone(s, id)
	})
}

func TestSessionsAreImmutable(t *testing.T) {
	a := john()
	s := &Session{Version: version, Audiences: []Audience{a}}
	b := a
	b.Subject = "jane"
	if next := s.With(b); s.Audiences[0].Subject != a.Subject || next.Audiences[0].Subject != "jane" || len(next.Audiences) != 1 {
		t.Errorf("With changed what it was called on: %v, %v", s.Audiences, next.Audiences)
	}
	c := a
	c.Name = "other"
	if next := s.With(c); len(s.Audiences) != 1 || len(next.Audiences) != 2 {
		t.Error("With didn't add")
	}
}

func TestMemoryIsBounded(t *testing.T) {
	r := &rig{T: t, clock: &clock{}, log: &syncBuffer{}}
	s := r.sessions(usual)
	r.memory.max = 10
	var ids []ID
	for range 10 {
		ids = append(ids, r.start(s, nil, john()))
		r.pass(time.Minute)
	}
	r.open(s, ids[0]) // used: it is no longer the first to end
	last := r.start(s, nil, john())
	r.gone(s, ids[1])
	for i, id := range append(ids[2:], ids[0], last) {
		if _, err := s.Open(t.Context(), id); err != nil {
			t.Errorf("session %d: %v", i, err)
		}
	}
	if len(r.memory.entries) != 10 || r.log.String() == "" {
		t.Errorf("%d sessions, expected 10 and a warning: %q", len(r.memory.entries), r.log.String())
	}
}

func TestMemorySweeps(t *testing.T) {
	r := &rig{T: t, clock: &clock{}, log: &syncBuffer{}}
	s := r.sessions(usual)
	var used ID
	for i := range 100 {
		a := john()
		a.Subject = fmt.Sprint("sub ", i)
		used = r.start(s, nil, a)
	}
	r.memory.lease(t.Context(), newID(), "dead", time.Second)
	r.pass(10 * time.Minute)
	r.open(s, used)
	r.pass(10 * time.Minute)
	r.memory.sweep()
	if len(r.memory.entries) != 1 || len(r.memory.queue) != 1 || len(r.memory.leases) != 0 || len(r.memory.index) != 2 {
		t.Errorf("after the sweep: %d sessions, %d queued, %d leases, %d indexes; expected 1, 1, 0, 2",
			len(r.memory.entries), len(r.memory.queue), len(r.memory.leases), len(r.memory.index))
	}
	r.open(s, used)
	r.pass(time.Hour)
	r.memory.sweep()
	if len(r.memory.entries)+len(r.memory.queue)+len(r.memory.index) != 0 {
		t.Error("something is left")
	}
}
