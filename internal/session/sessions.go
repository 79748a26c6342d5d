package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"sallyport/internal/keyring"
	"sallyport/internal/telemetry"
)

// Sessions has the sessions of all routes with equal session settings. It enforces the timeouts over a store. It is safe for concurrent
// use.
type Sessions struct {
	timeouts timeouts
	store    store
	now      func() time.Time
	log      *slog.Logger
	timing   timing
	cookies  *CookieSessions // with storage cookie; the store then has only what MarkUsed marks
	unproven unproven

	refreshes *telemetry.Refreshes

	mu      sync.Mutex // guards updates and closed
	updates map[ID]*update
	closed  bool
	running sync.WaitGroup  // updates and watches
	closing context.Context // done when Close begins
	stop    context.CancelFunc
}

// A Config configures Sessions.
type Config struct {
	Settings
	Keyring *keyring.Keyring // made from Settings.Secret: seals records and names indexes; needed for storage redis and cookie
	Now     func() time.Time // default time.Now
	Log     *slog.Logger     // default slog.Default()

	Refreshes *telemetry.Refreshes // nil: refreshes aren't counted
}

// New opens the store of the settings. It doesn't connect to Redis yet: the server may start later. The caller must call Close.
func New(c Config) (*Sessions, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	t := timeouts{
		idling: c.IdlingTimeout, rolling: c.RollingTimeout, absolute: c.AbsoluteTimeout,
		remember: c.Remember, rememberRolling: c.RememberRollingTimeout, rememberAbsolute: c.RememberAbsoluteTimeout,
	}
	if c.Storage != "redis" {
		s := newSessions(newMemoryStore(t, maxInMemory, c.Now, c.Log), t, c.Now, c.Log)
		if c.Storage == "cookie" {
			s.cookies = newCookieSessions(t, c.Keyring, c.Now, c.Log)
			s.cookies.refreshes = c.Refreshes
		}
		s.refreshes = c.Refreshes
		return s, nil
	}
	store, err := newRedisStore(&c, t)
	if err != nil {
		return nil, err
	}
	s := newSessions(store, t, c.Now, c.Log)
	s.refreshes = c.Refreshes
	return s, nil
}

func newSessions(store store, t timeouts, now func() time.Time, log *slog.Logger) *Sessions {
	s := &Sessions{timeouts: t, store: store, now: now, log: log, timing: defaultTiming, updates: map[ID]*update{}}
	s.closing, s.stop = context.WithCancel(context.Background())
	return s
}

// Ping returns an error if the store does not answer.
func (s *Sessions) Ping(ctx context.Context) error { return s.store.ping(ctx) }

// InMemory returns the number of sessions that the memory of this process has, with the former IDs of those that were rotated in the last
// seconds.
func (s *Sessions) InMemory() int {
	m, ok := s.store.(*memoryStore)
	if !ok {
		return 0
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.entries.Len()
}

// Unacknowledged returns how many writes of the store ended without the confirmation of redis.wait_replicas replicas.
func (s *Sessions) Unacknowledged() uint64 {
	if r, ok := s.store.(*redisStore); ok {
		return r.client.Unacknowledged()
	}
	return 0
}

// Close waits for running updates, ends streams and closes the store's connections. Sessions in memory are lost.
func (s *Sessions) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	s.stop()
	if s.cookies != nil {
		s.cookies.close()
	}
	s.running.Wait()
	return s.store.close()
}

// attempts is how often a change is tried that fails because another request has changed the session.
const attempts = 5

// Start starts a session for a login. It always makes a new ID, so an ID that an attacker planted in the browser gives access to
// nothing (session fixation). Old is the ID in the browser's cookie of the same name, or nil. Its session ends before Start
// returns, and a later request with the old ID gets ErrReplaced. The error wraps ErrLoggedOut if a logout ended the login while it was
// under way, or if the login took so long that a logout could have been missed; otherwise ErrUnavailable.
func (s *Sessions) Start(ctx context.Context, old *ID, l Login) (ID, *Session, error) {
	now := s.now()
	if l.Began.IsZero() {
		l.Began = now
	}
	id, next := newID(), &Session{Version: version, Created: now, Issued: now, Login: l}
	if s.timeouts.remember {
		next.Remember, next.LoggedIn = newID(), now
	}
	err := s.create(ctx, id, next)
	if err == nil && s.timeouts.remember {
		if err = s.store.point(ctx, next.Remember, &pointer{ids: []ID{id}}, next); err != nil {
			err = errors.Join(err, s.discard(ctx, id))
		}
	}
	if err == nil && s.now().Sub(l.Obtained) >= markLife && !l.Obtained.IsZero() {
		err = errors.Join(fmt.Errorf("%w: it took too long", ErrLoggedOut), s.discard(ctx, id))
	}
	if err != nil {
		return ID{}, nil, err
	}
	if old == nil {
		return id, next, nil
	}
	err = s.end(ctx, *old, func(e *entry) error { return s.store.swap(ctx, e, replaced(e.id, now)) })
	if err == nil {
		err = s.markReplaced(ctx, *old, now)
	}
	if err != nil { // no client has the new ID: if End fails too, the session expires
		return ID{}, nil, errors.Join(err, s.discard(ctx, id))
	}
	return id, next, nil
}

// create stores a session under a new ID, which no client has yet. If a logout has ended the login meanwhile, nothing is stored and the
// error wraps ErrLoggedOut.
func (s *Sessions) create(ctx context.Context, id ID, next *Session) error {
	if err := s.store.index(ctx, id, next); err != nil {
		return err
	}
	if err := s.store.add(ctx, id, next); err != nil {
		return err
	}
	ended, err := s.marked(ctx, &next.Login)
	if ended {
		err = ErrLoggedOut
	}
	if err != nil {
		return errors.Join(err, s.discard(ctx, id))
	}
	return nil
}

