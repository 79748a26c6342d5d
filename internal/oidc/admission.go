package oidc

import (
	"fmt"
	"net/netip"
	"sync"
)

const (
	maxCalls      = 256 // to one issuer in flight
	maxCallsOfOne = 32  // of them that one client address has caused
)

// An admission bounds the calls to one issuer in flight. Over it a call fails at once, so that a slow issuer can't make the
// gate collect goroutines and connections, and one stranger can't take all the places.
type admission struct {
	mu     sync.Mutex
	total  int
	caused map[netip.Prefix]int // by whom
}

// enter takes a place for a call.
func (a *admission) enter() (leave func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.total >= maxCalls {
		return nil, fmt.Errorf("%w: %d calls to it are in flight", ErrUnavailable, maxCalls)
	}
	a.total++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.total--
	}, nil
}

// admit takes one of a client address's places, for as long as the call that it has caused takes. An IPv6 address stands
// for its /64, which one machine has to itself. All clients whose address is unknown share the places of one.
func (a *admission) admit(caller netip.Addr) (leave func(), err error) {
	who := network(caller)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.caused[who] >= maxCallsOfOne {
		return nil, fmt.Errorf("%w: %d calls for the client's address are in flight", ErrUnavailable, maxCallsOfOne)
	}
	if a.caused == nil {
		a.caused = map[netip.Prefix]int{}
	}
	a.caused[who]++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.caused[who]--; a.caused[who] == 0 {
			delete(a.caused, who)
		}
	}, nil
}

// network returns the addresses that count as one client's; the zero Prefix for an unknown one.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits) // the bits suit the address
	return p
}
