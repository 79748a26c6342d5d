package session

import (
	"container/heap"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxInMemory = 100_000 // sessions: about 1 GB where each has three tokens
	maxLeases   = 250_000 // more are refused: a lease that was evicted would let what may be used once be used again
	sweepEvery  = 30 * time.Second
)

// A memoryStore keeps the decoded, immutable sessions themselves. Each is a login, which a stranger can't begin at will;
// still their number is bounded: over it the one that would end first goes.
type memoryStore struct {
	timeouts timeouts
	max      int
	now      func() time.Time
	log      *slog.Logger
	stop     chan struct{}
	stopped  sync.WaitGroup

	mu      sync.RWMutex // guards what is below
	entries map[ID]*kept
	queue   queue
	index   map[indexKey]map[ID]struct{}
	leases  map[ID]lease
	warned  time.Time // when a full store was last logged
}

// kept is an entry and how long it is kept.
type kept struct {
	*entry
	touched  atomic.Int64 // Unix nanoseconds
	deadline atomic.Int64 // Unix nanoseconds; zero is never
	queued   int64        // the deadline by which it stands in the queue; zero: it doesn't stand there
	at       int          // its place in the queue
}

func (k *kept) expired(now time.Time) bool {
	deadline := k.deadline.Load()
	return deadline != 0 && now.UnixNano() >= deadline
}

type lease struct {
	holder string
	until  time.Time
}

func newMemoryStore(t timeouts, most int, now func() time.Time, log *slog.Logger) *memoryStore {
	m := &memoryStore{
		timeouts: t, max: most, now: now, log: log, stop: make(chan struct{}),
		entries: map[ID]*kept{}, index: map[indexKey]map[ID]struct{}{}, leases: map[ID]lease{},
	}
	m.stopped.Go(m.sweeper)
	return m
}

func (m *memoryStore) ping(context.Context) error { return nil }

func (m *memoryStore) close() error {
	close(m.stop)
	m.stopped.Wait()
	return nil
}

func (m *memoryStore) load(_ context.Context, id ID) (*entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	now := m.now()
	k := m.entries[id]
	if k == nil || k.expired(now) {
		return nil, ErrNotFound
	}
	if m.timeouts.idling > 0 && now.UnixNano()-k.touched.Load() >= int64(m.timeouts.touchAfter()) {
		m.touch(k, now)
	}
	return k.entry, nil
}

func (m *memoryStore) touch(k *kept, now time.Time) {
	var deadline int64
	if ttl := k.ttl(&m.timeouts, now); ttl > 0 {
		deadline = now.Add(ttl).UnixNano()
	}
	k.touched.Store(now.UnixNano())
	k.deadline.Store(deadline)
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
	m.takeOut(old.id)
	return nil
}

// current is what is under an ID now, or nil.
func (m *memoryStore) current(id ID) *entry {
	if k := m.entries[id]; k != nil && !k.expired(m.now()) {
		return k.entry
	}
	return nil
}

// put stores an entry in the place of what was under its ID.
func (m *memoryStore) put(e *entry) {
	m.takeOut(e.id)
	for len(m.entries) >= m.max {
		m.evict()
	}
	k := &kept{entry: e}
	m.touch(k, m.now())
	m.entries[e.id] = k
	if k.queued = k.deadline.Load(); k.queued != 0 {
		heap.Push(&m.queue, k)
	}
	if e.session == nil {
		return
	}
	e.session.indexed(func(key indexKey) {
		if m.index[key] == nil {
			m.index[key] = map[ID]struct{}{}
		}
		m.index[key][e.id] = struct{}{}
	})
}

// takeOut takes out what is under an ID and returns it; nil if there is nothing.
func (m *memoryStore) takeOut(id ID) *kept {
	k := m.entries[id]
	if k == nil {
		return nil
	}
	delete(m.entries, id)
	if k.queued != 0 {
		heap.Remove(&m.queue, k.at)
	}
	if k.session == nil {
		return k
	}
	k.session.indexed(func(key indexKey) {
		delete(m.index[key], id)
		if len(m.index[key]) == 0 {
			delete(m.index, key)
		}
	})
	return k
}

func (m *memoryStore) remove(_ context.Context, key indexKey) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for id := range m.index[key] {
		if k := m.takeOut(id); !k.expired(m.now()) {
			n++
		}
	}
	return n, nil
}

func (m *memoryStore) lease(_ context.Context, id ID, holder string, life time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if l, held := m.leases[id]; held && l.holder != holder && m.now().Before(l.until) {
		return false, nil
	}
	if _, held := m.leases[id]; !held && len(m.leases) >= maxLeases {
		return false, fmt.Errorf("%w: the session store in memory holds %d leases", ErrUnavailable, maxLeases)
	}
	m.leases[id] = lease{holder, m.now().Add(life)}
	return true, nil
}

func (m *memoryStore) release(_ context.Context, id ID, holder string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leases[id].holder == holder {
		delete(m.leases, id)
	}
	return nil
}
