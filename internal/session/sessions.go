package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sallyport/internal/keyring"
)

// Sessions are the sessions of equal settings: the rules of time over a store. It is safe for concurrent use.
type Sessions struct {
	timeouts timeouts
	store    store
	now      func() time.Time
	log      *slog.Logger
	patience patience

	mu      sync.Mutex // guards updates and closed
	updates map[ID]*update
	closed  bool
	running sync.WaitGroup  // updates
	closing context.Context // done when Close begins
	stop    context.CancelFunc
}

// Config is what Sessions are made from.
type Config struct {
	Settings
	Keyring *keyring.Keyring // seals records and names indexes; made from Settings.Secret
	Now     func() time.Time // default time.Now
	Log     *slog.Logger     // default slog.Default()
}

// New opens the store that the settings name. Redis is not asked yet: it may come up later. Close ends what it began.
func New(c Config) (*Sessions, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	t := timeouts{idling: c.IdlingTimeout, rolling: c.RollingTimeout, absolute: c.AbsoluteTimeout}
	if c.Storage != "redis" {
		return newSessions(newMemoryStore(t, maxInMemory, c.Now, c.Log), t, c.Now, c.Log), nil
	}
	store, err := newRedisStore(c.Redis, t, c.Keyring, c.Now, c.Log)
	if err != nil {
		return nil, err
	}
	return newSessions(store, t, c.Now, c.Log), nil
}

func newSessions(store store, t timeouts, now func() time.Time, log *slog.Logger) *Sessions {
	s := &Sessions{timeouts: t, store: store, now: now, log: log, patience: defaultPatience, updates: map[ID]*update{}}
	s.closing, s.stop = context.WithCancel(context.Background())
	return s
}

// Ping asks whether the store answers.
func (s *Sessions) Ping(ctx context.Context) error { return s.store.ping(ctx) }

// Close waits for the updates under way and ends the store's connections. Sessions in memory are gone.
func (s *Sessions) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.stop()
	s.running.Wait()
	return s.store.close()
}

// attempts is how often something is tried again that another request was quicker to change.
const attempts = 5

// Start begins a session with a login, under a new ID, so that an ID which somebody planted before is worth nothing. If the
// browser had an ID under this cookie's name, what it stands for ends before Start returns, and a request that still brings
// it learns that it was replaced.
func (s *Sessions) Start(ctx context.Context, old *ID, l Login) (ID, *Session, error) {
	now := s.now()
	id, next := newID(), &Session{Version: version, Created: now, Issued: now, Login: l}
	if err := s.store.add(ctx, id, next); err != nil {
		return ID{}, nil, err
	}
	if old == nil {
		return id, next, nil
	}
	err := s.end(ctx, *old, func(e *entry) error { return s.store.swap(ctx, e, replaced(e.id, now)) })
	if err == nil {
		err = s.leave(ctx, replaced(*old, now))
	}
	if err != nil { // nobody knows the new ID: it would end by itself
		return ID{}, nil, errors.Join(err, s.End(context.WithoutCancel(ctx), id))
	}
	return id, next, nil
}

// leave notes under an ID that it was replaced, unless the store knows already what became of it.
func (s *Sessions) leave(ctx context.Context, e *entry) error {
	if err := s.store.swap(ctx, nil, e); !errors.Is(err, ErrChanged) {
		return err
	}
	return nil
}

// read returns what an ID stands for, going from a rotated session to its successor, unless it is over.
func (s *Sessions) read(ctx context.Context, id ID) (*entry, error) {
	for range attempts {
		e, err := s.store.load(ctx, id)
		if err != nil {
			return nil, err
		}
		now := s.now()
		switch {
		case e.session != nil && s.timeouts.over(e.session, now):
			return nil, fmt.Errorf("%w: timed out", ErrNotFound)
		case e.session != nil:
			return e, nil
		case !now.Before(e.successor.Until):
			return nil, ErrReplaced
		}
		id = e.successor.ID
	}
	return nil, fmt.Errorf("%w: rotated too often", ErrNotFound)
}

// Opened is what Open found.
type Opened struct {
	ID      ID
	Session *Session
	Rotated bool // the ID is another than asked for: the client must be told
}

