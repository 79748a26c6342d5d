package session

import (
	"context"
	"time"
)

// A store keeps entries by ID for as long as the timeouts leave them. Its errors wrap ErrNotFound, ErrUnavailable or
// ErrChanged. All methods may be called at once.
type store interface {
	// load returns what an ID stands for, and notes now and then that it is in use. Rolling and absolute timeouts, and
	// until when a successor may be followed, are for the caller to judge.
	load(ctx context.Context, id ID) (*entry, error)

	// add stores a session under a new ID. A logout that comes meanwhile finds it: it is listed before it is there.
	add(ctx context.Context, id ID, s *Session) error

	// swap replaces an entry with next, which has the same ID, unless it isn't any more what was loaded: ErrChanged.
	// Without old, next is stored if nothing is there.
	swap(ctx context.Context, old, next *entry) error

	// drop deletes an entry, unless it isn't any more what was loaded: ErrChanged.
	drop(ctx context.Context, old *entry) error

	// remove deletes all sessions that are indexed so and returns how many there were.
	remove(ctx context.Context, key indexKey) (int, error)

	// lease reports whether the holder now has the lease of an ID for the time given: nobody had it, or the holder has
	// it already. A holder is a random string.
	lease(ctx context.Context, id ID, holder string, life time.Duration) (bool, error)

	// release gives up a lease if the holder has it.
	release(ctx context.Context, id ID, holder string) error

	ping(ctx context.Context) error
	close() error
}

// An entry is what a store holds under an ID: a session, or what it leaves behind. It is immutable.
type entry struct {
	id        ID
	session   *Session   // nil if this ID stands for none any more
	successor *successor // then this is why
	record    string     // the bytes that it was read from, in a store that keeps bytes
}

// A successor is what stays under an ID whose browser has got a new one. After a rotation it leads to that for the grace
// time. After a login it leads nowhere: who planted the old ID must not get to the new session (session fixation).
type successor struct {
	ID    ID        // zero after a login
	Until time.Time // when the old ID is worth nothing any more
}

const (
	// grace is how long an ID is good after a rotation: requests under way carry the old cookie.
	grace = 10 * time.Second
	// afterlife is how long a store knows that an ID was replaced. A request that comes late with the old cookie must not
	// have the browser delete the new one, which has the same name.
	afterlife = time.Minute
)

// rotated is what a rotation leaves under the old ID.
func rotated(old, next ID, now time.Time) *entry {
	return &entry{id: old, successor: &successor{ID: next, Until: now.Add(grace)}}
}

// replaced is what a login leaves under the ID that the browser had.
func replaced(old ID, now time.Time) *entry {
	return &entry{id: old, successor: &successor{Until: now}}
}

// ttl is how long an entry used now is to be kept; zero is for ever.
func (e *entry) ttl(t *timeouts, now time.Time) time.Duration {
	if e.successor != nil {
		return max(e.successor.Until.Add(afterlife).Sub(now), time.Millisecond)
	}
	return t.ttl(e.session, now)
}
