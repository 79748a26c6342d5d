package session

import (
	"context"
	"errors"
	"time"
)

// A store keeps entries by ID for as long as the timeouts leave them. Its errors wrap ErrNotFound, ErrUnavailable or
// errChanged. All methods may be called at once.
type store interface {
	// load returns what an ID stands for, and notes now and then that it is in use. Rolling and absolute timeouts, and
	// until when a successor may be followed, are for the caller to judge.
	load(ctx context.Context, id ID) (*entry, error)

	// save stores s under a new ID. If old is given it goes in the same step, or if successor is set it becomes, for the
	// grace time, a pointer to id. If old isn't any more what was loaded nothing is stored, and the error is errChanged.
	save(ctx context.Context, id ID, s *Session, old *entry, successor bool) error

	// swap replaces the session of an entry, unless it isn't any more what was loaded: errChanged.
	swap(ctx context.Context, old *entry, s *Session) error

	// take deletes what an ID stands for and returns what it was.
	take(ctx context.Context, id ID) (*entry, error)

	// remove deletes all sessions that are indexed so and returns how many there were.
	remove(ctx context.Context, kind, issuer, value string) (int, error)

	// lease reports whether the holder now has the lease of an ID for the time given: nobody had it, or the holder has
	// it already. A holder is a random string.
	lease(ctx context.Context, id ID, holder string, life time.Duration) (bool, error)

	// release gives up a lease if the holder has it.
	release(ctx context.Context, id ID, holder string) error

	ping(ctx context.Context) error
	close() error
}

// errChanged says that an entry is no longer what it was.
var errChanged = errors.New("the session has changed")

// An entry is what a store holds under an ID: a session, or what a renewed session leaves behind. It is immutable.
type entry struct {
	id        ID
	session   *Session   // nil if the session goes on elsewhere
	successor *successor // then this is where
	record    string     // the bytes that it was read from, in a store that keeps bytes
}

// A successor points from a session's old ID to its new one.
type successor struct {
	ID    ID
	Until time.Time // when the old ID is worth nothing any more
}

// grace is how long an ID is good after its session has got a new one: requests under way carry the old cookie.
const grace = 10 * time.Second

// ttl is how long an entry used now is to be kept; zero is for ever.
func (e *entry) ttl(t *timeouts, now time.Time) time.Duration {
	if e.successor != nil {
		return max(e.successor.Until.Sub(now), time.Millisecond)
	}
	return t.ttl(e.session, now)
}
