package oidc

import (
	"errors"
	"net/netip"
	"testing"
)

// One client's places are bounded: an IPv4 address's, a /64's, and those of all clients together whose address is unknown.
func TestAdmissionOfOneClient(t *testing.T) {
	for _, c := range []struct{ first, same, other netip.Addr }{
		{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")},
		{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8:0:1::1")},
		{netip.MustParseAddr("fe80::1%a"), netip.MustParseAddr("fe80::1%b"), netip.MustParseAddr("192.0.2.7")},
		{netip.Addr{}, netip.Addr{}, netip.MustParseAddr("192.0.2.7")},
	} {
		var a admission
		var leaves []func()
		for range maxCallsOfOne {
			leave, err := a.admit(c.first)
			if err != nil {
				t.Fatalf("%s: %v", c.first, err)
			}
			leaves = append(leaves, leave)
		}
		if _, err := a.admit(c.same); !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s has a place besides the %d of %s: %v", c.same, maxCallsOfOne, c.first, err)
		}
		if _, err := a.admit(c.other); err != nil {
			t.Errorf("%s has no place because of %s: %v", c.other, c.first, err)
		}
		leaves[0]()
		if _, err := a.admit(c.same); err != nil {
			t.Errorf("%s has no place after one is free: %v", c.same, err)
		}
	}
}
