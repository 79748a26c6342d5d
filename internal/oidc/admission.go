package oidc

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	maxCalls     = 256 // to one issuer in flight, that callers have caused
	maxOwnCalls  = 64  // that the gate makes for itself: refreshes of sessions, revocations
	maxKeyCalls  = 8   // for metadata and keys
	maxWaiting   = 512 // calls that wait for a place, of one client address
	maxFailures  = 64  // of one client address, after which it has fewer places
	placesFailed = 4   // that it has then
	failuresFor  = 10 * time.Second
)

// An admission bounds the calls to one issuer in flight, so that a slow issuer can't make the gate collect goroutines and
// connections. The calls that callers cause, the gate's own, and those for keys have rooms of their own: no caller takes the
// place of a session's refresh or of a key fetch. Within the callers' room each client address has its share. A call waits
// for a place for half of the time-out, in turn; one address that causes many failures has fewer places, for a while.
type admission struct {
	callers, own, keys room
	share              int64         // places of one client address
	patience           time.Duration // how long a call waits for a place
	now                func() time.Time

	mu      sync.Mutex // guards what is below
	clients map[netip.Prefix]*client
}

// A room has places for calls in flight.
type room struct {
	*semaphore.Weighted
	size int64
}

func newRoom(size int64) room { return room{semaphore.NewWeighted(size), size} }

// take takes a place, when one is free.
func (r room) take(ctx context.Context) error {
	if err := r.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("%w: %d calls to it are in flight", ErrUnavailable, r.size)
	}
	return nil
}

// A client is a client address that has calls in flight, waits for a place, or has failed lately. All clients whose address is
// unknown are one.
type client struct {
	places  *semaphore.Weighted
	pending int // calls that wait or are in flight
	waiting int
	failed  int       // calls in the current period
	since   time.Time // its begin
}

func newAdmission(share int, timeout time.Duration, now func() time.Time) *admission {
	return &admission{
		callers: newRoom(maxCalls), own: newRoom(maxOwnCalls), keys: newRoom(maxKeyCalls),
		share: int64(share), patience: timeout / 2, now: now, clients: map[netip.Prefix]*client{},
	}
}

// admit takes a place for a call that a client address has caused, and one of that address's share. The call's end gives both
// back; failed says that what the client sent was refused, or that the issuer didn't answer.
func (a *admission) admit(ctx context.Context, caller netip.Addr) (leave func(failed bool), err error) {
	ctx, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	who := network(caller)
	c, weight, err := a.join(who)
	if err != nil {
		return nil, err
	}
	err = c.places.Acquire(ctx, weight)
	a.seated(c)
	if err != nil {
		a.quit(who, c, false)
		return nil, fmt.Errorf("%w: no place among the %d of one client address became free (calls_per_client)", ErrUnavailable, a.share/weight)
	}
	if err := a.callers.take(ctx); err != nil {
		c.places.Release(weight)
		a.quit(who, c, false)
		return nil, err
	}
	return func(failed bool) {
		a.callers.Release(1)
		c.places.Release(weight)
		a.quit(who, c, failed)
	}, nil
}

// join counts a call of a client address, and returns how much of the address's share it takes: more, after many failures.
func (a *admission) join(who netip.Prefix) (*client, int64, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c := a.clients[who]
	if c == nil {
		a.forget()
		c = &client{places: semaphore.NewWeighted(a.share), since: a.now()}
		a.clients[who] = c
	}
	if a.now().Sub(c.since) >= failuresFor {
		c.failed, c.since = 0, a.now()
	}
	weight := int64(1)
	if c.failed >= maxFailures {
		weight = max(a.share/placesFailed, 1)
	}
	if c.waiting >= maxWaiting {
		return nil, 0, fmt.Errorf("%w: %d calls of one client address wait for a place (calls_per_client)", ErrUnavailable, maxWaiting)
	}
	c.pending++
	c.waiting++
	return c, weight, nil
}

func (a *admission) seated(c *client) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c.waiting--
}

func (a *admission) quit(who netip.Prefix, c *client, failed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if failed {
		c.failed++
	}
	if c.pending--; c.pending == 0 && c.failed == 0 && a.clients[who] == c {
		delete(a.clients, who)
	}
}

// maxClients bounds the client addresses whose failures are remembered.
const maxClients = 10_000

// forget drops all addresses that have nothing in flight, if there are too many.
func (a *admission) forget() {
	if len(a.clients) < maxClients {
		return
	}
	for who, c := range a.clients {
		if c.pending == 0 {
			delete(a.clients, who)
		}
	}
}

// reserve takes a place in one of the gate's own rooms.
func (a *admission) reserve(ctx context.Context, r room) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, a.patience)
	defer cancel()
	if err := r.take(ctx); err != nil {
		return nil, err
	}
	return func() { r.Release(1) }, nil
}

// forGate takes a place for a call that the gate makes for itself.
func (a *admission) forGate(ctx context.Context) (leave func(), err error) {
	return a.reserve(ctx, a.own)
}

// forKeys takes a place for a fetch of metadata or keys.
func (a *admission) forKeys(ctx context.Context) (leave func(), err error) {
	return a.reserve(ctx, a.keys)
}

// network returns the addresses that count as one client's: an IPv6 address stands for its /64, which one machine has to
// itself. It returns the zero Prefix for an unknown address.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits) // the bits suit the address
	return p
}
