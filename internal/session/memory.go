package session

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/cache"
)

const (
	maxInMemory = 100_000 // sessions: 700 MB if each has 5 KB of tokens and claims
	maxLeases   = 250_000 // further ones are refused: evicting a lease would let a one-time secret be used twice
	maxMarks    = 250_000 // further ones are refused: evicting a mark could let a login survive its logout
	sweepEvery  = 30 * time.Second
)

// A memoryStore stores the decoded, immutable sessions themselves. A session takes a login, so clients can't create them at will.
// Their number is bounded all the same: a full store evicts the session that would end first.
type memoryStore struct {
	timeouts timeouts
	now      func() time.Time
	log      *slog.Logger
	notes    atomic.Bool // entries stay after their deadline, as notes
	stop     chan struct{}
	stopped  sync.WaitGroup
	watchers watchers[ID]

	mu      sync.RWMutex // guards the fields below
	entries *cache.ExpiringMap[ID, *memoryEntry]
	ids     map[indexKey]map[ID]struct{} // the index
	leases  *cache.ExpiringMap[ID, lease]
	forms   *cache.ExpiringMap[ID, memoryForm]
	marks   *cache.ExpiringMap[indexKey, memoryMark]
	points  *cache.ExpiringMap[ID, memoryPointer] // by remember ID
	stored  uint64                                // the number of entries that were ever stored
	warned  time.Time                             // when a full store was last logged
}

// A memoryEntry is an entry with its deadline, which each use moves. Using it needs only the read lock.
type memoryEntry struct {
	*entry
	number   uint64       // in the order in which entries were stored
	kept     time.Time    // until when a remembered session is kept, at least
	also     []indexKey   // further keys in the index: see memoryStore.index
	touched  atomic.Int64 // Unix nanoseconds of the last use
	deadline atomic.Int64 // Unix nanoseconds; zero means never
}

func (s *memoryEntry) expires() time.Time {
	deadline := s.deadline.Load()
	if deadline == 0 {
		return time.Time{}
	}
	if end := time.Unix(0, deadline); end.After(s.kept) {
		return end
	}
	return s.kept
}

// gone reports whether an entry has expired and can't be resumed either.
func (s *memoryEntry) gone(now time.Time) bool { return s.expired(now) && !now.Before(s.kept) }

func (s *memoryEntry) expired(now time.Time) bool {
	deadline := s.deadline.Load()
	return deadline != 0 && now.UnixNano() >= deadline
}

// touch records a use.
func (s *memoryEntry) touch(t *timeouts, now time.Time) {
	var deadline int64
	if ttl := s.ttl(t, now); ttl > 0 {
		deadline = now.Add(ttl).UnixNano()
	}
	s.touched.Store(now.UnixNano())
	s.deadline.Store(deadline)
}

type lease struct {
	holder string
	until  time.Time
}

// newMemoryStore returns a store of at most maxSessions sessions. It sweeps itself until close is called.
func newMemoryStore(t timeouts, maxSessions int, now func() time.Time, log *slog.Logger) *memoryStore {
	m := &memoryStore{
		timeouts: t, now: now, log: log, stop: make(chan struct{}),
		ids:    map[indexKey]map[ID]struct{}{},
		leases: cache.NewExpiringMap[ID](maxLeases, func(l lease) time.Time { return l.until }),
		marks:  cache.NewExpiringMap[indexKey](maxMarks, func(m memoryMark) time.Time { return m.until }),
		points: cache.NewExpiringMap[ID](maxSessions, func(p memoryPointer) time.Time { return p.until }),
		forms:  newMemoryForms(),
	}
	m.entries = cache.NewExpiringMap[ID](maxSessions, m.removal)
	m.stopped.Go(m.sweepUntilClosed)
	return m
}

func (m *memoryStore) ping(context.Context) error { return nil }

func (m *memoryStore) close() error {
	close(m.stop)
	m.stopped.Wait()
	return nil
}

func (m *memoryStore) sweepUntilClosed() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			m.sweep()
		case <-m.stop:
			return
		}
	}
}

