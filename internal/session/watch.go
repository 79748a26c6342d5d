package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Watch watches the session for a stream that it authenticates, such as a WebSocket. It calls ended once when the session has ended or
// timed out, or when Close begins. While used reports that the stream was in use since the last call, so is the session. Ended may still
// be under way when stop returns.
//
// Watch looks at the session when the store says that it has changed, and every 30 s. It follows a rotation or a refresh. While the store
// can't be reached, the stream goes on for a minute.
func (o *Opened) Watch(used func() bool, ended func()) (stop func()) {
	s := o.sessions
	ctx, stop := context.WithCancel(s.closing)
	w := &watch{Sessions: s, id: o.ID, used: used, seen: s.now(), changed: make(chan struct{}, 1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		stop()
		go ended()
		return stop
	}
	s.running.Go(func() {
		defer stop()
		if w.wait(ctx) {
			ended()
		}
	})
	return stop
}

// A watch is the state of one call of Watch.
type watch struct {
	*Sessions
	id      ID
	used    func() bool
	moved   bool          // the stream was in use, and the store hasn't recorded that
	changed chan struct{} // the store sends when the session of id changes
	seen    time.Time     // when the store was last asked
	end     time.Time     // when the rolling or absolute timeout ends the session; zero: never
}

// wait returns true when the session has ended, and false when ctx ends by the watch's stop.
func (w *watch) wait(ctx context.Context) bool {
	unregister := w.store.watch(w.id, w.changed)
	defer func() { unregister() }()
	for {
		before := w.id
		over := w.look(ctx)
		if ctx.Err() != nil {
			return w.closing.Err() != nil
		}
		if over {
			return true
		}
		if w.id != before { // the successor may have ended before the store knew of this watch
			unregister()
			unregister = w.store.watch(w.id, w.changed)
			continue
		}
		timer := time.NewTimer(w.pause())
		select {
		case <-w.changed:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// pause returns after which time the watch looks at the session without a message.
func (w *watch) pause() time.Duration {
	pause := min(w.timing.look, w.timeouts.touchAfter())
	if w.end.IsZero() {
		return pause
	}
	return max(min(pause, w.end.Sub(w.now())), time.Millisecond)
}

// look reports whether the session has ended.
func (w *watch) look(ctx context.Context) bool {
	now := w.now()
	e, err := w.read(ctx)
	switch {
	case err == nil:
		w.seen, w.end = now, w.timeouts.end(e.session)
	case !errors.Is(err, ErrUnavailable), now.Sub(w.seen) >= afterlife:
		return true // after that, the successor of a rotated ID can't be found any more
	}
	return !w.end.IsZero() && !now.Before(w.end)
}

// read returns the entry of the session. It records a use only if the stream was in use. It follows a rotated ID for as long as the store
// has its successor: the gate itself asks, not a client with an old cookie.
func (w *watch) read(ctx context.Context) (*entry, error) {
	w.moved = w.used() || w.moved
	load := store.look
	if w.moved {
		load = store.load
	}
	for range attempts {
		e, err := load(w.store, ctx, w.id)
		switch {
		case err != nil:
			return nil, err
		case e.session != nil:
			w.moved = false
			return e, nil
		case e.successor.ID == ID{}:
			return nil, ErrReplaced
		}
		w.id = e.successor.ID
	}
	return nil, fmt.Errorf("%w: rotated too often", ErrNotFound)
}
