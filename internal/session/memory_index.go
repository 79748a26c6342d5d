package session

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// A memoryMark is a mark until it expires.
type memoryMark struct {
	mark  mark
	until time.Time
}

// index adds a stored session to the index under keys that it doesn't have yet. A new session is added when it is stored.
func (m *memoryStore) index(_ context.Context, id ID, s *Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if stored, ok := m.entries.Get(id); ok {
		s.Login.eachIndexKey(func(key indexKey) {
			m.addToIndex(key, id)
			stored.also = append(stored.also, key)
		})
	}
	return nil
}

func (m *memoryStore) addToIndex(key indexKey, id ID) {
	if m.ids[key] == nil {
		m.ids[key] = map[ID]struct{}{}
	}
	m.ids[key][id] = struct{}{}
}

// unindex removes an entry from the index.
func (m *memoryStore) unindex(s *memoryEntry) {
	remove := func(key indexKey) {
		delete(m.ids[key], s.id)
		if len(m.ids[key]) == 0 {
			delete(m.ids, key)
		}
	}
	if s.session != nil {
		s.session.Login.eachIndexKey(remove)
	}
	for _, key := range s.also {
		remove(key)
	}
}

func (m *memoryStore) mark(_ context.Context, key indexKey, latest mark) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	before, ok := m.marks.Get(key)
	if ok && now.Before(before.until) {
		latest = max(latest, before.mark)
	}
	if !ok && m.marks.Len() >= m.marks.Max {
		return fmt.Errorf("%w: the session store in memory holds %d marks of logouts", ErrUnavailable, m.marks.Max)
	}
	m.marks.Put(key, memoryMark{latest, now.Add(markLife)})
	return nil
}

func (m *memoryStore) latestMark(_ context.Context, keys []indexKey) (latest mark, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	now := m.now()
	for _, key := range keys {
		if found, ok := m.marks.Get(key); ok && now.Before(found.until) {
			latest = max(latest, found.mark)
		}
	}
	return latest, nil
}

func (m *memoryStore) remove(_ context.Context, key indexKey, by mark) (n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id := range m.ids[key] {
		s, ok := m.entries.Get(id)
		if !ok || s.session == nil || !by.ends(&s.session.Login) {
			continue
		}
		if m.delete(id); !s.gone(m.now()) {
			n++
		}
	}
	return n, nil
}

func (m *memoryStore) find(_ context.Context, key indexKey) (all []Listed, err error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for id := range m.ids[key] {
		all = m.appendListed(all, id)
	}
	return all, nil
}

// appendListed appends the session of an ID, unless it has ended.
func (m *memoryStore) appendListed(all []Listed, id ID) []Listed {
	s, ok := m.entries.Get(id)
	if !ok || s.session == nil || s.gone(m.now()) {
		return all
	}
	l := listed(s.session)
	l.id, l.Used = id, time.Unix(0, s.touched.Load())
	return append(all, l)
}

// list returns the sessions in the order in which they were stored. The name of a page is the number of the last session before it.
func (m *memoryStore) list(_ context.Context, page string, limit int) (all []Listed, next string, err error) {
	after, err := strconv.ParseUint(cmp.Or(page, "0"), 10, 64)
	if err != nil {
		return nil, "", ErrPage
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	var entries []*memoryEntry
	for s := range m.entries.Values() {
		if s.number > after {
			entries = append(entries, s)
		}
	}
	slices.SortFunc(entries, func(a, b *memoryEntry) int { return cmp.Compare(a.number, b.number) })
	for n, s := range entries {
		if n == limit {
			return all, strconv.FormatUint(entries[n-1].number, 10), nil
		}
		all = m.appendListed(all, s.id)
	}
	return all, "", nil
}

func (m *memoryStore) dropListed(_ context.Context, l Listed) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.delete(l.id); s == nil || s.session == nil || s.gone(m.now()) {
		return 0, nil
	}
	return 1, nil
}
