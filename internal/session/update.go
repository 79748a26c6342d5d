package session

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	updateTimeout = 30 * time.Second // of a refresh with all its waiting
	saveFor       = 60 * time.Second // how long a refreshed session is tried to be saved
	pollEvery     = 25 * time.Millisecond
	pollAtMost    = 400 * time.Millisecond
)

// A Refresh makes the next session of the current one.
type Refresh func(ctx context.Context, current *Session) (*Session, error)

// Update changes a session once, however many requests and replicas ask at that moment: within the process one call runs
// for all; among replicas one holds a lease and calls refresh, the others wait for its result. It goes on if the caller
// gives up, because a rotated refresh token must not be lost. A session that ended meanwhile stays ended: ErrNotFound.
func (s *Sessions) Update(ctx context.Context, id ID, refresh Refresh) (*Session, error) {
	done := s.flight.DoChan(string(id[:]), func() (any, error) {
		detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), updateTimeout)
		defer cancel()
		return s.update(detached, id, refresh)
	})
	select {
	case res := <-done:
		next, _ := res.Val.(*Session)
		return next, res.Err
	case <-ctx.Done():
		return nil, errors.Join(ErrUnavailable, ctx.Err())
	}
}

func (s *Sessions) update(ctx context.Context, id ID, refresh Refresh) (*Session, error) {
	before, err := s.reopen(ctx, id)
	if err != nil {
		return nil, err
	}
	for wait := pollEvery; ; wait = min(2*wait, pollAtMost) {
		release, ok, err := s.store.lease(ctx, before.ID)
		if err != nil {
			return nil, err
		}
		if !ok {
			err = pause(ctx, wait)
		}
		if err != nil {
			return nil, err
		}
		now, err := s.reopen(ctx, before.ID)
		switch {
		case err == nil && ok && now.ID == before.ID && sameUpdates(now.Session, before.Session):
			return s.refresh(ctx, now, refresh, release)
		case ok:
			release()
		}
		switch {
		case err != nil:
			return nil, err
		case now.ID != before.ID:
			return s.update(ctx, now.ID, refresh)
		case !sameUpdates(now.Session, before.Session):
			return now.Session, nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return errors.Join(ErrUnavailable, ctx.Err())
	}
}

// sameUpdates reports whether no audience was updated.
func sameUpdates(a, b *Session) bool {
	return slices.EqualFunc(a.Audiences, b.Audiences, func(x, y Audience) bool { return x.Updated.Equal(y.Updated) })
}

// refresh runs with the lease held and releases it. A store that goes away before the result is saved doesn't lose it:
// saving goes on in the background, with the lease, and the caller gets its session.
func (s *Sessions) refresh(ctx context.Context, current *Opened, refresh Refresh, release func()) (*Session, error) {
	next, err := refresh(ctx, current.Session)
	if err == nil && next != current.Session {
		err = s.store.swap(ctx, current.ID, current.Session, next, s.ttl(next))
	}
	if next != nil && errors.Is(err, ErrUnavailable) {
		go func() {
			defer release()
			s.persist(context.WithoutCancel(ctx), current, next)
		}()
		return next, nil
	}
	release()
	if errors.Is(err, errChanged) { // it ended meanwhile: a logout is never undone
		return nil, ErrNotFound
	}
	return next, err
}

// persist tries for a minute to save what a refresh brought: the refresh token before may be spent.
func (s *Sessions) persist(ctx context.Context, current *Opened, next *Session) {
	ctx, cancel := context.WithTimeout(ctx, saveFor)
	defer cancel()
	for wait := pollEvery; ; wait = min(2*wait, pollAtMost) {
		err := s.store.swap(ctx, current.ID, current.Session, next, s.ttl(next))
		if !errors.Is(err, ErrUnavailable) {
			return
		}
		s.log.Warn("a refreshed session can't be saved yet", "error", err)
		if pause(ctx, wait) != nil {
			s.log.Error("a refreshed session could not be saved: its person has to log in again", "error", err)
			return
		}
	}
}
