package authserver

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	maxTokens  = 100_000 // access tokens in memory, and as many families: about 100 MB
	maxCodes   = 10_000
	sweepEvery = 30 * time.Second
)

// A memoryStore keeps the records themselves. What has expired goes with the next use; what is too many goes too, the first
// that would end before the others.
type memoryStore struct {
	now func() time.Time
	log *slog.Logger

	mu       sync.Mutex // guards what is below
	tokens   *room[*record]
	codes    *room[*record]
	families *room[*members]
	swept    time.Time
	warned   time.Time // when a full store was last logged
}

// members are a family and its access tokens.
type members struct {
	record *record
	tokens []digest // at most maxMembers, the newest first
}

func newMemoryStore(now func() time.Time, log *slog.Logger) *memoryStore {
	return &memoryStore{now: now, log: log, tokens: newRoom[*record](maxTokens), codes: newRoom[*record](maxCodes), families: newRoom[*members](maxTokens)}
}

func (m *memoryStore) ping(context.Context) error { return nil }

// lock begins a use of the store and takes out what has expired.
func (m *memoryStore) lock() (unlock func()) {
	m.mu.Lock()
	if now := m.now(); now.Sub(m.swept) >= sweepEvery {
		m.swept = now
		m.tokens.sweep(now)
		m.codes.sweep(now)
		m.families.sweep(now)
	}
	return m.mu.Unlock
}

func (m *memoryStore) room(h handle) *room[*record] {
	if h.kind == codeHandle {
		return m.codes
	}
	return m.tokens
}

func (m *memoryStore) keep(_ context.Context, h handle, r *record) error {
	defer m.lock()()
	m.put(h, r)
	return nil
}

func (m *memoryStore) put(h handle, r *record) {
	if evicted := m.room(h).put(h.digest(), r, r.expiry()); evicted != nil {
		m.full()
	}
}

// full says that the store is.
func (m *memoryStore) full() {
	if now := m.now(); now.Sub(m.warned) >= time.Minute {
		m.warned = now
		m.log.Warn("the token store in memory is full: tokens end early; oauth2.storage redis holds more", "tokens", m.tokens.max)
	}
}

func (m *memoryStore) load(_ context.Context, h handle) (*record, error) {
	defer m.lock()()
	r, ok := m.room(h).get(h.digest())
	if !ok {
		return nil, ErrUnknown
	}
	return r, nil
}

func (m *memoryStore) family(_ context.Context, id string) (*record, error) {
	defer m.lock()()
	f, ok := m.families.get(familyDigest(id))
	if !ok {
		return nil, ErrUnknown
	}
	return f.record, nil
}

func (m *memoryStore) redeem(_ context.Context, code handle, was *record, next issue) error {
	defer m.lock()()
	if now, ok := m.codes.get(code.digest()); !ok || now != was {
		return errChanged
	}
	m.codes.drop(code.digest())
	m.issue(next, nil)
	return nil
}

func (m *memoryStore) rotate(_ context.Context, was *record, next issue) error {
	defer m.lock()()
	f, ok := m.families.get(familyDigest(was.Family))
	if !ok || f.record != was {
		return errChanged
	}
	m.issue(next, f.tokens)
	return nil
}

// issue stores an issue; tokens are those that the family has already, the newest first. Those that are too many end.
func (m *memoryStore) issue(next issue, tokens []digest) {
	alive := []digest{next.token.digest()}
	for _, d := range tokens {
		switch _, ok := m.tokens.get(d); {
		case ok && len(alive) < maxMembers:
			alive = append(alive, d)
		case ok:
			m.tokens.drop(d)
		}
	}
	m.put(next.token, next.access)
	evicted := m.families.put(familyDigest(next.family.Family), &members{next.family, alive}, next.until())
	if evicted == nil {
		return
	}
	m.full()
	for _, d := range (*evicted).tokens { // nothing could end them any more
		m.tokens.drop(d)
	}
}

func (m *memoryStore) drop(_ context.Context, h handle) error {
	defer m.lock()()
	m.room(h).drop(h.digest())
	return nil
}

func (m *memoryStore) end(_ context.Context, family string) error {
	defer m.lock()()
	f, ok := m.families.drop(familyDigest(family))
	if !ok {
		return nil
	}
	for _, d := range f.tokens {
		m.tokens.drop(d)
	}
	return nil
}
