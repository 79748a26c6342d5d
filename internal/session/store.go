package session

import (
	"context"
	"time"
)

// A store stores entries by ID for as long as the timeouts allow. Its errors wrap ErrNotFound, ErrUnavailable or ErrChanged. All
// methods are safe for concurrent use.
type store interface {
	// load returns the entry of an ID. It records, now and then, that the entry is in use. The caller checks the rolling and the
	// absolute timeout, and until when a successor may be followed.
	load(ctx context.Context, id ID) (*entry, error)

	// loadNear is load, but the entry may be a copy that the store confirmed up to session_near_cache ago. Only what serves a request
	// may use it, never what changes or ends a session.
	loadNear(ctx context.Context, id ID) (*entry, error)

	// look is load, but it records no use.
	look(ctx context.Context, id ID) (*entry, error)

	// watch lets the store send to wake, a channel with a buffer, after the entry of an ID was replaced or deleted. A store of several
	// replicas may miss a change.
	watch(id ID, wake chan<- struct{}) (stop func())

	// index adds a session to the index, so that a logout finds it. This is done before add, and before a swap that changes its keys.
	index(ctx context.Context, id ID, s *Session) error

	// add stores a session under a new ID.
	add(ctx context.Context, id ID, s *Session) error

	// swap replaces old, as load returned it, with next, which has the same ID. It returns ErrChanged if the stored entry is not
	// old any more. If old is nil, it stores next only if the ID has no entry.
	swap(ctx context.Context, old, next *entry) error

	// drop deletes an entry, as load returned it. It returns ErrChanged if the stored entry is another by now.
	drop(ctx context.Context, old *entry) error

	// mark stores a mark under a key, unless a later one is there.
	mark(ctx context.Context, key indexKey, m mark) error

	// latestMark returns the latest of the marks under the keys, or zero.
	latestMark(ctx context.Context, keys []indexKey) (mark, error)

	// remove deletes the sessions with an index key that a mark ends, and returns their number.
	remove(ctx context.Context, key indexKey, m mark) (int, error)

	// find returns the sessions with an index key.
	find(ctx context.Context, key indexKey) ([]Listed, error)

	// list returns about limit sessions of a page, and the name of the next page. The first and the one after the last are "".
	list(ctx context.Context, page string, limit int) (all []Listed, next string, err error)

	// dropListed deletes a session that find or list returned. It returns 1, or 0 if the session was gone already.
	dropListed(ctx context.Context, l Listed) (int, error)

	// remembered returns the entry of an ID whose session is remembered, also after the session's timeouts.
	remembered(ctx context.Context, id ID) (*entry, error)

	// supersede replaces old, as remembered returned it, and its session with next, which has the same ID; nil deletes both. It returns
	// ErrChanged if the stored entry is not old any more.
	supersede(ctx context.Context, old, next *entry) error

	// point stores where a remember ID leads, for as long as the session of is remembered.
	point(ctx context.Context, remember ID, p *pointer, of *Session) error

	// pointed returns where a remember ID leads.
	pointed(ctx context.Context, remember ID) (*pointer, error)

	// lease takes the lease of an ID for the given time, or renews it. It reports whether the holder has the lease now. A holder
	// is a random string.
	lease(ctx context.Context, id ID, holder string, life time.Duration) (bool, error)

	// release ends a lease if the holder has it.
	release(ctx context.Context, id ID, holder string) error

	// leased reports whether an ID's lease is taken.
	leased(ctx context.Context, id ID) (bool, error)

	formStore

	ping(ctx context.Context) error
	close() error
}

// An entry is the value of an ID in a store: a session, or the successor of one. It is immutable.
type entry struct {
	id        ID
	session   *Session   // nil if the ID was replaced
	successor *successor // not nil if the ID was replaced
	record    string     // the stored bytes, in a store of bytes
}

// A successor is stored under an ID that was replaced. After a rotation it names the new ID, which is followed for the grace
// time. After a login it names none: an attacker who planted the old ID must not get the new session (session fixation).
type successor struct {
	ID    ID        // zero after a login
	Until time.Time // until when ID is followed
}

const (
	// grace is how long the old ID is accepted after a rotation: concurrent requests still have the old cookie.
	grace = 10 * time.Second
	// afterlife is how long a store remembers that an ID was replaced. The response to a late request with the old cookie must
	// not delete the new cookie, which has the same name.
	afterlife = time.Minute
)

// rotated returns the entry that a rotation stores under the old ID.
func rotated(old, next ID, now time.Time) *entry {
	return &entry{id: old, successor: &successor{ID: next, Until: now.Add(grace)}}
}

// replaced returns the entry that a login stores under the browser's former ID.
func replaced(old ID, now time.Time) *entry {
	return &entry{id: old, successor: &successor{Until: now}}
}

// ttl returns how long an entry is stored after a use now; zero means without limit.
func (e *entry) ttl(t *timeouts, now time.Time) time.Duration {
	if e.successor != nil {
		return max(e.successor.Until.Add(afterlife).Sub(now), time.Millisecond)
	}
	return t.ttl(e.session, now)
}
