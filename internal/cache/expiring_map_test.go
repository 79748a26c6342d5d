package cache

import (
	"math/rand/v2"
	"testing"
	"time"
)

// A dated is a value whose deadline a test moves.
type dated struct {
	name     int
	deadline time.Time
}

func newDatedMap(max int) *ExpiringMap[int, *dated] {
	return NewExpiringMap[int](max, func(d *dated) time.Time { return d.deadline })
}

func TestExpiringMap(t *testing.T) {
	m, now := newDatedMap(3), time.Now()
	put := func(name, key int, life time.Duration) (evicted *dated) {
		evicted, _ = m.Put(key, &dated{name, now.Add(life)})
		return evicted
	}
	for key, life := range []time.Duration{5, 3, 4} {
		if evicted := put(key, key, life); evicted != nil {
			t.Fatalf("%v was evicted from a map that is not full", evicted)
		}
	}
	put(10, 1, 9) // replaces the value of key 1, and its deadline
	if evicted := put(3, 3, 6); evicted == nil || evicted.name != 2 {
		t.Errorf("%v was evicted, expected 2", evicted)
	}
	if v, ok := m.Get(1); !ok || v.name != 10 {
		t.Errorf("got %v, %v", v, ok)
	}
	if removed := m.Sweep(now.Add(6)); len(removed) != 2 || removed[0].name != 0 || removed[1].name != 3 {
		t.Errorf("Sweep removed %v, expected 0 and 3", removed)
	}
	if _, ok := m.Delete(0); ok || m.Len() != 1 {
		t.Errorf("%d entries are left, expected 1", m.Len())
	}
	if v, ok := m.Delete(1); !ok || v.name != 10 || m.Len() != 0 {
		t.Errorf("got %v, %v", v, ok)
	}
	if _, ok := m.Get(1); ok {
		t.Error("a deleted entry is found")
	}
}

// A deadline that moves while the value is stored counts, and an entry without one is evicted last.
func TestExpiringMapDeadlinesMove(t *testing.T) {
	m, now := newDatedMap(3), time.Now()
	endless, used, unused := &dated{name: 0}, &dated{1, now.Add(1)}, &dated{2, now.Add(2)}
	for _, d := range []*dated{endless, used, unused} {
		m.Put(d.name, d)
	}
	used.deadline = now.Add(10)
	if evicted, full := m.Put(3, &dated{3, now.Add(20)}); !full || evicted != unused {
		t.Errorf("%v was evicted, expected %v", evicted, unused)
	}
	if removed := m.Sweep(now.Add(10)); len(removed) != 1 || removed[0] != used {
		t.Errorf("Sweep removed %v, expected %v", removed, used)
	}
	m.Sweep(now.Add(time.Hour))
	if _, ok := m.Get(0); !ok || m.Len() != 1 {
		t.Error("an entry without a deadline was swept")
	}
	m.Max = 1
	if evicted, _ := m.Put(4, &dated{4, now}); evicted != endless {
		t.Errorf("%v was evicted, expected %v", evicted, endless)
	}
}

// After any sequence of operations the queue holds each stored item once, in the order of a heap, and the map agrees with a
// plain one.
func TestExpiringMapRandomly(t *testing.T) {
	const size = 20
	m, plain, now := newDatedMap(size), map[int]*dated{}, time.Now()
	random := rand.New(rand.NewPCG(1, 2))
	for step := range 5000 {
		key := random.IntN(2 * size)
		switch random.IntN(6) {
		case 0, 1, 2:
			d := &dated{name: key}
			if random.IntN(4) > 0 {
				d.deadline = now.Add(time.Duration(random.IntN(100)))
			}
			if evicted, full := m.Put(key, d); full {
				delete(plain, evicted.name)
			}
			plain[key] = d
		case 3:
			m.Delete(key)
			delete(plain, key)
		case 4:
			if d := plain[key]; d != nil && !d.deadline.IsZero() {
				d.deadline = d.deadline.Add(time.Duration(random.IntN(50)))
			}
		default:
			now = now.Add(time.Duration(random.IntN(10)))
			for _, d := range m.Sweep(now) {
				delete(plain, d.name)
			}
			for _, d := range plain {
				if !d.deadline.IsZero() && !now.Before(d.deadline) {
					t.Fatalf("step %d: %v is left", step, d)
				}
			}
		}
		consistent(t, m, plain, step)
	}
}

// consistent checks that the map holds the same as a plain one, and that its queue is a heap of the same items.
func consistent(t *testing.T, m *ExpiringMap[int, *dated], plain map[int]*dated, step int) {
	t.Helper()
	if m.Len() != len(plain) || len(m.queue) != len(plain) || m.Len() > m.Max {
		t.Fatalf("step %d: %d entries, %d queued, expected %d", step, m.Len(), len(m.queue), len(plain))
	}
	for key, d := range plain {
		if got, ok := m.Get(key); !ok || got != d {
			t.Fatalf("step %d: %d is %v, expected %v", step, key, got, d)
		}
	}
	for index, i := range m.queue {
		if i.index != index || m.items[i.key] != i || index > 0 && m.queue.Less(index, (index-1)/2) {
			t.Fatalf("step %d: the item at %d has another index or key, or is before its parent", step, index)
		}
	}
}
