package session

import (
	"container/heap"
	"time"
)

// sweeper takes out what has expired, until close.
func (m *memoryStore) sweeper() {
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

func (m *memoryStore) sweep() {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for k := m.first(); k != nil && k.expired(now); k = m.first() {
		m.takeOut(k.id)
	}
	for id, l := range m.leases {
		if !now.Before(l.until) {
			delete(m.leases, id)
		}
	}
}

// first returns the entry that ends before all others; nil if none ends. An entry that was used since it was queued is given
// its new place on the way.
func (m *memoryStore) first() *kept {
	for len(m.queue) > 0 {
		k := m.queue[0]
		deadline := k.deadline.Load()
		if deadline == k.queued {
			return k
		}
		k.queued = deadline
		heap.Fix(&m.queue, 0)
	}
	return nil
}

// evict makes room: the session that would end first goes, or any if none ends.
func (m *memoryStore) evict() {
	if now := m.now(); now.Sub(m.warned) >= time.Minute {
		m.warned = now
		m.log.Warn("the session store in memory is full: sessions end early; session_storage redis holds more", "sessions", m.max)
	}
	if k := m.first(); k != nil {
		m.takeOut(k.id)
		return
	}
	for id := range m.entries {
		m.takeOut(id)
		return
	}
}

// A queue is a heap of entries that expire, the first to go at its head. Using a session doesn't move it in the queue: it is
// moved when it reaches the head.
type queue []*kept

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].queued < q[j].queued }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

func (q *queue) Push(x any) {
	k := x.(*kept)
	k.at = len(*q)
	*q = append(*q, k)
}

func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}
