package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A remembered session can be resumed after its idling, rolling or absolute timeout, by its remember ID. That is a second ID, which the
// browser has in a cookie that outlives the browser's restart.
//
// A store keeps a copy of the session beside the session itself, in the same transaction and for longer. So an end of the session ends the
// copy, and a refresh changes both. Under the remember ID it has a pointer to the session's ID.
//
// The remember ID works once. Then the session gets a new ID and a new remember ID; for 10 s the former one leads there as well.

// A pointer is what a store has under a remember ID.
type pointer struct {
	ids       []ID       // where the session may be, the newest first: a rotation that didn't finish leaves two
	successor *successor // not nil once the remember ID was used, or replaced by a login
}

// rememberEnd returns until when a session can be resumed by its remember ID: the zero time for a session that isn't remembered.
func (t *timeouts) rememberEnd(s *Session) (end time.Time) {
	if s.Remember == (ID{}) {
		return end
	}
	if t.rememberRolling > 0 {
		end = s.Issued.Add(t.rememberRolling)
	}
	if absolute := s.LoggedIn.Add(t.rememberAbsolute); t.rememberAbsolute > 0 && (end.IsZero() || absolute.Before(end)) {
		end = absolute
	}
	return end
}

// lastEnd returns when a session has ended in any case, also for its remember ID, or the zero time if it may never end.
func (t *timeouts) lastEnd(s *Session) time.Time {
	end, remembered := t.end(s), t.rememberEnd(s)
	if !end.IsZero() && remembered.After(end) {
		return remembered
	}
	return end
}

// untilRememberEnd returns the life of what a store has for a remember ID.
func (t *timeouts) untilRememberEnd(s *Session, now time.Time) time.Duration {
	return max(t.rememberEnd(s).Sub(now), time.Millisecond)
}

// Remembered returns for how long the browser may resume a session by its remember ID; zero if it may not.
func (s *Sessions) Remembered(of *Session) time.Duration {
	return max(s.timeouts.rememberEnd(of).Sub(s.now()), 0)
}

// PeekRemembered returns the session of a remember ID that wasn't used yet. The errors are those of Open.
func (s *Sessions) PeekRemembered(ctx context.Context, remember ID) (*Session, error) {
	p, err := s.store.pointed(ctx, remember)
	if err != nil {
		return nil, err
	}
	if p.successor != nil {
		return nil, ErrReplaced
	}
	e, err := s.findRemembered(ctx, p)
	if err != nil {
		return nil, err
	}
	return e.session, nil
}

// findRemembered returns the entry of the session to which a pointer leads.
func (s *Sessions) findRemembered(ctx context.Context, p *pointer) (*entry, error) {
	for _, id := range p.ids {
		e, err := s.store.remembered(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			continue
		case err != nil:
			return nil, err
		case s.now().Before(s.timeouts.rememberEnd(e.session)):
			return e, nil
		}
	}
	return nil, ErrNotFound
}

// Resume resumes the session of a remember ID: it gets a new ID and a new remember ID, and all its timeouts begin again. Of concurrent
// requests with the same remember ID, and of those within 10 s, all get the same session. If may returns an error, the session stays as it
// is, and Resume returns that error. The other errors are those of Open.
func (s *Sessions) Resume(ctx context.Context, remember ID, may func(*Session) error) (*Opened, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timing.wait)
	defer cancel()
	for pause := s.timing.minPause; ; pause = min(2*pause, s.timing.maxPause) {
		p, err := s.store.pointed(ctx, remember)
		if err != nil {
			return nil, err
		}
		if p.successor != nil {
			return s.resumed(ctx, p.successor, may)
		}
		release, ok, err := s.tryLease(ctx, remember)
		if err != nil {
			return nil, err
		}
		if ok {
			defer release()
			return s.resume(context.WithoutCancel(ctx), remember, may)
		}
		if !s.pause(ctx, pause) {
			return nil, fmt.Errorf("%w: another request has been resuming this session for %s", ErrUnavailable, s.timing.wait)
		}
	}
}

// resumed returns the session that another request has resumed.
func (s *Sessions) resumed(ctx context.Context, next *successor, may func(*Session) error) (*Opened, error) {
	if !s.now().Before(next.Until) {
		return nil, ErrReplaced
	}
	e, err := s.read(ctx, next.ID)
	if err == nil {
		err = may(e.session)
	}
	if err != nil {
		return nil, err
	}
	return &Opened{ID: e.id, Session: e.session, Rotated: true, sessions: s}, nil
}

