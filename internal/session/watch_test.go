package session

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// A testStream is a stream that a session authenticates.
type testStream struct {
	looks  atomic.Int64 // how often the watch asked for use
	inUse  atomic.Bool
	ended  atomic.Int64
	unhook func()
}

func (r *rig) stream(s *Sessions, id ID) *testStream {
	r.Helper()
	t := &testStream{}
	t.unhook = r.open(s, id).Watch(
		func() bool { t.looks.Add(1); return t.inUse.Load() },
		func() { t.ended.Add(1) },
	)
	return t
}

// looked waits for two looks, of which the second began after the call.
func (r *rig) looked(t *testStream) {
	r.Helper()
	await(r, "look", grows(&t.looks, 2))
}

func (r *rig) ends(t *testStream) {
	r.Helper()
	await(r, "end of the stream", func() bool { return t.ended.Load() == 1 })
}

// Whatever ends a session at another replica ends its stream by the store's message: the watch itself looks only after an hour.
func TestAStreamEndsWithItsSession(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx := r.Context()
		s, other := r.sessions(timeouts{rolling: time.Hour}), r.sessions(timeouts{rolling: time.Hour})
		s.timing.look = time.Hour
		for name, end := range map[string]func(ID, Login) error{
			"logout":        func(id ID, _ Login) error { return other.End(ctx, id) },
			"by sid":        func(_ ID, l Login) error { return second(bySID(other, ctx, l.Issuer, l.ClientID, l.SID)) },
			"by route":      func(_ ID, l Login) error { return second(other.EndSelected(ctx, Selection{Route: l.Route})) },
			"another login": func(id ID, _ Login) error { _, _, err := other.Start(ctx, &id, john()); return err },
			"refused refresh": func(id ID, _ Login) error {
				refused := func(context.Context, *Session) (*Session, error) { return nil, ErrEnded }
				if _, err := other.Update(ctx, id, refused, noDiscard); !errors.Is(err, ErrEnded) {
					return err
				}
				return nil
			},
		} {
			l := (&issuer{clock: r.clock}).login()
			l.SID, l.Route = "sid of "+name, "route of "+name
			id := r.start(other, nil, l)
			stream, alive := r.stream(s, id), r.stream(s, r.start(s, nil, john()))
			if err := end(id, l); err != nil {
				r.Fatalf("%s: %v", name, err)
			}
			r.ends(stream)
			if alive.ended.Load() != 0 {
				r.Errorf("%s: the stream of another session ended", name)
			}
		}
	})
}

// Without messages the watch looks by itself: each 30 s.
func TestAStreamEndsWithoutMessages(t *testing.T) {
	r := redisRig(t)
	r.server.Client(t, 0).Do(t.Context(), "ACL", "SETUSER", r.server.Settings().Username, "-subscribe", "-publish")
	s, other := r.sessions(usual), r.sessions(usual)
	if s.timing.look != 30*time.Second {
		t.Errorf("it looks each %s", s.timing.look)
	}
	s.timing.look = 20 * time.Millisecond
	id := r.start(s, nil, john())
	stream := r.stream(s, id)
	r.looked(stream)
	if err := other.End(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	r.ends(stream)
}

func TestAStreamFollowsRefreshesAndRotations(t *testing.T) {
	onBoth(t, func(r *rig) {
		ctx, i := r.Context(), &issuer{clock: r.clock}
		s, other := r.sessions(timeouts{rolling: time.Hour}), r.sessions(timeouts{rolling: time.Hour})
		s.timing.look = time.Hour
		id := r.start(s, nil, i.login())
		stream := r.stream(s, id)
		if _, err := other.Update(ctx, id, i.refresh, noDiscard); err != nil {
			r.Fatal(err)
		}
		for range 2 {
			e, err := other.read(ctx, id)
			if err != nil {
				r.Fatal(err)
			}
			looks := grows(&stream.looks, 1)
			next, err := other.move(ctx, e)
			if err != nil {
				r.Fatal(err)
			}
			await(r, "look", looks)
			id = next.id
		}
		if stream.ended.Load() != 0 {
			r.Fatal("the stream ended")
		}
		if err := other.End(ctx, id); err != nil {
			r.Fatal(err)
		}
		r.ends(stream)
	})
}

// A watch that missed the message of a rotation finds the successor, although clients with the old cookie may not follow it any more.
func TestAStreamFollowsALateRotation(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(timeouts{rolling: time.Hour})
		old := r.open(s, r.start(s, nil, john()))
		r.pass(50 * time.Minute)
		r.open(s, old.ID)
		r.pass(grace + time.Second)
		r.gone(s, old.ID)
		w := &watch{Sessions: s, id: old.ID, used: func() bool { return false }, seen: s.now()}
		if w.look(r.Context()) || w.id == old.ID {
			r.Error("the stream ended")
		}
	})
}

