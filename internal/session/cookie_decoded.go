package session

import (
	"crypto/sha256"
	"sync"
)

// maxDecoded bounds the decoded sessions, in bytes of their contents. In memory they take about three times as much.
const maxDecoded = 32 << 20

// A decodedSessions has the sessions of cookies that were opened before, by a hash of the cookies, so that equal cookies are neither
// decrypted nor parsed again. Each hit still judges the timeouts. When the younger half is full, it becomes the older half, and what was in
// the older half and not used since then goes.
type decodedSessions struct {
	mu             sync.Mutex
	younger, older map[[sha256.Size]byte]decodedSession
	bytes          int // of younger
}

type decodedSession struct {
	session *Session
	size    int
}

func (d *decodedSessions) get(sum [sha256.Size]byte) *Session {
	d.mu.Lock()
	defer d.mu.Unlock()
	if found, ok := d.younger[sum]; ok {
		return found.session
	}
	found, ok := d.older[sum]
	if ok {
		d.add(sum, found)
	}
	return found.session
}

func (d *decodedSessions) put(sum [sha256.Size]byte, s *Session, size int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.add(sum, decodedSession{s, size})
}

func (d *decodedSessions) add(sum [sha256.Size]byte, s decodedSession) {
	if _, known := d.younger[sum]; known {
		return
	}
	if d.younger == nil || d.bytes+s.size > maxDecoded/2 {
		d.older, d.younger, d.bytes = d.younger, map[[sha256.Size]byte]decodedSession{}, 0
	}
	d.younger[sum] = s
	d.bytes += s.size
}
