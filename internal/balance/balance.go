// Package balance chooses the target of each request among several, and remembers which targets have failed. It sends nothing itself.
package balance

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// A Config configures a Balancer.
type Config struct {
	Policy    string        // RoundRobin, LeastConnections, ClientAddress or Cookie
	MaxFails  int           // failures in a row after which a target is ejected; 0: never
	EjectTime time.Duration // how long it is ejected; each further time twice as long, up to longestEjection times EjectTime
	SlowStart time.Duration // after its return a target's share of the requests grows for this long; 0: it has its share at once
	Healthy   int           // passed checks in a row that make a target healthy
	Unhealthy int           // failed checks in a row that make a target unhealthy
	Now       func() time.Time
}

// A Target is one of the servers. Its state belongs to its Balancer.
type Target struct {
	Name   string
	Index  int
	weight float64
	hash   uint64 // of the name

	active  int     // requests that have no complete response yet
	current float64 // for round robin: how much the target is owed

	fails        int       // in a row
	ejections    int       // in a row
	ejectedUntil time.Time // zero: not ejected
	returned     time.Time // when it came back last; zero: it was never away
	unproven     bool      // it has not answered since its ejection ended: it gets one request at a time
	waits        time.Time // unproven: until then it gets no further request while another one goes on
	unhealthy    bool      // by the active checks
	checks       int       // results of checks in a row that contradict unhealthy
}

// A Balancer has the state of all targets. It is safe for concurrent use.
type Balancer struct {
	config Config
	log    atomic.Pointer[slog.Logger]

	mu      sync.Mutex
	targets []*Target
	next    int     // where least connections begins, so that equal targets take turns
	events  []event // to be logged when mu is released
}

// An event is a change of a target's state, for the log.
type event struct {
	level   slog.Level
	message string
	attrs   []any
}

// New returns a balancer without targets.
func New(c Config) *Balancer {
	if c.Now == nil {
		c.Now = time.Now
	}
	b := &Balancer{config: c}
	b.log.Store(slog.New(slog.DiscardHandler))
	return b
}

// Add adds a target. It must be called before the first Pick.
func (b *Balancer) Add(name string, weight int) *Target {
	t := &Target{Name: name, Index: len(b.targets), weight: float64(max(weight, 1)), hash: hash([]byte(name))}
	b.targets = append(b.targets, t)
	return t
}

// LogTo sets the log of ejections, returns and changes of health. Without it, nothing is logged.
func (b *Balancer) LogTo(log *slog.Logger) { b.log.Store(log) }

// Pick returns the target for a request, and counts the request as active until Release.
func (b *Balancer) Pick(k Key) *Target {
	b.mu.Lock()
	defer b.unlock()
	now := b.config.Now()
	b.takeBack(now)
	return b.begin(b.first(k, now, nil), now)
}

// Another returns the target for the second attempt of a request that the target failed has not answered, and counts it as active. It is
// failed itself if there is no better one. If dead is true, the first attempt got no connection.
func (b *Balancer) Another(k Key, failed *Target, dead bool) *Target {
	b.mu.Lock()
	defer b.unlock()
	now := b.config.Now()
	b.takeBack(now)
	t := b.best(k, now, filter{not: failed, tier: usable})
	if t == nil && (dead || !failed.usable(now)) {
		t = b.first(k, now, failed)
	}
	if t == nil {
		t = failed
	}
	return b.begin(t, now)
}

// begin counts a request of a target.
func (b *Balancer) begin(t *Target, now time.Time) *Target {
	t.active++
	t.waits = now.Add(b.config.EjectTime)
	return t
}

// Release ends a request of Pick or Another.
func (b *Balancer) Release(t *Target) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t.active--
}

// first returns the best target of the first tier that has one besides not. It is nil if not is the only target.
func (b *Balancer) first(k Key, now time.Time, not *Target) *Target {
	for _, tier := range []tier{usable, present, healthy, every} {
		if t := b.best(k, now, filter{not: not, tier: tier}); t != nil {
			return t
		}
	}
	return nil
}

// A tier is a set of targets. If no target is in one tier, the next one is used: a request isn't refused because of a guess.
type tier int

const (
	usable  tier = iota // neither unhealthy nor ejected, nor unproven with a request that goes on
	present             // neither unhealthy nor ejected
	healthy             // not unhealthy
	every
)

// A filter says which targets a policy may choose.
type filter struct {
	not  *Target
	tier tier
}

func (f filter) allows(t *Target, now time.Time) bool {
	switch {
	case t == f.not:
		return false
	case f.tier == usable:
		return t.usable(now)
	case f.tier == present:
		return !t.unhealthy && !t.ejected(now)
	case f.tier == healthy:
		return !t.unhealthy
	}
	return true
}

func (t *Target) usable(now time.Time) bool {
	return !t.unhealthy && !t.ejected(now) && (!t.unproven || t.active == 0 || !now.Before(t.waits))
}

func (t *Target) ejected(now time.Time) bool { return now.Before(t.ejectedUntil) }

// unlock releases mu, and then writes the events to the log, so that a slow log delays no other request.
func (b *Balancer) unlock() {
	events := b.events
	b.events = nil
	b.mu.Unlock()
	for _, e := range events {
		b.log.Load().Log(context.Background(), e.level, e.message, e.attrs...)
	}
}
