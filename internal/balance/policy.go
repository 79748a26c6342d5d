package balance

import (
	"math"
	"time"
)

// The policies: the values of load_balancing.
const (
	RoundRobin       = "round_robin"
	LeastConnections = "least_connections"
	ClientAddress    = "client_address"
	Cookie           = "cookie"
)

// A Key is what requests that should reach the same target have in common. Requests with the zero Key take turns.
type Key struct {
	hash uint64
	set  bool
}

// KeyOf returns the key of some bytes. It is the same in every process, so that replicas of the gate agree.
func KeyOf(b []byte) Key { return Key{hash(b), true} }

// hash is FNV-1a.
func hash(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// best returns the target that the policy chooses among those that the filter allows, or nil.
func (b *Balancer) best(k Key, now time.Time, f filter) *Target {
	switch {
	case k.set && (b.config.Policy == ClientAddress || b.config.Policy == Cookie):
		return b.rendezvous(k, now, f)
	case b.config.Policy == LeastConnections:
		return b.leastConnections(now, f)
	}
	return b.roundRobin(now, f)
}

// roundRobin is the smooth weighted round robin of nginx: each target is owed its weight with each request, and the one that is owed most
// gets the request and owes the sum of the weights. The requests of a heavy target are spread between those of the others.
func (b *Balancer) roundRobin(now time.Time, f filter) (best *Target) {
	total := 0.0
	for _, t := range b.targets {
		if !f.allows(t, now) {
			continue
		}
		w := b.share(t, now)
		t.current += w
		total += w
		if best == nil || t.current > best.current {
			best = t
		}
	}
	if best != nil {
		best.current -= total
	}
	return best
}

// leastConnections chooses the target with the fewest active requests for its weight.
func (b *Balancer) leastConnections(now time.Time, f filter) (best *Target) {
	b.next++
	fewest := math.Inf(1)
	for n := range b.targets {
		t := b.targets[(b.next+n)%len(b.targets)]
		if !f.allows(t, now) {
			continue
		}
		if load := float64(t.active+1) / b.share(t, now); load < fewest {
			best, fewest = t, load
		}
	}
	return best
}

// rendezvous chooses the target with the highest score for the key (weighted rendezvous hashing). A target that is added, removed or
// ejected changes the choice only for the keys that it gets or had.
func (b *Balancer) rendezvous(k Key, now time.Time, f filter) (best *Target) {
	highest := math.Inf(-1)
	for _, t := range b.targets {
		if !f.allows(t, now) {
			continue
		}
		u := (float64(mix(t.hash^k.hash)>>11) + 0.5) / (1 << 53) // in (0, 1)
		if score := t.weight / -math.Log(u); score > highest {
			best, highest = t, score
		}
	}
	return best
}

// mix spreads the bits of x over the whole result (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// leastShare is the part of its weight with which a target begins its slow start.
const leastShare = 0.1

// share returns the target's weight, or a part of it while its slow start lasts.
func (b *Balancer) share(t *Target, now time.Time) float64 {
	age := now.Sub(t.returned)
	if t.returned.IsZero() || age >= b.config.SlowStart {
		return t.weight
	}
	return t.weight * max(leastShare, float64(age)/float64(b.config.SlowStart))
}
