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

// Start begins a session with a at login, under a new ID, so that an ID which somebody planted before is worth nothing. If
// old names a live session, that one ends, and the logins of other audiences in it go on in the new one; then the absolute
// timeout goes on as well.
func (s *Sessions) Start(ctx context.Context, old *ID, a Audience) (ID, *Session, error) {
	for range attempts {
		before, err := s.before(ctx, old)
		if err != nil {
			return ID{}, nil, err
		}
		id, next := newID(), s.begin(before, a)
		err = s.store.save(ctx, id, next, before, false)
		switch {
		case err == nil:
			return id, next, nil
		case !errors.Is(err, errChanged):
			return ID{}, nil, err
		}
	}
	return ID{}, nil, fmt.Errorf("%w: the session before kept changing", ErrUnavailable)
}

// before returns the live session that a login replaces, or nil.
func (s *Sessions) before(ctx context.Context, old *ID) (*entry, error) {
	if old == nil {
		return nil, nil
	}
	e, err := s.read(ctx, *old)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return e, err
}

func (s *Sessions) begin(before *entry, a Audience) *Session {
	now := s.now()
	if before != nil {
		if next := before.session.With(a); len(next.Audiences) > 1 {
			next.Issued = now
			return next
		}
	}
	return &Session{Version: version, Created: now, Issued: now, Audiences: []Audience{a}}
}

// read returns what an ID stands for, going from a renewed session to its successor, unless it is over.
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
			return nil, fmt.Errorf("%w: it has had a new ID for %s", ErrNotFound, grace)
		}
		id = e.successor.ID
	}
	return nil, fmt.Errorf("%w: renewed too often", ErrNotFound)
}

// Opened is what Open found.
type Opened struct {
	ID      ID
	Session *Session
	Renewed bool // the ID is another than asked for: the client must be told
}

// Open returns the session of an ID, or ErrNotFound if it is gone, over or doesn't open. At 3/4 of the rolling timeout it
// goes on under a new ID; the old one is good for another 10 s and leads to the new one, so that requests under way don't
// lose their session and all get the same cookie.
func (s *Sessions) Open(ctx context.Context, id ID) (*Opened, error) {
	e, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	if s.timeouts.due(e.session, s.now()) {
		if e, err = s.renew(ctx, e); err != nil {
			return nil, err
		}
	}
	return &Opened{ID: e.id, Session: e.session, Renewed: e.id != id}, nil
}

// renew moves a session to a new ID. Of all that try at once one does it; the others go on with the old ID, and so does
// the one if the store fails: the old ID is still good.
func (s *Sessions) renew(ctx context.Context, e *entry) (*entry, error) {
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
	next := *now.session
	next.Issued = s.now()
	renewed := &entry{id: newID(), session: &next}
	err = s.store.save(ctx, renewed.id, &next, now, true)
	switch {
	case err == nil:
		return renewed, nil
	case errors.Is(err, errChanged): // it ended
		return s.read(ctx, e.id)
	default:
		return e, nil
	}
}

// End ends a session, under the ID that it has now.
func (s *Sessions) End(ctx context.Context, id ID) error {
	for range attempts {
		e, err := s.store.take(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil || e.successor == nil {
			return err
		}
		id = e.successor.ID
	}
	return nil
}

// EndBySubject ends every session of a subject of an issuer; it returns how many.
func (s *Sessions) EndBySubject(ctx context.Context, issuer, subject string) (int, error) {
	return s.store.remove(ctx, kindSubject, issuer, subject)
}

// EndBySID ends every session that hangs on one session of the provider (OIDC Back-Channel Logout §2.1); it returns how
// many.
func (s *Sessions) EndBySID(ctx context.Context, issuer, sid string) (int, error) {
	return s.store.remove(ctx, kindSID, issuer, sid)
}
