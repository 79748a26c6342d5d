package cache

import (
	"container/heap"
	"iter"
	"time"
)

// An ExpiringMap is a map of at most Max entries, each with a deadline. When it is full, Put evicts the entry whose deadline is
// the earliest. Entries past their deadline stay until Sweep removes them: the caller compares the deadline when it uses one.
//
// Get, Len and Values may be called concurrently. All other methods need exclusive access, which the owner's lock gives them.
type ExpiringMap[K comparable, V any] struct {
	Max int // 1 or more

	deadline func(V) time.Time
	items    map[K]*item[K, V]
	queue    queue[K, V]
}

// An item is an entry and its place in the queue.
type item[K comparable, V any] struct {
	key      K
	value    V
	deadline time.Time // by which the queue orders it; the value's own deadline may be later by now
	index    int       // in the queue
}

// NewExpiringMap returns an empty map. The function deadline returns the deadline of a value; the zero time means never. A
// deadline may move to a later time while the value is stored, from any goroutine and without a notice to the map: the map reads
// it again before it removes the value.
func NewExpiringMap[K comparable, V any](max int, deadline func(V) time.Time) *ExpiringMap[K, V] {
	return &ExpiringMap[K, V]{Max: max, deadline: deadline, items: map[K]*item[K, V]{}}
}

// Len returns the number of entries.
func (m *ExpiringMap[K, V]) Len() int { return len(m.items) }

// Values returns the values, in no particular order.
func (m *ExpiringMap[K, V]) Values() iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, i := range m.items {
			if !yield(i.value) {
				return
			}
		}
	}
}

// Get returns the value of a key. Its deadline may have passed.
func (m *ExpiringMap[K, V]) Get(k K) (v V, ok bool) {
	i := m.items[k]
	if i == nil {
		return v, false
	}
	return i.value, true
}

// Put stores a value, in place of the key's former one. If the map is full it evicts another value and returns it.
func (m *ExpiringMap[K, V]) Put(k K, v V) (evicted V, full bool) {
	m.Delete(k)
	if len(m.items) >= m.Max {
		evicted, full = m.Delete(m.first().key)
	}
	i := &item[K, V]{key: k, value: v, deadline: m.deadline(v)}
	m.items[k] = i
	heap.Push(&m.queue, i)
	return evicted, full
}

// Delete removes a key and returns its value.
func (m *ExpiringMap[K, V]) Delete(k K) (v V, ok bool) {
	i := m.items[k]
	if i == nil {
		return v, false
	}
	delete(m.items, k)
	heap.Remove(&m.queue, i.index)
	return i.value, true
}

// Sweep removes all entries whose deadline has passed and returns their values.
func (m *ExpiringMap[K, V]) Sweep(now time.Time) (removed []V) {
	for i := m.first(); i != nil && !i.deadline.IsZero() && !now.Before(i.deadline); i = m.first() {
		m.Delete(i.key)
		removed = append(removed, i.value)
	}
	return removed
}

// first returns the item with the earliest deadline, or nil if the map is empty. An item whose deadline has moved gets its new
// place here rather than when it moves, so that moving it needs no lock.
func (m *ExpiringMap[K, V]) first() *item[K, V] {
	for len(m.queue) > 0 {
		i := m.queue[0]
		deadline := m.deadline(i.value)
		if deadline.Equal(i.deadline) {
			return i
		}
		i.deadline = deadline
		heap.Fix(&m.queue, 0)
	}
	return nil
}

// A queue is a heap of items, the one with the earliest deadline at its head. Items without a deadline come last.
type queue[K comparable, V any] []*item[K, V]

func (q queue[K, V]) Len() int { return len(q) }

func (q queue[K, V]) Less(i, j int) bool {
	a, b := q[i].deadline, q[j].deadline
	return !a.IsZero() && (b.IsZero() || a.Before(b))
}

func (q queue[K, V]) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *queue[K, V]) Push(x any) {
	i := x.(*item[K, V])
	i.index = len(*q)
	*q = append(*q, i)
}

func (q *queue[K, V]) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}