// sweep removes expired entries, leases, marks and forms.
func (m *memoryStore) sweep() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for _, s := range m.entries.Sweep(now) {
		m.gone(s)
	}
	m.leases.Sweep(now)
	m.forms.Sweep(now)
	m.marks.Sweep(now)
	m.points.Sweep(now)
}

func (m *memoryStore) load(_ context.Context, id ID) (*entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	now := m.now()
	s, ok := m.entries.Get(id)
	if !ok || s.expired(now) {
		return nil, ErrNotFound
	}
	if now.UnixNano()-s.touched.Load() >= int64(m.timeouts.touchAfter()) {
		s.touch(&m.timeouts, now)
	}
	return s.entry, nil
}

func (m *memoryStore) loadNear(ctx context.Context, id ID) (*entry, error) { return m.load(ctx, id) }

func (m *memoryStore) look(_ context.Context, id ID) (*entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if e := m.current(id); e != nil {
		return e, nil
	}
	return nil, ErrNotFound
}

func (m *memoryStore) watch(id ID, wake chan<- struct{}) (stop func()) {
	return m.watchers.add(id, wake)
}

func (m *memoryStore) add(_ context.Context, id ID, s *Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.put(&entry{id: id, session: s})
	return nil
}

func (m *memoryStore) swap(_ context.Context, old, next *entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current(next.id) != old {
		return ErrChanged
	}
	m.put(next)
	return nil
}

func (m *memoryStore) drop(_ context.Context, old *entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.current(old.id) != old {
		return ErrChanged
	}
	m.delete(old.id)
	return nil
}

// current returns the entry of an ID, or nil if the ID has none or it has expired.
func (m *memoryStore) current(id ID) *entry {
	if s, ok := m.entries.Get(id); ok && !s.expired(m.now()) {
		return s.entry
	}
	return nil
}

// put stores an entry, in place of the former one of its ID.
func (m *memoryStore) put(e *entry) {
	m.delete(e.id)
	m.stored++
	s := &memoryEntry{entry: e, number: m.stored}
	if e.session != nil {
		s.kept = m.timeouts.rememberEnd(e.session)
	}
	s.touch(&m.timeouts, m.now())
	if evicted, full := m.entries.Put(e.id, s); full {
		m.gone(evicted)
		m.warnFull()
	}
	if e.session == nil {
		return
	}
	e.session.Login.eachIndexKey(func(key indexKey) { m.addToIndex(key, e.id) })
}

// warnFull logs, at most once a minute, that sessions are evicted.
func (m *memoryStore) warnFull() {
	if now := m.now(); now.Sub(m.warned) >= time.Minute {
		m.warned = now
		m.log.Warn("the session store in memory is full: sessions end early; session_storage redis holds more", "sessions", m.entries.Max)
	}
}

// delete removes the entry of an ID and returns it, or nil if the ID has none.
func (m *memoryStore) delete(id ID) *memoryEntry {
	s, ok := m.entries.Delete(id)
	if !ok {
		return nil
	}
	m.gone(s)
	return s
}

// gone does what follows the removal of an entry.
func (m *memoryStore) gone(s *memoryEntry) {
	m.unindex(s)
	m.watchers.wake(s.id) // a watch that looks now waits for mu
}

func (m *memoryStore) lease(_ context.Context, id ID, holder string, life time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, held := m.leases.Get(id)
	if held && l.holder != holder && m.now().Before(l.until) {
		return false, nil
	}
	if !held && m.leases.Len() >= m.leases.Max {
		return false, fmt.Errorf("%w: the session store in memory holds %d leases", ErrUnavailable, m.leases.Max)
	}
	m.leases.Put(id, lease{holder, m.now().Add(life)})
	return true, nil
}

func (m *memoryStore) release(_ context.Context, id ID, holder string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, held := m.leases.Get(id); held && l.holder == holder {
		m.leases.Delete(id)
	}
	return nil
}

func (m *memoryStore) leased(_ context.Context, id ID) (bool, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	l, held := m.leases.Get(id)
	return held && m.now().Before(l.until), nil
}
