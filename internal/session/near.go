package session

import (
	"hash/maphash"
	"sync/atomic"
	"time"
)

// A nearCache says which decoded entries of a redisStore may be used without asking Redis: those that a GET has confirmed, for life after
// that GET was sent. A message about a session ends its copy sooner. While no messages arrive, no copy is used.
//
// Sessions are counted in groups by a hash of their digests, and a message ends the copies of a whole group. So a message needs no search,
// and an answer to a GET that was sent before the message is recognized by the group's number of messages.
type nearCache struct {
	life       time.Duration // session_near_cache; zero is off
	seed       maphash.Seed
	connection atomic.Uint64          // the number of the connection that receives messages; zero while there is none
	messages   [1 << 14]atomic.Uint64 // by group
}

// A moment is when a GET was sent, and which messages had arrived before.
type moment struct {
	sent       time.Time
	connection uint64
	messages   uint64
}

func newNearCache(life time.Duration) *nearCache {
	return &nearCache{life: life, seed: maphash.MakeSeed()}
}

// group returns the group of a digest.
func (n *nearCache) group(digest string) uint16 {
	return uint16(maphash.String(n.seed, digest) % uint64(len(n.messages)))
}

// moment returns the moment of a GET that is sent now.
func (n *nearCache) moment(group uint16, now time.Time) moment {
	return moment{now, n.connection.Load(), n.messages[group].Load()}
}

// lasts reports whether an entry that was confirmed at m may be used now without asking Redis.
func (n *nearCache) lasts(m *moment, group uint16, now time.Time) bool {
	return m != nil && now.Sub(m.sent) < n.life &&
		m.connection != 0 && m.connection == n.connection.Load() && m.messages == n.messages[group].Load()
}

// end ends the copy of a session whose record has changed.
func (n *nearCache) end(digest string) { n.messages[n.group(digest)].Add(1) }
