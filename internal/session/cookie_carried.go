package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Carried is the session in the cookies of one request, with the methods of Sessions. It is for one goroutine.
type Carried struct {
	sessions *CookieSessions
	session  *Session // nil if no cookies of the request open
	chunks   int      // of the session
	sent     uint8    // the indexes of the request's chunks, as bits
}

// ID returns the session's ID. It reports false if no cookies of the request open.
func (k *Carried) ID() (ID, bool) {
	if k.session == nil {
		return ID{}, false
	}
	return k.session.carried.id, true
}

// Sent reports whether the request has a cookie of the name of this chunk, whatever it holds.
func (k *Carried) Sent(index int) bool { return k.sent&(1<<index) != 0 }

// Stale reports whether the request has a cookie of the name of this chunk, and the session has fewer chunks.
func (k *Carried) Stale(index int) bool {
	return k.session != nil && index >= k.chunks && k.Sent(index)
}

// Start starts a session for a login. In this process the session that the request carried ends before Start returns. It ignores old.
func (k *Carried) Start(_ context.Context, old *ID, l Login) (ID, *Session, error) {
	c := k.sessions
	now := c.now().UTC()
	second := now.Truncate(time.Second)
	next := &Session{Version: version, Created: second, Issued: second, Login: l}
	next.carried = &carriage{id: newID(), version: uint64(now.Unix()), used: second}
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.session != nil {
		next.carried.version = nextVersion(k.session, now)
		c.end(k.session, true)
	}
	c.publish(next, now, grace)
	return next.carried.id, next, nil
}

// Open returns the session. The error wraps ErrNotFound if it has timed out, or has ended in this process; ErrReplaced if a login of the
// same browser followed it in this process. Rotated means that the browser needs new cookies: the session has a new ID after 3/4 of the
// rolling timeout, or a use was recorded, or another request has refreshed it.
func (k *Carried) Open(context.Context, ID) (*Opened, error) {
	if k.session == nil {
		return nil, ErrNotFound
	}
	s, err := k.sessions.current(k.session)
	if err != nil {
		return nil, err
	}
	return &Opened{ID: s.carried.id, Session: s, Rotated: s != k.session}, nil
}

// OpenIf is Open for a request that may not use every session. If may returns an error, OpenIf returns that error.
func (k *Carried) OpenIf(ctx context.Context, id ID, may func(*Session) error) (*Opened, error) {
	s, err := k.Peek(ctx, id)
	if err == nil {
		err = may(s)
	}
	if err != nil {
		return nil, err
	}
	return k.Open(ctx, id)
}

// Peek returns the session as Open does, but never with a new ID or a new use.
func (k *Carried) Peek(context.Context, ID) (*Session, error) {
	if k.session == nil {
		return nil, ErrNotFound
	}
	return k.sessions.peek(k.session)
}

// EndLogin ends the login in this process: it opens no cookie of the login again, and sets none. A copy of the cookie stays valid
// elsewhere. It returns the newest version of the session that is known here.
func (k *Carried) EndLogin(context.Context, ID) (*Session, error) {
	c := k.sessions
	c.mu.Lock()
	defer c.mu.Unlock()
	if k.session == nil {
		return nil, nil
	}
	newest := c.newest(k.session, c.now())
	c.end(k.session, false)
	return newest, nil
}

// EndIfUnchanged ends the login, as End does, unless this process has a newer version than read: then it returns ErrChanged.
func (k *Carried) EndIfUnchanged(_ context.Context, _ ID, read *Session) error {
	c := k.sessions
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.newest(read, c.now()) != read {
		return ErrChanged
	}
	c.end(read, false)
	return nil
}

// MayClear reports whether the cookies of the request may still be cleared: this process hasn't set newer ones since then.
func (k *Carried) MayClear() bool {
	c := k.sessions
	c.mu.Lock()
	defer c.mu.Unlock()
	n, known := c.logins.Get(k.session.carried.id.lineage())
	return !known || !n.replaced && n.version <= k.session.carried.version
}

// Update refreshes the session once, for all requests of this process. Those that carry the session as it was before get the result for
// another minute. A refresh goes on after its caller has given up. If refresh returns ErrEnded, the login ends. If the login ended
// meanwhile, the error wraps ErrNotFound, and discard is called with the refreshed session.
func (k *Carried) Update(ctx context.Context, _ ID, refresh Refresh, discard Discard) (*Session, error) {
	u, err := k.sessions.join(ctx, k.session, refresh, discard)
	if err != nil {
		return nil, err
	}
	return u.wait(ctx)
}

// join returns the running update of a login, or starts one.
func (c *CookieSessions) join(ctx context.Context, s *Session, refresh Refresh, discard Discard) (*update, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := s.carried.id.lineage()
	if u, ok := c.updates[key]; ok {
		c.refreshes.Waited()
		return u, nil
	}
	if c.closed {
		return nil, fmt.Errorf("%w: closed", ErrUnavailable)
	}
	u := &update{done: make(chan struct{})}
	c.updates[key] = u
	current := c.newest(s, c.now())
	c.running.Go(func() {
		ctx := context.WithoutCancel(ctx)
		next, err := callRefresh(ctx, current, refresh, c.refreshes)
		stored, failed := c.finish(key, current, next, err)
		if err == nil && next != current && errors.Is(failed, ErrNotFound) {
			discard(ctx, next)
		}
		u.settle(stored, failed)
	})
	return u, nil
}

// finish stores the result of a refresh, unless the login has ended meanwhile.
func (c *CookieSessions) finish(key lineage, current, next *Session, err error) (*Session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.updates, key)
	n, _ := c.logins.Get(key)
	now := c.now()
	switch {
	case n.ended:
		return nil, ErrNotFound
	case errors.Is(err, ErrEnded):
		c.end(current, false)
		return nil, err
	case err != nil || next == current:
		return next, err
	}
	last := c.newest(current, now) // it may have a new ID since then
	refreshed := last.With(next.Login)
	refreshed.carried = &carriage{
		id: last.carried.id, version: max(nextVersion(last, now), n.version+1), used: now.UTC().Truncate(time.Second),
	}
	c.publish(refreshed, now, refreshedLife)
	return refreshed, nil
}
