package session

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"sallyport/internal/telemetry"
)

// timing is how long Update and Watch wait.
type timing struct {
	lease    time.Duration // the life of a lease whose holder has died
	wait     time.Duration // for a lease that another replica holds
	logout   time.Duration // for the lease, before a logout goes on without it
	save     time.Duration // how long it tries to save a refreshed session
	minPause time.Duration // after the first failed attempt; the pause doubles each time
	maxPause time.Duration
	look     time.Duration // between two looks at the session of a stream, without a message
}

var defaultTiming = timing{
	lease: 5 * time.Second, wait: 15 * time.Second, logout: 2 * time.Second, save: time.Minute,
	minPause: 20 * time.Millisecond, maxPause: 250 * time.Millisecond, look: 30 * time.Second,
}

// A Refresh refreshes a session and returns the new one. It returns current itself if nothing is to do, because another request
// has refreshed it.
type Refresh func(ctx context.Context, current *Session) (*Session, error)

// A Discard revokes the tokens of a refreshed session that can't be stored, because the session ended meanwhile.
type Discard func(ctx context.Context, refreshed *Session)

// Update refreshes a session once, however many requests on any number of replicas ask for it at the same time. It returns the
// refreshed session.
//
// Within a process, callers with the same ID share one call of refresh. Among replicas refresh runs under a lease and reads the
// session again, so a replica that had to wait finds the result of another. Because a refresh token may be used only once, a
// refresh goes on after its caller has given up. For the same reason, if the store can't be reached afterwards, the callers get the
// refreshed session while Update tries for another minute to save it.
//
// The error wraps ErrNotFound if the session ended meanwhile; then discard is called with the refreshed session. If refresh returns
// ErrEnded, the session ends, unless another replica has refreshed it meanwhile: then Update returns that session.
func (s *Sessions) Update(ctx context.Context, id ID, refresh Refresh, discard Discard) (*Session, error) {
	u, err := s.join(ctx, id, refresh, discard)
	if err != nil {
		return nil, err
	}
	return u.wait(ctx)
}

// An update is one call of Refresh, which concurrent callers share. It stays in Sessions.updates until its result is saved, so that
// none of them refreshes the stored session that it replaces.
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

// wait returns the result, or an error that wraps ErrUnavailable if ctx ends first. The update goes on.
func (u *update) wait(ctx context.Context) (*Session, error) {
	select {
	case <-u.done:
		return u.session, u.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: waiting for a refresh: %w", ErrUnavailable, ctx.Err())
	}
}

// join returns the running update of an ID, or starts one.
func (s *Sessions) join(ctx context.Context, id ID, refresh Refresh, discard Discard) (*update, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u, ok := s.updates[id]; ok {
		s.refreshes.Waited()
		return u, nil
	}
	if s.closed {
		return nil, fmt.Errorf("%w: closed", ErrUnavailable)
	}
	u := &update{done: make(chan struct{})}
	s.updates[id] = u
	s.running.Go(func() { s.update(context.WithoutCancel(ctx), u, id, refresh, discard) })
	return u, nil
}

func (s *Sessions) forget(id ID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.updates, id)
}

func (s *Sessions) update(ctx context.Context, u *update, id ID, refresh Refresh, discard Discard) {
	e, release, err := s.readWithLease(ctx, id)
	if err != nil {
		s.refreshes.Failed()
		s.forget(id)
		u.settle(nil, err)
		return
	}
	defer release()
	next, err := callRefresh(ctx, e.session, refresh, s.refreshes)
	saved := next
	switch {
	case errors.Is(err, ErrEnded):
		saved, err = s.endRefused(ctx, e, err)
	case err == nil && next != e.session:
		saved, err = s.save(ctx, e, next)
		if errors.Is(err, ErrUnavailable) {
			s.log.Warn("a refreshed session can't be saved yet", "error", err)
			u.settle(next, nil)
			s.retrySave(ctx, e, next, discard)
			s.forget(id)
			return
		}
		if errors.Is(err, ErrNotFound) {
			discard(ctx, next)
		}
	}
	s.forget(id)
	u.settle(saved, err)
}

// callRefresh calls refresh, counts its result, and returns a panic as an error: net/http recovers panics only in the goroutine of the
// request.
func callRefresh(ctx context.Context, current *Session, refresh Refresh, count *telemetry.Refreshes) (next *Session, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the refresh panicked: %v\n%s", p, debug.Stack())
		}
		switch {
		case errors.Is(err, ErrEnded):
			count.Refused()
		case err != nil:
			count.Failed()
		case next == current:
			count.Waited()
		default:
			count.Won()
		}
	}()
	return refresh(ctx, current)
}

// readWithLease waits for the lease of a session and reads the session. It follows a rotated ID to its successor.
func (s *Sessions) readWithLease(ctx context.Context, id ID) (e *entry, release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, s.timing.wait)
	defer cancel()
	for pause := s.timing.minPause; ; pause = min(2*pause, s.timing.maxPause) {
		release, ok, err := s.tryLease(ctx, id)
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
			id = e.id // it was rotated: the lease of the successor counts
			continue
		}
		if !s.pause(ctx, pause) {
			return nil, nil, fmt.Errorf("%w: another replica has been refreshing this session for %s", ErrUnavailable, s.timing.wait)
		}
	}
}

// pause waits. It reports false if ctx ends or Close begins before the time has passed.
func (s *Sessions) pause(ctx context.Context, d time.Duration) bool {
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

// save replaces e with the refreshed session next. It returns the session that the store holds then.
//
// If the store holds another session than e, the lease was lost: the process was suspended for longer than the lease lives. Then
// the stored session decides, never a comparison of two machines' clocks. If another replica has refreshed it, its tokens stay. If
// it was only rotated, its successor gets the tokens of next. If it has ended, it stays ended.
func (s *Sessions) save(ctx context.Context, e *entry, next *Session) (*Session, error) {
	for range attempts {
		if err := s.reindex(ctx, e, next); err != nil {
			return nil, err
		}
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

// reindex prepares the swap of e with next, if a refresh brought another sid: it adds the new index entries, and then looks for a logout.
func (s *Sessions) reindex(ctx context.Context, e *entry, next *Session) error {
	if next.Login.SID == e.session.Login.SID {
		return nil
	}
	if err := s.store.index(ctx, e.id, next); err != nil {
		return err
	}
	ended, err := s.marked(ctx, &next.Login)
	if ended {
		err = errors.Join(fmt.Errorf("%w: %w", ErrNotFound, ErrLoggedOut), s.discard(ctx, e.id))
	}
	return err
}

// endRefused ends a session whose refresh token was refused. It makes the same comparison as save: if another replica has refreshed
// the session, it returns that one.
func (s *Sessions) endRefused(ctx context.Context, e *entry, refused error) (*Session, error) {
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

// retrySave tries to save a refreshed session while the store can't be reached: the former refresh token may be invalid by now.
// When Close begins it tries once more.
func (s *Sessions) retrySave(ctx context.Context, e *entry, next *Session, discard Discard) {
	ctx, cancel := context.WithTimeout(ctx, s.timing.save)
	defer cancel()
	for pause := s.timing.minPause; ; pause = min(2*pause, s.timing.maxPause) {
		more := s.pause(ctx, pause)
		_, err := s.save(ctx, e, next)
		switch {
		case errors.Is(err, ErrNotFound):
			discard(ctx, next)
			return
		case !errors.Is(err, ErrUnavailable):
			return
		case !more:
			s.log.Error("a refreshed session could not be saved: its user may have to log in again", "error", err)
			return
		}
	}
}
