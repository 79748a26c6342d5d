package session

import (
	"context"
	"time"
)

// A memoryPointer is a pointer until it expires.
type memoryPointer struct {
	*pointer
	until time.Time
}

func (m *memoryStore) remembered(_ context.Context, id ID) (*entry, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.kept(id)
}

// kept returns the entry of an ID whose session can be resumed.
func (m *memoryStore) kept(id ID) (*entry, error) {
	if s, ok := m.entries.Get(id); ok && m.now().Before(s.kept) {
		return s.entry, nil
	}
	return nil, ErrNotFound
}

func (m *memoryStore) supersede(_ context.Context, old, next *entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now, err := m.kept(old.id); err != nil || now != old {
		return ErrChanged
	}
	if next == nil {
		m.delete(old.id)
		return nil
	}
	m.put(next)
	return nil
}

func (m *memoryStore) point(_ context.Context, remember ID, p *pointer, of *Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.points.Put(remember, memoryPointer{p, m.now().Add(p.life(&m.timeouts, of, m.now()))})
	return nil
}

func (m *memoryStore) pointed(_ context.Context, remember ID) (*pointer, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if p, ok := m.points.Get(remember); ok && m.now().Before(p.until) {
		return p.pointer, nil
	}
	return nil, ErrNotFound
}