// discard ends a session whose ID no client has. If it fails, the session expires.
func (s *Sessions) discard(ctx context.Context, id ID) error {
	ctx = context.WithoutCancel(ctx)
	return s.end(ctx, id, func(e *entry) error { return s.store.drop(ctx, e) })
}

// markReplaced stores that a login replaced an ID, unless the ID has an entry already.
func (s *Sessions) markReplaced(ctx context.Context, old ID, now time.Time) error {
	if err := s.store.swap(ctx, nil, replaced(old, now)); !errors.Is(err, ErrChanged) {
		return err
	}
	return nil
}

// read returns the entry of an ID's session, as the store has it now. It follows a rotated ID to its successor.
func (s *Sessions) read(ctx context.Context, id ID) (*entry, error) {
	return s.follow(ctx, id, store.load)
}

func (s *Sessions) follow(ctx context.Context, id ID, load func(store, context.Context, ID) (*entry, error)) (*entry, error) {
	for range attempts {
		e, err := load(s.store, ctx, id)
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

// An Opened is the result of Open.
type Opened struct {
	ID      ID
	Session *Session
	Rotated bool // ID is not the one that was opened: the browser needs a new cookie

	sessions *Sessions
}

// Open returns the session of an ID. The error wraps ErrNotFound if the session doesn't exist, has ended or can't be decrypted;
// ErrReplaced if the browser was given another ID; ErrUnavailable if the store can't be reached. The session may have ended at another
// replica up to session_near_cache ago.
//
// After 3/4 of the rolling timeout Open rotates the session. The old ID is accepted for another 10 s and leads to the new one, so
// that concurrent requests keep their session and all get the same cookie.
func (s *Sessions) Open(ctx context.Context, id ID) (*Opened, error) {
	return s.OpenIf(ctx, id, func(*Session) error { return nil })
}

// OpenIf is Open for a request that may not use every session. If may returns an error, the session stays as it is, and OpenIf returns that
// error: a rotation would take the session from the browser that may use it.
func (s *Sessions) OpenIf(ctx context.Context, id ID, may func(*Session) error) (*Opened, error) {
	e, err := s.follow(ctx, id, store.loadNear)
	if err == nil {
		err = may(e.session)
	}
	if err != nil {
		return nil, err
	}
	if s.timeouts.rotationDue(e.session, s.now()) {
		if e, err = s.rotate(ctx, e); err != nil {
			return nil, err
		}
	}
	return &Opened{ID: e.id, Session: e.session, Rotated: e.id != id, sessions: s}, nil
}

// Peek returns the session of an ID as the store has it now, and never rotates it.
func (s *Sessions) Peek(ctx context.Context, id ID) (*Session, error) {
	e, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	return e.session, nil
}

// rotate gives a session a new ID. Of concurrent requests one does so; the others continue with the old ID. If the store fails, so
// does the first: the old ID is still valid.
func (s *Sessions) rotate(ctx context.Context, e *entry) (*entry, error) {
	release, ok, err := s.tryLease(ctx, e.id)
	if err != nil || !ok {
		return e, nil
	}
	defer release()
	now, err := s.read(ctx, e.id) // again under the lease: another request may have rotated it
	if errors.Is(err, ErrUnavailable) {
		return e, nil
	}
	if err != nil || now.id != e.id || !s.timeouts.rotationDue(now.session, s.now()) {
		return now, err
	}
	return s.move(ctx, now)
}

// move stores a session under a new ID, and then its successor under the old one. If the session has changed meanwhile, move ends
// the new session: either the old one was ended by a logout or a login, or it was refreshed and a later request rotates it.
func (s *Sessions) move(ctx context.Context, e *entry) (*entry, error) {
	next := *e.session
	next.Issued = s.now()
	id := newID()
	switch err := s.create(ctx, id, &next); {
	case errors.Is(err, ErrLoggedOut):
		return nil, errors.Join(fmt.Errorf("%w: logged out", ErrNotFound), s.discard(ctx, e.id))
	case err != nil:
		return e, nil
	case s.now().Sub(next.Issued) >= markLife: // a mark may have expired meanwhile
		if err := s.discard(ctx, id); err != nil {
			return nil, err
		}
		return s.read(ctx, e.id)
	}
	var err error
	if next.Remember != (ID{}) { // the pointer has both IDs before one of them ends
		if err = s.store.point(ctx, next.Remember, &pointer{ids: []ID{id, e.id}}, &next); err != nil {
			return e, s.discard(ctx, id)
		}
	}
	err = s.store.swap(ctx, e, rotated(e.id, id, next.Issued))
	if err == nil {
		return &entry{id: id, session: &next}, nil
	}
	s.discard(ctx, id)
	if errors.Is(err, ErrChanged) {
		return s.read(ctx, e.id)
	}
	return e, nil
}

// EndIfUnchanged ends a session that Open, Peek or Update returned, if it is still what the store holds under its ID. Otherwise it
// returns ErrChanged: another request has refreshed or rotated the session, and a decision about the former one is out of date. It
// returns nil if the session has ended already.
func (s *Sessions) EndIfUnchanged(ctx context.Context, id ID, read *Session) error {
	e, err := s.store.load(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case e.session != read: // stores cache the decoded session, so an unchanged one is the same pointer
		return ErrChanged
	}
	return s.store.drop(ctx, e)
}

// end calls with for the session of an ID, which it follows to its successors. It tries again when the session has changed.
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
