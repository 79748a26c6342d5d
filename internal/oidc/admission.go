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
	maxCalls    = 256 // in flight to one issuer, that callers cause
	maxOwnCalls = 64  // of the gate itself: refreshes of sessions, revocations
	maxKeyCalls = 8   // for metadata and keys
	maxWaiting  = 512 // calls of one client address that wait

	maxFailures   = 64 // of one client address within failurePeriod; then it may have fewer calls in flight
	failedCalls   = 4  // how many it may have then
	failurePeriod = 10 * time.Second

	maxAddresses = 10_000 // client addresses that are remembered
)

// An admission bounds the calls in flight to one issuer, so that a slow issuer can't make the gate collect goroutines and connections. The
// calls that callers cause, the gate's own calls, and those for keys have separate limits: no caller can hold up the refresh of a session
// or the fetch of keys. Of the callers' calls each client address has a share; an address that causes many failures has a smaller one for
// a while. A call over a limit waits, in order, for half of the time-out.
type admission struct {
	callers, own, keys callLimit
	share              int64 // calls of one client address
	maxWait            time.Duration
	now                func() time.Time

	mu        sync.Mutex // guards what is below
	addresses map[netip.Prefix]*addressCalls
}

// A callLimit bounds calls in flight.
type callLimit struct {
	*semaphore.Weighted
	size int64
}

func newCallLimit(size int64) callLimit { return callLimit{semaphore.NewWeighted(size), size} }

// acquire waits until another call may begin.
func (l callLimit) acquire(ctx context.Context) error {
	if err := l.Acquire(ctx, 1); err != nil {
		return fmt.Errorf("%w: %d calls to it are in flight", ErrUnavailable, l.size)
	}
	return nil
}

// addressCalls counts the calls of one client address. All unknown addresses are one.
type addressCalls struct {
	share   *semaphore.Weighted
	pending int // calls that wait or are in flight
	waiting int
	failed  int       // calls in the current period
	since   time.Time // the begin of the period
}

func newAdmission(share int, timeout time.Duration, now func() time.Time) *admission {
	return &admission{
		callers: newCallLimit(maxCalls), own: newCallLimit(maxOwnCalls), keys: newCallLimit(maxKeyCalls),
		share: int64(share), maxWait: timeout / 2, now: now, addresses: map[netip.Prefix]*addressCalls{},
	}
}

// admit waits until a call that a client address causes may begin. The caller must call leave when the call has ended; failed says that the
// issuer refused what the client sent, or didn't answer.
func (a *admission) admit(ctx context.Context, caller netip.Addr) (leave func(failed bool), err error) {
	ctx, cancel := context.WithTimeout(ctx, a.maxWait)
	defer cancel()
	address := addressPrefix(caller)
	c, weight, err := a.join(address)
	if err != nil {
		return nil, err
	}
	err = c.share.Acquire(ctx, weight)
	a.stopWaiting(c)
	if err != nil {
		a.quit(address, c, false)
		return nil, fmt.Errorf("%w: no place among the %d of one client address became free (calls_per_client)",
			ErrUnavailable, a.share/weight)
	}
	if err := a.callers.acquire(ctx); err != nil {
		c.share.Release(weight)
		a.quit(address, c, false)
		return nil, err
	}
	return func(failed bool) {
		a.callers.Release(1)
		c.share.Release(weight)
		a.quit(address, c, failed)
	}, nil
}

// admitted makes a call that a client address causes.
func admitted[T any](ctx context.Context, i *Issuer, by Caller, call func(context.Context) (T, error)) (result T, err error) {
	leave, err := i.calls.admit(ctx, by.Address)
	if err != nil {
		return result, err
	}
	result, err = call(ctx)
	leave(isRefusal(err))
	return result, err
}

// Admit waits until a caller's request may cost the gate work for this issuer. It counts as a call of the client address. The caller must
// call leave at the end; failed says that the request was refused. The error wraps ErrUnavailable.
func (i *Issuer) Admit(ctx context.Context, caller netip.Addr) (leave func(failed bool), err error) {
	return i.calls.admit(ctx, caller)
}

// join counts a new call of a client address. Weight is how much of the address's share the call takes: more than 1 after many failures.
func (a *admission) join(address netip.Prefix) (c *addressCalls, weight int64, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c = a.addresses[address]
	if c == nil {
		a.evict()
		c = &addressCalls{share: semaphore.NewWeighted(a.share), since: a.now()}
		a.addresses[address] = c
	}
	if a.now().Sub(c.since) >= failurePeriod {
		c.failed, c.since = 0, a.now()
	}
	weight = 1
	if c.failed >= maxFailures {
		weight = max(a.share/failedCalls, 1)
	}
	if c.waiting >= maxWaiting {
		return nil, 0, fmt.Errorf("%w: %d calls of one client address wait for a place (calls_per_client)", ErrUnavailable, maxWaiting)
	}
	c.pending++
	c.waiting++
	return c, weight, nil
}

func (a *admission) stopWaiting(c *addressCalls) {
	a.mu.Lock()
	defer a.mu.Unlock()
	c.waiting--
}

// quit ends a call that joined.
func (a *admission) quit(address netip.Prefix, c *addressCalls, failed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if failed {
		c.failed++
	}
	if c.pending--; c.pending == 0 && c.failed == 0 && a.addresses[address] == c {
		delete(a.addresses, address)
	}
}

// evict drops the addresses without pending calls if there are too many.
func (a *admission) evict() {
	if len(a.addresses) < maxAddresses {
		return
	}
	for address, c := range a.addresses {
		if c.pending == 0 {
			delete(a.addresses, address)
		}
	}
}

// admitOwn waits until a call that the gate makes for itself may begin. The caller must call leave when it has ended.
func (a *admission) admitOwn(ctx context.Context) (leave func(), err error) {
	return a.reserve(ctx, a.own)
}

// admitKeys waits until a fetch of metadata or keys may begin. The caller must call leave when it has ended.
func (a *admission) admitKeys(ctx context.Context) (leave func(), err error) {
	return a.reserve(ctx, a.keys)
}

func (a *admission) reserve(ctx context.Context, l callLimit) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, a.maxWait)
	defer cancel()
	if err := l.acquire(ctx); err != nil {
		return nil, err
	}
	return func() { l.Release(1) }, nil
}

// addressPrefix returns the network that counts as one client address: of IPv6 the /64, which one machine usually has to itself. It returns
// the zero Prefix for an unknown address.
func addressPrefix(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits) // bits are valid for the address
	return p
}
