package session

import (
	"strings"
	"sync"
)

// maxDecoded bounds the decoded sessions, in bytes of their cookies and contents. In memory they take about twice as much.
const maxDecoded = 64 << 20

// A decodedSessions has the sessions of cookies that were opened before, so that equal cookies are neither decrypted nor parsed again. Each
// hit still judges the timeouts. When the younger half is full, it becomes the older half, and what was in the older half and not used
// since then goes.
//
// It compares all bytes of the cookies, which costs less than a hash. The time that this takes reveals nothing to a client that doesn't
// know the ID, which is as secret as the rest.
type decodedSessions struct {
	mu             sync.Mutex
	younger, older map[head]decodedSession
	bytes          int // of younger
}

type decodedSession struct {
	name    string
	values  [MaxChunks]string
	session *Session
	size    int
}

// get returns the session of a set of chunks under a name; nil if it wasn't opened before.
func (d *decodedSessions) get(name string, set *chunkSet) *Session {
	d.mu.Lock()
	defer d.mu.Unlock()
	found, young := d.younger[set.head]
	if !young {
		found = d.older[set.head]
	}
	if found.name != name || found.values != set.values {
		return nil
	}
	if !young {
		d.add(set.head, found)
	}
	return found.session
}

// put stores a session whose content has the given number of bytes.
func (d *decodedSessions) put(name string, set *chunkSet, s *Session, content int) {
	stored := decodedSession{name: name, session: s, size: content}
	for index, value := range set.values {
		stored.values[index] = strings.Clone(value) // it may be a part of a request's header
		stored.size += len(value)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.add(set.head, stored)
}

func (d *decodedSessions) add(h head, s decodedSession) {
	if d.younger == nil || d.bytes+s.size > maxDecoded/2 {
		d.older, d.younger, d.bytes = d.younger, map[head]decodedSession{}, 0
	}
	d.bytes += s.size - d.younger[h].size
	d.younger[h] = s
}
