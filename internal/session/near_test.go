package session

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// A nearReplica is a replica with a near cache.
type nearReplica struct {
	*Sessions
	store *redisStore
	get   *getHook
}

// A getHook calls after, once, when a GET was answered and the store hasn't seen the answer.
type getHook struct{ after atomic.Pointer[func()] }

func (h *getHook) DialHook(next goredis.DialHook) goredis.DialHook { return next }
func (h *getHook) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

func (h *getHook) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		if cmd.Name() == "get" {
			if f := h.after.Swap(nil); f != nil {
				(*f)()
			}
		}
		return err
	}
}

// near opens the rig's store as a replica that uses copies for up to life.
func (r *rig) near(life time.Duration, t timeouts) *nearReplica {
	r.Helper()
	s := r.sessions(t)
	n := &nearReplica{s, s.store.(*redisStore), &getHook{}}
	n.store.near.life = life
	n.store.client.AddHook(n.get)
	return n
}

// copied opens a session until the replica has a copy that it may use.
func (r *rig) copied(n *nearReplica, id ID) {
	r.Helper()
	await(r, "subscription", func() bool {
		r.open(n.Sessions, id)
		return n.store.near.connection.Load() != 0
	})
	for range 3 { // decode, confirm, use
		r.open(n.Sessions, id)
	}
}

// gets returns how many GETs f causes.
func (r *rig) gets(f func()) int {
	r.Helper()
	before := r.server.Calls(r, "get")
	f()
	return r.server.Calls(r, "get") - before
}

func TestANearCopyAsksNothingUntilItsTime(t *testing.T) {
	r := redisRig(t)
	s := r.near(time.Second, usual)
	id := r.start(s.Sessions, nil, john())
	r.copied(s, id)
	commands := func() int { return r.server.Calls(t, "evalsha") + r.server.Calls(t, "eval") }
	before := commands()
	n := r.gets(func() {
		r.clock.offset.Add(int64(2 * time.Second)) // the next GET confirms the copy
		r.open(s.Sessions, id)
		for range 100 {
			r.open(s.Sessions, id)
		}
	})
	// the rest of the time is that of a slow machine
	if n > 20 || commands() != before {
		t.Errorf("101 requests: %d GETs and %d scripts", n, commands()-before)
	}
	if n := r.gets(func() {
		r.clock.offset.Add(int64(time.Second))
		r.open(s.Sessions, id)
	}); n != 1 {
		t.Errorf("%d GETs a second later, expected 1", n)
	}
}

// The time of a copy begins when the GET was sent, not when its answer came.
func TestTheTimeOfACopyBeginsWithTheGet(t *testing.T) {
	r := redisRig(t)
	s := r.near(time.Hour, timeouts{})
	id := r.start(s.Sessions, nil, john())
	r.copied(s, id)
	slow := func() { r.clock.offset.Add(int64(40 * time.Minute)) }
	s.get.after.Store(&slow)
	r.clock.offset.Add(int64(time.Hour))
	s.store.look(t.Context(), id)
	cached, _ := s.store.decoded.GetIfPresent(id)
	for add, expected := range map[time.Duration]bool{19 * time.Minute: true, 20 * time.Minute: false} {
		if got := s.store.near.lasts(cached.confirmed.Load(), cached.group, r.clock.now().Add(add)); got != expected {
			t.Errorf("used %s after an answer that took 40 minutes: %v", add, got)
		}
	}
}

// A GET is answered, a logout's message arrives, and then the replica handles the answer.
func TestAnAnswerFromBeforeAMessageIsNotKept(t *testing.T) {
	r := redisRig(t)
	s, other := r.near(time.Hour, timeouts{}), r.sessions(timeouts{})
	id := r.start(s.Sessions, nil, john())
	r.copied(s, id)
	messages := &s.store.near.messages[s.store.near.group(id.digest())]
	before := messages.Load()
	logout := func() {
		if err := other.End(t.Context(), id); err != nil {
			t.Error(err)
		}
		await(t, "message", func() bool { return messages.Load() > before })
	}
	s.get.after.Store(&logout)
	s.store.look(t.Context(), id)
	if messages.Load() == before {
		t.Fatal("the GET wasn't delayed")
	}
	r.gone(s.Sessions, id)
}

// Each change at another replica ends the copy by its message: the time of the copy doesn't.
func TestMessagesEndCopies(t *testing.T) {
	r := redisRig(t)
	forever := timeouts{rolling: 100 * time.Hour}
	s, other := r.near(1000*time.Hour, forever), r.sessions(forever)
	i := &issuer{clock: r.clock}
	for name, change := range map[string]func(ID, Login) error{
		"logout":        func(id ID, _ Login) error { return other.End(t.Context(), id) },
		"by sid":        func(_ ID, l Login) error { return second(bySID(other, t.Context(), l.Issuer, l.ClientID, l.SID)) },
		"by route":      func(_ ID, l Login) error { return second(other.EndSelected(t.Context(), Selection{Route: l.Route})) },
		"another login": func(id ID, _ Login) error { _, _, err := other.Start(t.Context(), &id, john()); return err },
		"if unchanged": func(id ID, _ Login) error {
			return other.EndIfUnchanged(t.Context(), id, r.open(other, id).Session)
		},
		"refresh": func(id ID, _ Login) error {
			return second(other.Update(t.Context(), id, i.refresh, noDiscard))
		},
		"rotation": func(id ID, _ Login) error {
			e, err := other.read(t.Context(), id)
			if err == nil {
				_, err = other.move(t.Context(), e)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := i.login()
			l.SID, l.Route = "sid of "+name, "route of "+name
			id := r.start(other, nil, l)
			r.copied(s, id)
			copied := r.open(s.Sessions, id)
			if err := change(id, l); err != nil {
				t.Fatal(err)
			}
			await(t, "message", func() bool {
				opened, err := s.Open(t.Context(), id)
				return isNotFound(err) || err == nil && opened.Session != copied.Session
			})
		})
	}
}

