package oidc

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/provider"
)

// The calls of one client address are bounded: of an IPv4 address, of an IPv6 /64, and of all clients whose address is unknown. A further
// call waits for half of the time-out, and begins when another one ends.
func TestAdmissionOfOneClient(t *testing.T) {
	for _, c := range []struct{ first, same, other netip.Addr }{
		{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")},
		{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8:0:1::1")},
		{netip.MustParseAddr("fe80::1%a"), netip.MustParseAddr("fe80::1%b"), netip.MustParseAddr("192.0.2.7")},
		{netip.Addr{}, netip.Addr{}, netip.MustParseAddr("192.0.2.7")},
	} {
		synctest.Test(t, func(t *testing.T) {
			a := newAdmission(2, 10*time.Second, time.Now)
			leave := mustAdmit(t, a, c.first)
			mustAdmit(t, a, c.first)
			begun := time.Now()
			if _, err := a.admit(t.Context(), c.same); !errors.Is(err, ErrUnavailable) || time.Since(begun) != 5*time.Second {
				t.Errorf("%s has a third place: %v, after %v", c.same, err, time.Since(begun))
			}
			begun = time.Now()
			mustAdmit(t, a, c.other)
			if waited := time.Since(begun); waited != 0 {
				t.Errorf("%s waited for %v because of %s", c.other, waited, c.first)
			}
			time.AfterFunc(time.Second, func() { leave(false) })
			mustAdmit(t, a, c.same)
			if waited := time.Since(begun); waited != time.Second {
				t.Errorf("%s waited for %v, expected 1s", c.same, waited)
			}
		})
	}
}

func mustAdmit(t *testing.T, a *admission, caller netip.Addr) func(bool) {
	t.Helper()
	leave, err := a.admit(t.Context(), caller)
	if err != nil {
		t.Fatalf("%s: %v", caller, err)
	}
	return leave
}

// Calls that clients cause don't use up the limits of refreshes of sessions, and of fetches of metadata and keys.
func TestRoomsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(32, 10*time.Second, time.Now)
		for n := range maxCalls {
			mustAdmit(t, a, netip.AddrFrom4([4]byte{192, 0, 2, byte(n / 32)}))
		}
		if _, err := a.admit(t.Context(), netip.MustParseAddr("198.51.100.1")); !errors.Is(err, ErrUnavailable) {
			t.Errorf("more than %d calls are in flight: %v", maxCalls, err)
		}
		begun := time.Now()
		for name, reserve := range map[string]func() (func(), error){
			"the gate's own": func() (func(), error) { return a.admitOwn(t.Context()) },
			"keys":           func() (func(), error) { return a.admitKeys(t.Context()) },
		} {
			if _, err := reserve(); err != nil || time.Since(begun) != 0 {
				t.Errorf("%s: %v, after %v", name, err, time.Since(begun))
			}
		}
	})
}

// An address whose calls were often refused may have fewer calls in flight for a while, but still some: its good requests pass.
func TestFailuresOfOneClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAdmission(32, 10*time.Second, time.Now)
		stranger, other := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
		for range maxFailures {
			mustAdmit(t, a, stranger)(true)
		}
		places := func(of netip.Addr) (n int) {
			var leaves []func(bool)
			for ; n < 40; n++ {
				leave, err := a.admit(t.Context(), of)
				if err != nil {
					break
				}
				leaves = append(leaves, leave)
			}
			for _, leave := range leaves {
				leave(false)
			}
			return n
		}
		if n := places(stranger); n != failedCalls {
			t.Errorf("after its failures the address has %d places, expected %d", n, failedCalls)
		}
		if n := places(other); n != 32 {
			t.Errorf("another address has %d places, expected 32", n)
		}
		time.Sleep(failurePeriod)
		if n := places(stranger); n != 32 {
			t.Errorf("later the address has %d places, expected 32", n)
		}
	})
}

// A hundred good opaque tokens at once from one address, such as that of an office or another gateway, all pass.
func TestManyGoodTokensFromOneAddress(t *testing.T) {
	p, c, _ := begin(t, asJSON)
	serve := func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, `{"active":true,"sub":"john"}`) }
	arrived := make(chan struct{}, 100)
	p.Break(provider.Introspection, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		if len(arrived) < 32 { // the first ones wait for each other
			for range 100 {
				if time.Sleep(time.Millisecond); len(arrived) >= 32 {
					break
				}
			}
		}
		serve(w, r)
	})
	var all sync.WaitGroup
	for n := range 100 {
		all.Go(func() {
			if _, err := c.Introspect(t.Context(), fmt.Sprint("token-", n), Caller{Address: netip.MustParseAddr("192.0.2.7")}); err != nil {
				t.Errorf("token %d: %v", n, err)
			}
		})
	}
	all.Wait()
}

// TestCallsPerClient checks that calls_per_client bounds the calls of one client address.
func TestCallsPerClient(t *testing.T) {
	i, err := NewIssuer(Config{IssuerSettings: IssuerSettings{
		Issuer: "https://idp.example.com", CallsPerClient: 1, HTTPSettings: HTTPSettings{Timeout: 2 * time.Millisecond}}})
	if err != nil {
		t.Fatal(err)
	}
	who := netip.MustParseAddr("192.0.2.1")
	leave, err := i.calls.admit(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	defer leave(false)
	if _, err := i.calls.admit(t.Context(), who); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a second call got %v", err)
	}
}
