package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	grace      = 10 * time.Second // how long an ID is good after its successor has been made
	touchEvery = time.Minute      // at most so often a store is told that a session is in use
)

// A store keeps sessions by ID. Its errors wrap ErrNotFound or ErrUnavailable.
type store interface {
	// load returns the session and how it is stored, for swap. touch, if positive, sets how long it lives from now on;
	// the store leaves it out if it did so within touchEvery.
	load(ctx context.Context, id ID, touch func(*Session) time.Duration) (*Session, error)
	// save stores a session under a new ID; ttl zero is for ever.
	save(ctx context.Context, id ID, s *Session, ttl time.Duration) error
	// swap replaces old, as load returned it, by next, unless somebody else was quicker: then it wraps errChanged.
	swap(ctx context.Context, id ID, old, next *Session, ttl time.Duration) error
	delete(ctx context.Context, id ID, s *Session) error
	// lease lets one of all replicas do something about an ID; the others get ok false. release is called once.
	lease(ctx context.Context, id ID) (release func(), ok bool, err error)
	find(ctx context.Context, kind, issuer, value string) ([]ref, error)
	remove(ctx context.Context, refs []ref) error
	ping(ctx context.Context) error
	close() error
}

// A ref is how a store itself names a session, where the ID isn't known.
type ref string

// errChanged says that a session is no longer what it was.
var errChanged = errors.New("the session has changed")

// Sessions are the sessions of equal settings: the rules of time over a store. It is safe for concurrent use.
type Sessions struct {
	idling, rolling, absolute time.Duration
	store                     store
	now                       func() time.Time
	log                       *slog.Logger
	flight                    singleflight.Group
}

// Config is what Sessions are made from.
type Config struct {
	Settings
	Keyring *Keyring
	Now     func() time.Time // default time.Now
	Log     *slog.Logger     // default slog.Default()
}

// New opens the store of the settings. Redis is not asked yet: it may come up later.
func New(c Config) (*Sessions, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	s := &Sessions{idling: c.IdlingTimeout, rolling: c.RollingTimeout, absolute: c.AbsoluteTimeout, now: c.Now, log: c.Log}
	if c.Storage == "redis" {
		r, err := newRedisStore(c)
		s.store = r
		return s, err
	}
	s.store = newMemoryStore(c.Now)
	return s, nil
}

// Ping asks whether the store answers.
func (s *Sessions) Ping(ctx context.Context) error { return s.store.ping(ctx) }

// Close ends the store's connections.
func (s *Sessions) Close() error { return s.store.close() }

// Start begins a session with a at login, under a new ID, so that an ID which somebody planted before is worth nothing. If
// old names a live session, its other audiences are carried over and it ends.
func (s *Sessions) Start(ctx context.Context, old *ID, a Audience) (ID, *Session, error) {
	now := s.now()
	next := &Session{Version: version, Created: now, Issued: now}
	if old != nil {
		before, err := s.read(ctx, *old)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return ID{}, nil, err
		}
		if before != nil {
			next.Audiences, next.Created = before.Audiences, before.Created
			if len(next.With(a).Audiences) == 1 {
				next.Created = now // nothing carried over: a new login is a new session
			}
			if err := s.store.delete(ctx, *old, before); err != nil {
				return ID{}, nil, err
			}
		}
	}
	next = next.With(a)
	id := newID()
	return id, next, s.store.save(ctx, id, next, s.ttl(next))
}

// Opened is what Open found.
type Opened struct {
	ID      ID
	Session *Session
	Renewed bool // the ID is new: the client must be told
}

// Open returns the session of an ID. At 3/4 of the rolling timeout it goes on under a new ID; the old one is good for
// another 10 s, so that requests under way don't lose their session, and all of them get the same new one.
func (s *Sessions) Open(ctx context.Context, id ID) (*Opened, error) {
	found, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	if found.Successor != nil {
		return s.follow(ctx, *found.Successor)
	}
	if s.rolling > 0 && s.now().Sub(found.Issued) >= s.rolling*3/4 {
		return s.renew(ctx, id, found)
	}
	return &Opened{ID: id, Session: found}, nil
}

