package dpop

import (
	"sync"
	"time"
)

// maxProofs is how many proofs a Memory remembers, which takes about 40 MB.
const maxProofs = 1 << 20

// A Memory remembers the used proofs of this process. It forgets a proof only when it can't be valid any more, and refuses further proofs
// when it is full. It is safe for concurrent use.
//
// Its room is fair to keys: the proofs of one key may take as much room as is free. So one key alone can fill half of it, two keys a third
// each, and a key with few proofs always finds room.
type Memory struct {
	max int

	mu     sync.Mutex
	slots  map[int64]*slot // by the minute in which their proofs expire
	total  int
	counts map[digest]int // of the remembered proofs by key
	swept  int64          // the minute of the last sweep
}

// A slot has the proofs that expire in one minute.
type slot struct {
	users  map[digest]uint64 // the request that used a proof, by the proof's id
	counts map[digest]int    // of its proofs by key
}

// NewMemory returns an empty Memory.
func NewMemory() *Memory { return newMemory(maxProofs) }

func newMemory(most int) *Memory {
	return &Memory{max: most, slots: map[int64]*slot{}, counts: map[digest]int{}}
}

// use remembers a proof that a request uses.
func (m *Memory) use(p *Proof, user uint64, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(minute(now))
	for _, s := range m.slots { // the same jti may come again with another iat
		if by, used := s.users[p.id]; used && by == user {
			return nil
		} else if used {
			return ErrReplayed
		}
	}
	if m.counts[p.key] >= m.max-m.total {
		return ErrFull
	}
	n := minute(p.expires)
	s := m.slots[n]
	if s == nil {
		s = &slot{users: map[digest]uint64{}, counts: map[digest]int{}}
		m.slots[n] = s
	}
	s.users[p.id] = user
	s.counts[p.key]++
	m.counts[p.key]++
	m.total++
	return nil
}

// sweep forgets the slots of past minutes.
func (m *Memory) sweep(now int64) {
	if now == m.swept {
		return
	}
	m.swept = now
	for n, s := range m.slots {
		if n >= now {
			continue
		}
		for key, count := range s.counts {
			if m.counts[key] -= count; m.counts[key] == 0 {
				delete(m.counts, key)
			}
		}
		m.total -= len(s.users)
		delete(m.slots, n)
	}
}

func minute(t time.Time) int64 { return t.Unix() / 60 }
