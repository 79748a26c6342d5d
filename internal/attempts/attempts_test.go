package attempts

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestWhatIsRememberedOfGuessesIsBounded(t *testing.T) {
	g := New(time.Now)
	for n := range 3 * maxAddresses {
		address := fmt.Sprintf("2001:db8:%x:%x::1", n>>16, n&0xffff)
		taken, _ := g.Begin(netip.MustParseAddr(address), fmt.Sprint("client ", n))
		if n%3 == 0 {
			taken.Succeed()
		}
	}
	if len(g.addresses) > maxAddresses || len(g.clients) > maxClients || len(g.known) > maxClients {
		t.Errorf("%d addresses, %d clients, %d known ones", len(g.addresses), len(g.clients), len(g.known))
	}
}
