package authserver

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"sallyport/internal/cache"
)

const (
	maxTokens  = 100_000 // access tokens in memory, and as many families: about 100 MB
	maxCodes   = 10_000
	sweepEvery = 30 * time.Second
)

// A memoryStore stores the records themselves. Each use of it removes expired records, at most every 30 seconds. A full store
// evicts the record that would expire first.
type memoryStore struct {
	now func() time.Time
	log *slog.Logger

	mu       sync.Mutex // guards the fields below
	tokens   *cache.ExpiringMap[digest, *record]
	codes    *cache.ExpiringMap[digest, *record]
	families *cache.ExpiringMap[digest, *familyEntry]
	logins   *cache.ExpiringMap[digest, time.Time] // those that are used, until when
	swept    time.Time
	warned   time.Time // when a full store was last logged
}

// A familyEntry is a family with its access tokens.
type familyEntry struct {
	record *record
	tokens []digest  // at most maxMembers, the newest first
	until  time.Time // see issuance.until
}

func newMemoryStore(now func() time.Time, log *slog.Logger) *memoryStore {
	return &memoryStore{
		now: now, log: log,
		tokens:   cache.NewExpiringMap[digest](maxTokens, (*record).expiry),
		codes:    cache.NewExpiringMap[digest](maxCodes, (*record).expiry),
		families: cache.NewExpiringMap[digest](maxTokens, func(f *familyEntry) time.Time { return f.until }),
		logins:   cache.NewExpiringMap[digest](maxTokens, func(until time.Time) time.Time { return until }),
	}
}

func (m *memoryStore) ping(context.Context) error { return nil }

// lock locks the store, and removes expired records if that is due.
func (m *memoryStore) lock() (unlock func()) {
	m.mu.Lock()
	if now := m.now(); now.Sub(m.swept) >= sweepEvery {
		m.swept = now
		m.tokens.Sweep(now)
		m.codes.Sweep(now)
		m.families.Sweep(now)
		m.logins.Sweep(now)
	}
	return m.mu.Unlock
}

// records returns the map of a handle's kind.
func (m *memoryStore) records(h handle) *cache.ExpiringMap[digest, *record] {
	if h.kind == codeHandle {
		return m.codes
	}
	return m.tokens
}

func (m *memoryStore) add(_ context.Context, h handle, r *record) error {
	defer m.lock()()
	m.put(h, r)
	return nil
}

func (m *memoryStore) put(h handle, r *record) {
	if _, full := m.records(h).Put(h.digest(), r); full {
		m.warnFull()
	}
}

// warnFull logs, at most once a minute, that records are evicted.
func (m *memoryStore) warnFull() {
	if now := m.now(); now.Sub(m.warned) >= time.Minute {
		m.warned = now
		m.log.Warn("the token store in memory is full: tokens end early; oauth2.storage redis holds more", "tokens", m.tokens.Max)
	}
}

func (m *memoryStore) load(_ context.Context, h handle) (*record, error) {
	defer m.lock()()
	r, ok := m.records(h).Get(h.digest())
	if !ok {
		return nil, ErrUnknown
	}
	return r, nil
}

func (m *memoryStore) family(_ context.Context, id string) (*record, error) {
	defer m.lock()()
	f, ok := m.families.Get(familyDigest(id))
	if !ok {
		return nil, ErrUnknown
	}
	return f.record, nil
}

func (m *memoryStore) redeem(_ context.Context, code handle, was *record, next issuance) error {
	defer m.lock()()
	if now, ok := m.codes.Get(code.digest()); !ok || now != was {
		return errChanged
	}
	m.codes.Delete(code.digest())
	m.issue(next, nil)
	return nil
}

func (m *memoryStore) rotate(_ context.Context, was *record, next issuance) error {
	defer m.lock()()
	f, ok := m.families.Get(familyDigest(was.Family))
	if !ok || f.record != was {
		return errChanged
	}
	m.issue(next, f.tokens)
	return nil
}

func (m *memoryStore) replace(_ context.Context, was, next *record) error {
	defer m.lock()()
	f, ok := m.families.Get(familyDigest(was.Family))
	if !ok || f.record != was {
		return errChanged
	}
	m.families.Put(familyDigest(was.Family), &familyEntry{next, f.tokens, f.until})
	return nil
}

func (m *memoryStore) use(_ context.Context, login digest, until time.Time) (bool, error) {
	defer m.lock()()
	if _, used := m.logins.Get(login); used {
		return false, nil
	}
	m.logins.Put(login, until)
	return true, nil
}

func (m *memoryStore) used(_ context.Context, login digest) (bool, error) {
	defer m.lock()()
	_, used := m.logins.Get(login)
	return used, nil
}

// issue stores an issuance. Tokens are the family's former access tokens, the newest first; those beyond maxMembers are deleted.
func (m *memoryStore) issue(next issuance, tokens []digest) {
	alive := []digest{next.token.digest()}
	for _, d := range tokens {
		switch _, ok := m.tokens.Get(d); {
		case ok && len(alive) < maxMembers:
			alive = append(alive, d)
		case ok:
			m.tokens.Delete(d)
		}
	}
	m.put(next.token, next.access)
	evicted, full := m.families.Put(familyDigest(next.family.Family), &familyEntry{next.family, alive, next.until()})
	if !full {
		return
	}
	m.warnFull()
	for _, d := range evicted.tokens { // without the family they could not be revoked
		m.tokens.Delete(d)
	}
}

func (m *memoryStore) drop(_ context.Context, h handle) error {
	defer m.lock()()
	m.records(h).Delete(h.digest())
	return nil
}

func (m *memoryStore) end(_ context.Context, family string) error {
	defer m.lock()()
	f, ok := m.families.Delete(familyDigest(family))
	if !ok {
		return nil
	}
	for _, d := range f.tokens {
		m.tokens.Delete(d)
	}
	return nil
}
