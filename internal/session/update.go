package session

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// patience is how long things are waited for.
type patience struct {
	lease    time.Duration // how long a lease outlives a holder that died
	wait     time.Duration // for somebody else's lease
	save     time.Duration // how long a refreshed session is tried to be saved
	minPause time.Duration // between two attempts, at first; it doubles
	maxPause time.Duration
}

var defaultPatience = patience{
	lease: 5 * time.Second, wait: 15 * time.Second, save: time.Minute, minPause: 20 * time.Millisecond, maxPause: 250 * time.Millisecond,
}

// A Refresh makes the next session of the current one. It returns current itself where nothing is to be done, because
// somebody was quicker.
type Refresh func(ctx context.Context, current *Session) (*Session, error)

// Update changes a session once, however many requests and replicas ask at that moment. Within the process those who ask
// for an ID while refresh runs get its result. Among replicas refresh runs with a lease, on the session as it then is:
// who had to wait finds what the others did. It goes on if the caller gives up, because a rotated refresh token must not
// be lost; for the same reason a store that goes away before the result is saved is tried for another minute, and the
// callers have the result meanwhile. A session that ended while refresh ran stays ended: ErrNotFound. If refresh returns
// ErrEnded the session ends, unless another replica has refreshed it meanwhile: then that result counts.
func (s *Sessions) Update(ctx context.Context, id ID, refresh Refresh) (*Session, error) {
	u, err := s.join(ctx, id, refresh)
	if err != nil {
		return nil, err
	}
	select {
	case <-u.done:
		return u.session, u.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: waiting for a refresh: %w", ErrUnavailable, ctx.Err())
	}
}

// An update is one call of Refresh that all who ask meanwhile share. It stands in Sessions.updates until its result is
// saved, so that nobody works on the session in the store that it replaces.
type update struct {
	done    chan struct{} // closed when session and err are set
	session *Session
	err     error
}

func (u *update) settle(session *Session, err error) {
	if err == nil {
		u.session = session
	}
	u.err = err
	close(u.done)
}

// join returns the update under way for an ID, or begins one.
func (s *Sessions) join(ctx context.Context, id ID, refresh Refresh) (*update, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, ok := s.updates[id]; ok {
		return u, nil
	}
	if s.closed {
		return nil, fmt.Errorf("%w: closed", ErrUnavailable)
	}
	u := &update{done: make(chan struct{})}
	s.updates[id] = u
	s.running.Go(func() { s.update(context.WithoutCancel(ctx), u, id, refresh) })
	return u, nil
}

func (s *Sessions) forget(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.updates, id)
}

func (s *Sessions) update(ctx context.Context, u *update, id ID, refresh Refresh) {
	e, release, err := s.claim(ctx, id)
	if err != nil {
		s.forget(id)
		u.settle(nil, err)
		return
	}
	defer release()
	next, err := guarded(ctx, e.session, refresh)
	saved := next
	switch {
	case errors.Is(err, ErrEnded):
		saved, err = s.finish(ctx, e, err)
	case err == nil && next != e.session:
		saved, err = s.replace(ctx, e, next)
		if errors.Is(err, ErrUnavailable) {
			s.log.Warn("a refreshed session can't be saved yet", "error", err)
			u.settle(next, nil)
			s.keepSaving(ctx, e, next)
			s.forget(id)
			return
		}
	}
	s.forget(id)
	u.settle(saved, err)
}

// guarded turns a panic into an error: the goroutine is nobody's request, whose server would catch it.
func guarded(ctx context.Context, current *Session, refresh Refresh) (next *Session, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the refresh panicked: %v\n%s", p, debug.Stack())
		}
	}()
	return refresh(ctx, current)
}

// claim waits for the lease of a session and then reads it.
func (s *Sessions) claim(ctx context.Context, id ID) (*entry, func(), error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience.wait)
	defer cancel()
	for pause := s.patience.minPause; ; pause = min(2*pause, s.patience.maxPause) {
		release, ok, err := s.hold(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		if ok {
			e, err := s.read(ctx, id)
			if err == nil && e.id == id {
				return e, release, nil
			}
			release()
			if err != nil {
				return nil, nil, err
			}
			id = e.id // it was rotated: the lease that counts is the successor's
			continue
		}
		if !s.rest(ctx, pause) {
			return nil, nil, fmt.Errorf("%w: another replica has been refreshing this session for %s", ErrUnavailable, s.patience.wait)
		}
	}
}

// rest pauses, unless ctx ends or Close begins.
func (s *Sessions) rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.closing.Done():
	}
	return false
}

// replace saves what e became, if e is what the store still has. Else it has changed although we had the lease: the process
// stood still for so long that the lease ran out. What a comparison says counts, never the clocks of two machines: if
// another replica was quicker to refresh, its tokens stay; if the session was only rotated, its successor gets ours; if it is
// gone it ended, and that is never undone.
func (s *Sessions) replace(ctx context.Context, e *entry, next *Session) (*Session, error) {
	for range attempts {
		err := s.store.swap(ctx, e, &entry{id: e.id, session: next})
		if !errors.Is(err, ErrChanged) {
			return next, err
		}
		now, err := s.read(ctx, e.id)
		if err != nil {
			return nil, err
		}
		if !now.session.sameTokens(e.session) {
			return now.session, nil
		}
		e, next = now, now.session.With(next.Login)
	}
	return nil, fmt.Errorf("%w: the session kept changing", ErrUnavailable)
}

// finish ends a session whose refresh was refused, by the same comparison as replace.
func (s *Sessions) finish(ctx context.Context, e *entry, refused error) (*Session, error) {
	for range attempts {
		err := s.store.drop(ctx, e)
		if err == nil {
			return nil, refused
		}
		now := e
		if errors.Is(err, ErrChanged) {
			now, err = s.read(ctx, e.id)
		}
		switch {
		case err != nil:
			return nil, errors.Join(refused, err)
		case !now.session.sameTokens(e.session):
			return now.session, nil
		}
		e = now
	}
	return nil, refused
}

// keepSaving tries to save a refreshed session while the store is away: the refresh token before may be spent. If Close
// begins it tries once more.
func (s *Sessions) keepSaving(ctx context.Context, e *entry, next *Session) {
	ctx, cancel := context.WithTimeout(ctx, s.patience.save)
	defer cancel()
	for pause := s.patience.minPause; ; pause = min(2*pause, s.patience.maxPause) {
		more := s.rest(ctx, pause)
		_, err := s.replace(ctx, e, next)
		switch {
		case !errors.Is(err, ErrUnavailable):
			return
		case !more:
			s.log.Error("a refreshed session could not be saved: its owner may have to log in again", "error", err)
			return
		}
	}
}
