package session

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// maxSessions bounds the sessions in memory: each is a login, which a stranger can't begin at will.
const maxSessions = 1_000_000

// memoryStore keeps the decoded, immutable sessions themselves. Expired ones go at access and in a sweep now and then.
type memoryStore struct {
	now func() time.Time

	mu      sync.Mutex // guards what is below
	entries map[ID]*memoryEntry
	index   map[string]map[ID]struct{}
	leases  map[ID]struct{}
	swept   time.Time
}

type memoryEntry struct {
	session *Session
	expiry  time.Time // zero: never
	touched time.Time
}

const sweepEvery = time.Minute

func newMemoryStore(now func() time.Time) *memoryStore {
	return &memoryStore{now: now, entries: map[ID]*memoryEntry{}, index: map[string]map[ID]struct{}{}, leases: map[ID]struct{}{}, swept: now()}
}

func (m *memoryStore) load(_ context.Context, id ID, touch func(*Session) time.Duration) (*Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.live(id)
	if e == nil {
		return nil, ErrNotFound
	}
	if now := m.now(); touch != nil && now.Sub(e.touched) >= touchEvery {
		if ttl := touch(e.session); ttl >= 0 {
			e.expiry, e.touched = m.expiry(ttl), now
		}
	}
	return e.session, nil
}

// live returns an entry that hasn't expired.
func (m *memoryStore) live(id ID) *memoryEntry {
	e := m.entries[id]
	if e == nil {
		return nil
	}
	if !e.expiry.IsZero() && !m.now().Before(e.expiry) {
		m.drop(id)
		return nil
	}
	return e
}

func (m *memoryStore) expiry(ttl time.Duration) time.Time {
	if ttl == 0 {
		return time.Time{}
	}
	return m.now().Add(ttl)
}

func (m *memoryStore) save(_ context.Context, id ID, s *Session, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep()
	if len(m.entries) >= maxSessions {
		return fmt.Errorf("%w: %d sessions are in memory; storage redis holds more", ErrUnavailable, maxSessions)
	}
	m.put(id, s, ttl)
	return nil
}

func (m *memoryStore) put(id ID, s *Session, ttl time.Duration) {
	m.entries[id] = &memoryEntry{session: s, expiry: m.expiry(ttl), touched: m.now()}
	s.indexed(func(kind, issuer, value string) {
		name := indexName(kind, issuer, value)
		if m.index[name] == nil {
			m.index[name] = map[ID]struct{}{}
		}
		m.index[name][id] = struct{}{}
	})
}

// drop takes an entry and its index out.
func (m *memoryStore) drop(id ID) {
	e := m.entries[id]
	if e == nil {
		return
	}
	delete(m.entries, id)
	e.session.indexed(func(kind, issuer, value string) {
		name := indexName(kind, issuer, value)
		delete(m.index[name], id)
		if len(m.index[name]) == 0 {
			delete(m.index, name)
		}
	})
}

func (m *memoryStore) sweep() {
	now := m.now()
	if now.Sub(m.swept) < sweepEvery {
		return
	}
	m.swept = now
	for id := range m.entries {
		m.live(id)
	}
}

func (m *memoryStore) swap(_ context.Context, id ID, old, next *Session, ttl time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.live(id)
	if e == nil || e.session != old {
		return errChanged
	}
	m.drop(id)
	m.put(id, next, ttl)
	return nil
}

func (m *memoryStore) delete(_ context.Context, id ID, _ *Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(id)
	return nil
}

func (m *memoryStore) lease(_ context.Context, id ID) (func(), bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, held := m.leases[id]; held {
		return nil, false, nil
	}
	m.leases[id] = struct{}{}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.leases, id)
	}, true, nil
}

func (m *memoryStore) find(_ context.Context, kind, issuer, value string) ([]ref, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var refs []ref
	for id := range m.index[indexName(kind, issuer, value)] {
		if m.live(id) != nil {
			refs = append(refs, ref(id[:]))
		}
	}
	return refs, nil
}

func (m *memoryStore) remove(_ context.Context, refs []ref) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range refs {
		m.drop(ID([]byte(r)))
	}
	return nil
}

func (m *memoryStore) ping(context.Context) error { return nil }
func (m *memoryStore) close() error               { return nil }

// indexName is unambiguous: lengths go before the parts.
func indexName(kind, issuer, value string) string {
	return fmt.Sprintf("%s %d %s %d %s", kind, len(issuer), issuer, len(value), value)
}
