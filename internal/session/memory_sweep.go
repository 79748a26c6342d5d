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
	for len(m.queue) > 0 && m.queue[0].queued <= now.UnixNano() {
		if k := m.first(); k != nil && k.expired(now) {
			m.takeOut(k.id)
		}
	}
	for id, l := range m.leases {
		if !now.Before(l.until) {
			delete(m.leases, id)
		}
	}
}

// first takes the head of the queue. It returns nil for what is no longer stored, and for what was used since it was
// queued, which is queued anew.
func (m *memoryStore) first() *kept {
	k := heap.Pop(&m.queue).(*kept)
	if m.entries[k.id] != k {
		return nil
	}
	if deadline := k.deadline.Load(); deadline != k.queued {
		k.queued = deadline
		heap.Push(&m.queue, k)
		return nil
	}
	return k
}

// evict makes room: the session that would end first goes, or any if none ends.
func (m *memoryStore) evict() {
	if now := m.now(); now.Sub(m.warned) >= time.Minute {
		m.warned = now
		m.log.Warn("the session store in memory is full: sessions end early; session_storage redis holds more", "sessions", m.max)
	}
	for len(m.queue) > 0 {
		if k := m.first(); k != nil {
			m.takeOut(k.id)
			return
		}
	}
	for id := range m.entries {
		m.takeOut(id)
		return
	}
}

// A queue is a heap of entries that expire, the first to go at its head. Using a session doesn't move it in the queue: its
// turn comes, and then it is queued anew.
type queue []*kept

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].queued < q[j].queued }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(*kept)) }
func (q *queue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}