// resume resumes a session under the lease of its remember ID. It tries again when another request has changed the session.
func (s *Sessions) resume(ctx context.Context, remember ID, may func(*Session) error) (*Opened, error) {
	for range attempts {
		p, err := s.store.pointed(ctx, remember)
		if err != nil {
			return nil, err
		}
		if p.successor != nil {
			return s.resumed(ctx, p.successor, may)
		}
		e, err := s.findRemembered(ctx, p)
		if err == nil {
			err = may(e.session)
		}
		if err != nil {
			return nil, err
		}
		opened, err := s.begin(ctx, remember, e)
		if !errors.Is(err, ErrChanged) {
			return opened, err
		}
	}
	return nil, fmt.Errorf("%w: the session kept changing", ErrUnavailable)
}

// begin stores a remembered session under new IDs, and then ends it under the old ones. The pointer of the old remember ID has the new ID
// before the old session ends: a process that dies at any step loses nothing, and the browser may try again.
func (s *Sessions) begin(ctx context.Context, remember ID, e *entry) (*Opened, error) {
	now, id, next := s.now(), newID(), *e.session
	next.Created, next.Issued, next.Remember = now, now, newID()
	err := s.create(ctx, id, &next)
	if errors.Is(err, ErrLoggedOut) {
		return nil, errors.Join(fmt.Errorf("%w: logged out", ErrNotFound), s.store.supersede(ctx, e, nil))
	}
	if err == nil {
		err = s.store.point(ctx, next.Remember, &pointer{ids: []ID{id}}, &next)
	}
	if err == nil {
		err = s.store.point(ctx, remember, &pointer{ids: []ID{id, e.id}}, &next)
	}
	if err == nil && s.now().Sub(now) >= markLife { // a mark may have expired meanwhile
		err = fmt.Errorf("%w: it took too long", ErrUnavailable)
	}
	if err == nil {
		err = s.store.supersede(ctx, e, rotated(e.id, id, now))
		if errors.Is(err, ErrUnavailable) { // it may be done: the pointer has both IDs
			return nil, err
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.discard(ctx, id))
	}
	used := &pointer{successor: &successor{ID: id, Until: now.Add(grace)}}
	if err := s.store.point(ctx, remember, used, &next); err != nil {
		return nil, err // the browser keeps the old remember ID, which leads to the new session
	}
	return &Opened{ID: id, Session: &next, Rotated: true, sessions: s}, nil
}

// EndRemembered ends the session of a remember ID, for its user, if may is true for it. After that the remember ID leads nowhere. It
// returns the session that ended, or nil. It waits up to 2 s for a request that is resuming the session.
func (s *Sessions) EndRemembered(ctx context.Context, remember ID, may func(*Login) bool) (ended *Session, err error) {
	wait, cancel := context.WithTimeout(ctx, s.timing.logout)
	defer cancel()
	for pause := s.timing.minPause; ; pause = min(2*pause, s.timing.maxPause) {
		release, ok, err := s.tryLease(wait, remember)
		if ok {
			defer release()
		}
		if ok || err != nil || !s.pause(wait, pause) {
			break // a logout goes on without the lease
		}
	}
	for range 2 * attempts {
		ended, err = s.endPointed(ctx, remember, may)
		if !errors.Is(err, ErrChanged) {
			return ended, err
		}
	}
	return nil, fmt.Errorf("%w: the session kept changing", ErrUnavailable)
}

// endPointed ends the session to which a remember ID leads now. The error is ErrChanged if another request has changed it.
func (s *Sessions) endPointed(ctx context.Context, remember ID, may func(*Login) bool) (ended *Session, err error) {
	p, err := s.store.pointed(ctx, remember)
	if err == nil && p.successor != nil {
		if p.successor.ID == (ID{}) {
			return nil, nil
		}
		err = s.end(ctx, p.successor.ID, func(e *entry) error {
			if !may(&e.session.Login) {
				return nil
			}
			ended = e.session
			return s.store.drop(ctx, e)
		})
		return ended, err
	}
	var e *entry
	if err == nil {
		e, err = s.findRemembered(ctx, p)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case !may(&e.session.Login):
		return nil, nil
	}
	if err := s.store.supersede(ctx, e, nil); err != nil {
		return nil, err
	}
	nowhere := &pointer{successor: &successor{Until: s.now()}}
	return e.session, s.store.point(ctx, remember, nowhere, e.session)
}

// life returns how long a pointer to the session of is stored.
func (p *pointer) life(t *timeouts, of *Session, now time.Time) time.Duration {
	if p.successor != nil {
		return max(p.successor.Until.Add(afterlife).Sub(now), time.Millisecond)
	}
	return t.untilRememberEnd(of, now)
}
