// Package attempts bounds what strangers may try: attempts to guess a secret, and other requests for each network.
package attempts

import (
	"net/netip"
	"sync"
	"time"
)

// Failed bounds the attempts with a wrong secret: for each client address, and for each client. A client that has once
// authenticated from an address has a count of its own there, so that neither an attacker elsewhere nor a misconfigured neighbour
// locks it out. Memory is bounded: a full map drops a random entry.
type Failed struct {
	now func() time.Time

	mu        sync.Mutex // guards the fields below
	addresses map[netip.Prefix]*bucket
	clients   map[string]*bucket
	known     map[knownClient]*bucket
}

// A knownClient is a client that has authenticated from a network.
type knownClient struct {
	address netip.Prefix
	client  string
}

// A bucket is a token bucket of failed attempts. It refills over time.
type bucket struct {
	left   float64
	filled time.Time
}

// A Rate is the size of a bucket, and the time in which it gains one attempt.
type Rate struct {
	Most float64
	Each time.Duration
}

var (
	addressRate = Rate{10, 6 * time.Second}
	clientRate  = Rate{60, 2 * time.Second}
)

const (
	maxAddresses = 20_000
	maxClients   = 4096 // in clients and in known
)

// New returns bounds without a failed attempt. now returns the time.
func New(now func() time.Time) *Failed {
	return &Failed{
		now: now, addresses: map[netip.Prefix]*bucket{}, clients: map[string]*bucket{}, known: map[knownClient]*bucket{},
	}
}

// An Attempt is one comparison of a secret. It counts as failed unless Succeed or Cancel is called.
type Attempt struct {
	all     *Failed
	client  knownClient
	buckets []*bucket
}

// Begin counts an attempt to authenticate as a client; client is empty for the provision key, which has none. If there were too many
// failed ones, wait is the time after which the next is allowed; otherwise it is zero.
func (f *Failed) Begin(address netip.Addr, client string) (a *Attempt, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	a = &Attempt{all: f, client: knownClient{network(address), client}}
	if b := f.known[a.client]; b != nil {
		a.buckets = []*bucket{b}
		return a, b.take(addressRate, now)
	}
	byAddress, byClient := bucketOf(f.addresses, a.client.address, maxAddresses), bucketOf(f.clients, client, maxClients)
	if wait = byAddress.take(addressRate, now); wait > 0 {
		return a, wait
	}
	if wait = byClient.take(clientRate, now); wait > 0 {
		return a, wait
	}
	a.buckets = []*bucket{byAddress, byClient}
	return a, 0
}

// network returns the addresses that count as one: an IPv4 address, or the /64 of an IPv6 address.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() && !a.Is4In6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

func bucketOf[K comparable](all map[K]*bucket, key K, most int) *bucket {
	b := all[key]
	if b == nil {
		MakeRoom(all, most)
		b = &bucket{}
		all[key] = b
	}
	return b
}

// MakeRoom deletes a random entry of a full map: Go's iteration order is random.
func MakeRoom[K comparable, V any](all map[K]V, most int) {
	for key := range all {
		if len(all) < most {
			return
		}
		delete(all, key)
	}
}

// take takes one attempt, or returns the time until the bucket has one.
func (b *bucket) take(r Rate, now time.Time) (wait time.Duration) {
	if b.filled.IsZero() {
		b.left = r.Most
	} else if passed := now.Sub(b.filled); passed > 0 {
		b.left = min(r.Most, b.left+float64(passed)/float64(r.Each))
	}
	b.filled = now
	if b.left < 1 {
		return time.Duration((1-b.left)*float64(r.Each)).Round(time.Second) + time.Second
	}
	b.left--
	return 0
}

// Cancel undoes Begin: the secret was not compared.
func (a *Attempt) Cancel() {
	a.all.mu.Lock()
	defer a.all.mu.Unlock()
	for _, b := range a.buckets {
		b.left++
	}
}

// Succeed undoes Begin, and remembers that this client has authenticated from this address.
func (a *Attempt) Succeed() {
	a.Cancel()
	a.all.mu.Lock()
	defer a.all.mu.Unlock()
	if a.all.known[a.client] == nil {
		MakeRoom(a.all.known, maxClients)
		a.all.known[a.client] = &bucket{}
	}
}

// Networks bounds the requests of each network. Memory is bounded: a full map drops a random entry.
type Networks struct {
	rate Rate
	now  func() time.Time

	mu  sync.Mutex // guards all
	all map[netip.Prefix]*bucket
}

// NewNetworks returns the bounds for a rate. now returns the time.
func NewNetworks(r Rate, now func() time.Time) *Networks {
	return &Networks{rate: r, now: now, all: map[netip.Prefix]*bucket{}}
}

// Take counts a request. If there were too many, it returns the time after which the next is allowed.
func (n *Networks) Take(address netip.Addr) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return bucketOf(n.all, network(address), maxAddresses).take(n.rate, n.now())
}