// follow opens the session that has taken over. It is one step: a successor's successor is a later matter.
func (s *Sessions) follow(ctx context.Context, id ID) (*Opened, error) {
	found, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	if found.Successor != nil {
		return nil, fmt.Errorf("%w: it was renewed twice", ErrNotFound)
	}
	return &Opened{ID: id, Session: found, Renewed: true}, nil
}

// read loads a session that isn't over.
func (s *Sessions) read(ctx context.Context, id ID) (*Session, error) {
	found, err := s.store.load(ctx, id, s.ttl)
	if err != nil {
		return nil, err
	}
	now := s.now()
	if s.rolling > 0 && now.Sub(found.Issued) >= s.rolling || s.absolute > 0 && now.Sub(found.Created) >= s.absolute {
		return nil, fmt.Errorf("%w: timed out", ErrNotFound)
	}
	return found, nil
}

// ttl is how long a session lives if nobody uses it: the least of what the timeouts leave; zero is for ever. A session
// that was renewed keeps what is left of its grace.
func (s *Sessions) ttl(found *Session) time.Duration {
	if found.Successor != nil {
		return -1
	}
	now, least := s.now(), time.Duration(0)
	for _, left := range []struct{ timeout, rest time.Duration }{
		{s.idling, s.idling},
		{s.rolling, s.rolling - now.Sub(found.Issued)},
		{s.absolute, s.absolute - now.Sub(found.Created)},
	} {
		if left.timeout > 0 && (least == 0 || left.rest < least) {
			least = max(left.rest, time.Millisecond)
		}
	}
	return least
}

// renew moves a session to a new ID. Of all that try at once one does it; the others go on with the old ID.
func (s *Sessions) renew(ctx context.Context, id ID, found *Session) (*Opened, error) {
	unchanged := &Opened{ID: id, Session: found}
	release, ok, err := s.store.lease(ctx, id)
	if err != nil || !ok {
		return unchanged, nil // the old ID is still good
	}
	defer release()
	next := *found
	next.Issued = s.now()
	successor := newID()
	if err := s.store.save(ctx, successor, &next, s.ttl(&next)); err != nil {
		return unchanged, nil
	}
	left := &Session{Version: version, Created: found.Created, Issued: found.Issued, Successor: &successor}
	if err := s.store.swap(ctx, id, found, left, grace); err != nil {
		s.store.delete(context.WithoutCancel(ctx), successor, &next)
		return s.reopen(ctx, id)
	}
	return &Opened{ID: successor, Session: &next, Renewed: true}, nil
}

// reopen reads a session again that has changed under us; it isn't renewed this time.
func (s *Sessions) reopen(ctx context.Context, id ID) (*Opened, error) {
	found, err := s.read(ctx, id)
	if err != nil {
		return nil, err
	}
	if found.Successor != nil {
		return s.follow(ctx, *found.Successor)
	}
	return &Opened{ID: id, Session: found}, nil
}

// End ends a session.
func (s *Sessions) End(ctx context.Context, id ID) error {
	found, err := s.store.load(ctx, id, nil)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if found.Successor != nil {
		if err := s.End(ctx, *found.Successor); err != nil {
			return err
		}
	}
	return s.store.delete(ctx, id, found)
}

// EndBySubject ends every session of a subject of an issuer; it returns how many.
func (s *Sessions) EndBySubject(ctx context.Context, issuer, subject string) (int, error) {
	return s.endBy(ctx, kindSubject, issuer, subject)
}

// EndBySID ends every session that hangs on one session of the provider (OIDC Back-Channel Logout §2.1).
func (s *Sessions) EndBySID(ctx context.Context, issuer, sid string) (int, error) {
	return s.endBy(ctx, kindSID, issuer, sid)
}

func (s *Sessions) endBy(ctx context.Context, kind, issuer, value string) (int, error) {
	refs, err := s.store.find(ctx, kind, issuer, value)
	if err != nil || len(refs) == 0 {
		return 0, err
	}
	return len(refs), s.store.remove(ctx, refs)
}

const (
	kindSubject = "sub"
	kindSID     = "sid"
)

// indexed calls f for every way in which a session can be found without its ID.
func (s *Session) indexed(f func(kind, issuer, value string)) {
	for _, a := range s.Audiences {
		if a.Subject != "" {
			f(kindSubject, a.Issuer, a.Subject)
		}
		if a.SID != "" {
			f(kindSID, a.Issuer, a.SID)
		}
	}
}
