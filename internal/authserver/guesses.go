package authserver

import (
	"net/netip"
	"sync"
	"time"
)

// guesses bound how often somebody may be wrong about a secret: for each client address and for each client. A client that
// has been right from an address is counted apart there, so that strangers who guess can't lock it out, nor a neighbour
// that is set up wrongly. What is remembered is bounded; over it something is forgotten, at random.
type guesses struct {
	now func() time.Time

	mu        sync.Mutex // guards what is below
	addresses map[netip.Prefix]*bucket
	clients   map[string]*bucket
	known     map[knownClient]*bucket
}

type knownClient struct {
	address netip.Prefix
	client  string
}

// A bucket holds what is left to be wrong, and fills up again.
type bucket struct {
	left   float64
	filled time.Time
}

// A rate is how much a bucket holds, and how long it takes for one more.
type rate struct {
	most float64
	each time.Duration
}

var (
	addressRate = rate{10, 6 * time.Second}
	clientRate  = rate{60, 2 * time.Second}
)

const (
	maxAddresses = 20_000
	maxGuessed   = 4096
)

func newGuesses(now func() time.Time) *guesses {
	return &guesses{now: now, addresses: map[netip.Prefix]*bucket{}, clients: map[string]*bucket{}, known: map[knownClient]*bucket{}}
}

// A guess is one that is under way. It counts as wrong until it is taken back.
type guess struct {
	of      *guesses
	who     knownClient
	buckets []*bucket
}

// begin counts a guess; wait is not zero if there were too many, and says when one may be right again. What is guessed at
// is a client's secret, or the provision key, which has no client.
func (g *guesses) begin(address netip.Addr, client string) (taken *guess, wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	taken = &guess{of: g, who: knownClient{network(address), client}}
	if b := g.known[taken.who]; b != nil {
		taken.buckets = []*bucket{b}
		return taken, b.take(addressRate, now)
	}
	byAddress, byClient := bucketOf(g.addresses, taken.who.address, maxAddresses), bucketOf(g.clients, client, maxGuessed)
	if wait = byAddress.take(addressRate, now); wait > 0 {
		return taken, wait
	}
	if wait = byClient.take(clientRate, now); wait > 0 {
		return taken, wait
	}
	taken.buckets = []*bucket{byAddress, byClient}
	return taken, 0
}

// network is what one person has many addresses of: the /64 of an IPv6 address.
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
		makeRoom(all, most)
		b = &bucket{}
		all[key] = b
	}
	return b
}

// makeRoom forgets something of a full map: Go's maps begin at a random place.
func makeRoom[K comparable, V any](all map[K]V, most int) {
	for key := range all {
		if len(all) < most {
			return
		}
		delete(all, key)
	}
}

// take takes one out, or says how long it takes until there is one.
func (b *bucket) take(r rate, now time.Time) (wait time.Duration) {
	if b.filled.IsZero() {
		b.left = r.most
	} else if passed := now.Sub(b.filled); passed > 0 {
		b.left = min(r.most, b.left+float64(passed)/float64(r.each))
	}
	b.filled = now
	if b.left < 1 {
		return time.Duration((1-b.left)*float64(r.each)).Round(time.Second) + time.Second
	}
	b.left--
	return 0
}

// takeBack says that it was no wrong guess: nobody could be asked.
func (g *guess) takeBack() {
	g.of.mu.Lock()
	defer g.of.mu.Unlock()
	for _, b := range g.buckets {
		b.left++
	}
}

// right says that it was right: from now on this client is known at this address.
func (g *guess) right() {
	g.takeBack()
	g.of.mu.Lock()
	defer g.of.mu.Unlock()
	if g.of.known[g.who] == nil {
		makeRoom(g.of.known, maxGuessed)
		g.of.known[g.who] = &bucket{}
	}
}