func TestALostSubscriptionEndsAllCopies(t *testing.T) {
	r := redisRig(t)
	s, c := r.near(1000*time.Hour, timeouts{}), r.server.Client(t, 0)
	id := r.start(s.Sessions, nil, john())
	r.copied(s, id)
	c.Del(t.Context(), s.store.record(id)) // without a message
	r.open(s.Sessions, id)
	c.ClientKillByFilter(t.Context(), "TYPE", "pubsub")
	await(t, "end of the copy", func() bool { return isNotFound(second(s.Open(t.Context(), id))) })

	id = r.start(s.Sessions, nil, john())
	r.copied(s, id) // there is another subscription
	c.Do(t.Context(), "ACL", "SETUSER", r.server.Settings().Username, "-subscribe")
	c.ClientKillByFilter(t.Context(), "TYPE", "pubsub")
	await(t, "loss", func() bool { return s.store.near.connection.Load() == 0 })
	n := r.gets(func() {
		for range 100 {
			r.open(s.Sessions, id)
		}
	})
	if n != 100 {
		t.Errorf("100 requests while no messages arrive: %d GETs", n)
	}
	await(t, "warning", func() bool { return strings.Contains(r.log.String(), "NOPERM") })
}

// What changes a session, and the touch, ask Redis: the copy would say that the session lives.
func TestCopiesAreForRequestsOnly(t *testing.T) {
	r := redisRig(t)
	l := timeouts{idling: 10 * time.Hour, rolling: 100 * time.Hour}
	s, c, ctx := r.near(1000*time.Hour, l), r.server.Client(t, 0), t.Context()
	for name, asks := range map[string]func(id ID, copied *Session) error{
		"peek": func(id ID, _ *Session) error { return second(s.Peek(ctx, id)) },
		"update": func(id ID, _ *Session) error {
			return second(s.Update(ctx, id, (&issuer{clock: r.clock}).refresh, noDiscard))
		},
		"logout": func(id ID, _ *Session) error {
			if ended, err := s.EndLogin(ctx, id); ended != nil || err != nil {
				return errors.Join(errors.New("it ended a session"), err)
			}
			return ErrNotFound
		},
		"if unchanged": func(id ID, copied *Session) error {
			return errors.Join(ErrNotFound, s.EndIfUnchanged(ctx, id, copied))
		},
		"touch": func(id ID, _ *Session) error {
			cached, _ := s.store.decoded.GetIfPresent(id)
			cached.touched.Add(-int64(time.Minute))
			return second(s.Open(ctx, id))
		},
		"rotation": func(id ID, _ *Session) error {
			e, err := s.follow(ctx, id, store.loadNear)
			if err != nil {
				return err
			}
			return second(s.rotate(ctx, e))
		},
	} {
		id := r.start(s.Sessions, nil, john())
		r.copied(s, id)
		c.Del(ctx, s.store.record(id)) // without a message
		copied := r.open(s.Sessions, id).Session
		if err := asks(id, copied); !isNotFound(err) {
			t.Errorf("%s: got %v, expected %v", name, err, ErrNotFound)
		}
		r.gone(s.Sessions, id) // and the copy is no longer used
	}
}

func TestRequestsJudgeTheTimeoutsOfACopy(t *testing.T) {
	r := redisRig(t)
	for name, l := range map[string]timeouts{"absolute": {absolute: time.Hour}, "rolling": {rolling: time.Hour}, "idling": {idling: time.Hour}} {
		s := r.near(1000*time.Hour, l)
		id := r.start(s.Sessions, nil, john())
		r.copied(s, id)
		if r.pass(time.Hour); !isNotFound(second(s.Open(t.Context(), id))) {
			t.Errorf("%s: the copy outlives the timeout", name)
		}
		r.clock.offset.Store(0)
	}
}

// With session_near_cache: 0, a logout is effective everywhere before it returns, and nothing is subscribed to.
func TestWithoutNearCache(t *testing.T) {
	r := redisRig(t)
	s, other := r.sessions(usual), r.sessions(usual)
	for range 20 {
		id := r.start(s, nil, john())
		for range 3 {
			r.open(s, id)
		}
		if err := other.End(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		r.gone(s, id)
	}
	if n := r.server.Calls(t, "subscribe"); n != 0 {
		t.Errorf("%d subscriptions", n)
	}
}
