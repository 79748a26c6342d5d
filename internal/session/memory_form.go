package session

import (
	"context"
	"fmt"
	"time"

	"sallyport/internal/cache"
)

// maxForms bounds the forms in memory. With the largest they take 64 MB.
const maxForms = 1000

// A memoryForm is a form with the time when it is deleted.
type memoryForm struct {
	*Form
	until time.Time
}

func newMemoryForms() *cache.ExpiringMap[ID, memoryForm] {
	return cache.NewExpiringMap[ID](maxForms, func(f memoryForm) time.Time { return f.until })
}

// keepNotes makes entries stay for noteLife after their deadline: an entry that has expired is the note of its session.
func (m *memoryStore) keepNotes() { m.notes.Store(true) }

// removal returns when sweep removes an entry; the zero time means never.
func (m *memoryStore) removal(s *memoryEntry) time.Time {
	at := s.expires()
	if m.notes.Load() && s.session != nil && !at.IsZero() {
		at = at.Add(noteLife)
	}
	return at
}

func (m *memoryStore) note(_ context.Context, id ID) (*Login, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s, ok := m.entries.Get(id)
	if !ok || s.session == nil || !m.notes.Load() || s.expired(m.now().Add(-noteLife)) {
		return nil, ErrNotFound
	}
	return &s.session.Login, nil
}

func (m *memoryStore) forgetNote(_ context.Context, id ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.entries.Get(id); ok && s.gone(m.now()) { // a remembered session goes on; its note ends by itself
		m.delete(id)
	}
	return nil
}

func (m *memoryStore) addForm(_ context.Context, id ID, f *Form) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.forms.Sweep(m.now())
	if _, ok := m.forms.Get(id); ok {
		return ErrChanged
	}
	if m.forms.Len() >= m.forms.Max { // evicting one would lose what its user was promised
		return fmt.Errorf("%w: the session store in memory holds %d forms", ErrUnavailable, m.forms.Max)
	}
	m.forms.Put(id, memoryForm{f, m.now().Add(formLife)})
	return nil
}

func (m *memoryStore) form(_ context.Context, id ID) (*Form, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	f, ok := m.forms.Get(id)
	if !ok || !m.now().Before(f.until) {
		return nil, ErrNotFound
	}
	return f.Form, nil
}

func (m *memoryStore) takeForm(ctx context.Context, id ID) (*Form, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f, ok := m.forms.Delete(id)
	if !ok || !m.now().Before(f.until) {
		return nil, ErrNotFound
	}
	return f.Form, nil
}