// Open returns the session of an ID, or ErrNotFound if it is gone, over or doesn't open; ErrReplaced if its browser has had
// another one. At 3/4 of the rolling timeout the session is rotated: the old ID is good for another 10 s and leads to the new
// one, so that requests under way don't lose their session and all get the same cookie.
func (s *Sessions) Open(ctx context.Context, id ID) (*Opened, error) {
	e, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.timeouts.due(e.session, s.now()) {
		if e, err = s.rotate(ctx, e); err != nil {
			return nil, err
		}
	}
	return &Opened{ID: e.id, Session: e.session, Rotated: e.id != id}, nil
}

// Peek returns the session of an ID as Open does, and changes nothing.
func (s *Sessions) Peek(ctx context.Context, id ID) (*Session, error) {
	e, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	return e.session, nil
}

// rotate moves a session to a new ID. Of all that try at once one does it; the others go on with the old ID, and so does
// the one if the store fails: the old ID is still good.
func (s *Sessions) rotate(ctx context.Context, e *entry) (*entry, error) {
	release, ok, err := s.hold(ctx, e.id)
	if err != nil || !ok {
		return e, nil
	}
	defer release()
	now, err := s.read(ctx, e.id) // with the lease: somebody may have been quicker
	if errors.Is(err, ErrUnavailable) {
		return e, nil
	}
	if err != nil || now.id != e.id || !s.timeouts.due(now.session, s.now()) {
		return now, err
	}
	return s.move(ctx, now)
}

// move stores a session under a new ID, then makes the old one lead there. If the session is no longer what was read, the
// new ID is worth nothing: a logout or a login has ended it, or a refresh has changed it, and a later request rotates it.
func (s *Sessions) move(ctx context.Context, e *entry) (*entry, error) {
	next := *e.session
	next.Issued = s.now()
	id := newID()
	if err := s.store.add(ctx, id, &next); err != nil {
		return e, nil
	}
	err := s.store.swap(ctx, e, rotated(e.id, id, next.Issued))
	if err == nil {
		return &entry{id: id, session: &next}, nil
	}
	s.End(context.WithoutCancel(ctx), id) // if that fails it ends by itself: nobody knows its ID
	if errors.Is(err, ErrChanged) {
		return s.read(ctx, e.id)
	}
	return e, nil
}

// End ends a session, under the ID that it has now.
func (s *Sessions) End(ctx context.Context, id ID) error {
	return s.end(ctx, id, func(e *entry) error { return s.store.drop(ctx, e) })
}

// EndIfUnchanged ends a session that was read, or whose refresh returned it, if the store still has the same under its ID. Else the
// error is ErrChanged: another request has refreshed or rotated it, and what was judged of it no longer counts. A session that
// is gone has ended.
func (s *Sessions) EndIfUnchanged(ctx context.Context, id ID, read *Session) error {
	e, err := s.store.load(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case e.session != read: // an entry that is unchanged is kept decoded, so it is the same value
		return ErrChanged
	}
	return s.store.drop(ctx, e)
}

// end lets with end the session of an ID, under the ID that it has now. What has changed since it was read is read again.
func (s *Sessions) end(ctx context.Context, id ID, with func(*entry) error) error {
	for range 2 * attempts {
		e, err := s.store.load(ctx, id)
		switch {
		case errors.Is(err, ErrNotFound):
			return nil
		case err != nil:
			return err
		case e.session == nil && e.successor.ID == ID{}:
			return nil
		case e.session == nil:
			id = e.successor.ID
			continue
		}
		if err := with(e); !errors.Is(err, ErrChanged) {
			return err
		}
	}
	return fmt.Errorf("%w: the session kept changing", ErrUnavailable)
}

// EndBySubject ends every session of a subject that an issuer has logged in for a client; it returns how many.
func (s *Sessions) EndBySubject(ctx context.Context, issuer, clientID, subject string) (int, error) {
	return s.store.remove(ctx, indexKey{kindSubject, issuer, clientID, subject})
}

// EndBySID ends every session of a client that hangs on one session of the provider (OIDC Back-Channel Logout §2.1); it
// returns how many.
func (s *Sessions) EndBySID(ctx context.Context, issuer, clientID, sid string) (int, error) {
	return s.store.remove(ctx, indexKey{kindSID, issuer, clientID, sid})
}