func TestBytesOfAStreamAreUse(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(timeouts{idling: 15 * time.Minute})
		s.timing.look = 5 * time.Millisecond
		stream := r.stream(s, r.start(s, nil, john()))
		stream.inUse.Store(true)
		for range 4 {
			r.looked(stream)
			r.pass(10 * time.Minute)
		}
		r.looked(stream)
		if stream.ended.Load() != 0 {
			r.Fatal("the session timed out while bytes moved")
		}
		stream.inUse.Store(false)
		r.looked(stream)
		r.pass(10 * time.Minute)
		r.looked(stream) // which is no use
		r.pass(5 * time.Minute)
		r.ends(stream)
	})
}

func TestAStreamTouchesEachMinuteAtMost(t *testing.T) {
	r := redisRig(t)
	s := r.sessions(usual)
	s.timing.look = time.Millisecond
	id := r.start(s, nil, john())
	r.open(s, id)
	stream := r.stream(s, id)
	stream.inUse.Store(true)
	r.looked(stream)
	before := r.server.Calls(t, "evalsha")
	await(t, "looks", grows(&stream.looks, 20))
	if n := r.server.Calls(t, "evalsha") - before; n != 0 {
		t.Errorf("%d touches within a minute", n)
	}
	r.pass(time.Minute)
	await(t, "looks", grows(&stream.looks, 20))
	stream.unhook()
	if n := r.server.Calls(t, "evalsha") - before; n != 1 {
		t.Errorf("%d touches a minute later, expected 1", n)
	}
}

func TestAStreamEndsByTimeouts(t *testing.T) {
	onBoth(t, func(r *rig) {
		for name, l := range map[string]timeouts{"rolling": {rolling: time.Hour}, "absolute": {absolute: time.Hour}} {
			s := r.sessions(l)
			if s.store == r.memory { // the rig has one store in memory, of the first timeouts
				s.timeouts = l
			}
			s.timing.look = 5 * time.Millisecond
			stream := r.stream(s, r.start(s, nil, john()))
			stream.inUse.Store(true)
			r.pass(59 * time.Minute)
			r.looked(stream)
			if stream.ended.Load() != 0 {
				r.Errorf("%s: the stream ended early", name)
			}
			r.pass(time.Minute)
			r.ends(stream)
		}
	})
}

// A watch doesn't wait for its next look when a timeout ends the session before.
func TestAWatchWaitsUntilTheTimeout(t *testing.T) {
	r := redisRig(t)
	s := r.sessions(usual)
	w := &watch{Sessions: s, end: r.clock.now().Add(time.Second)}
	if p := w.pause(); p > time.Second {
		t.Errorf("a pause of %s", p)
	}
	w.end = time.Time{}
	if p := w.pause(); p != 30*time.Second {
		t.Errorf("a pause of %s", p)
	}
	s.timeouts.idling = 20 * time.Second // touches are due each 2 s
	if p := w.pause(); p != 2*time.Second {
		t.Errorf("a pause of %s", p)
	}
}

func TestCloseEndsStreams(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(usual)
		id := r.start(s, nil, john())
		stream, opened := r.stream(s, id), r.open(s, id)
		stopped := r.stream(s, id)
		stopped.unhook()
		await(r, "look", func() bool { return stream.looks.Load() > 0 })
		if err := s.Close(); err != nil {
			r.Fatal(err)
		}
		if stream.ended.Load() != 1 {
			r.Error("Close returned before the stream ended")
		}
		late := make(chan struct{})
		opened.Watch(func() bool { return false }, func() { close(late) })
		<-late
	})
}

func TestAStopEndsTheWatch(t *testing.T) {
	onBoth(t, func(r *rig) {
		s := r.sessions(usual)
		s.timing.look = time.Millisecond
		id := r.start(s, nil, john())
		stream := r.stream(s, id)
		r.looked(stream)
		stream.unhook()
		s.running.Wait()
		if err := s.End(r.Context(), id); err != nil || stream.ended.Load() != 0 {
			r.Errorf("it ended the stream after stop, %v", err)
		}
	})
}

// While Redis is away, a stream goes on for a minute.
func TestAStreamWhileRedisIsAway(t *testing.T) {
	r := redisRig(t, "--appendonly", "yes", "--appendfsync", "always")
	s := r.sessions(usual)
	s.timing.look = 5 * time.Millisecond
	stream := r.stream(s, r.start(s, nil, john()))
	r.looked(stream)
	r.server.Kill()
	r.clock.offset.Add(int64(50 * time.Second))
	r.looked(stream)
	if stream.ended.Load() != 0 {
		t.Fatal("the stream ended at once")
	}
	r.server.Restart(t)
	await(t, "Redis", func() bool { return s.Ping(t.Context()) == nil })
	r.looked(stream)
	r.clock.offset.Add(int64(50 * time.Second))
	r.looked(stream)
	if stream.ended.Load() != 0 {
		t.Fatal("the stream ended although Redis was back")
	}
	r.server.Kill()
	r.clock.offset.Add(int64(time.Minute))
	r.ends(stream)
}
