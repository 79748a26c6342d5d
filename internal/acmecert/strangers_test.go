package acmecert

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A ticketCache has one session ticket, which it gives for every name.
type ticketCache struct{ ticket *tls.ClientSessionState }

func (c *ticketCache) Get(string) (*tls.ClientSessionState, bool) { return c.ticket, c.ticket != nil }

func (c *ticketCache) Put(_ string, ticket *tls.ClientSessionState) {
	if ticket != nil {
		c.ticket = ticket
	}
}

// TestResumedHandshakes checks that a ticket of a session with a host leads to no handshake with another name, which needs no certificate
// (RFC 8446 §2.2).
func TestResumedHandshakes(t *testing.T) {
	c, _ := newReplica(t, newMemory(), &authority{life: 90 * day})
	c.hosts = map[string]held{"a.example": {pair: mustCertify(t, "a.example", 1, time.Now(), day)}}
	listener := c.ForClients(&tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}, []string{"a.example"})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	server := &tls.Config{GetConfigForClient: listener} // its keys open the tickets
	go func() {
		for {
			n, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				s := tls.Server(n, server)
				s.Write([]byte("x"))
				s.Close()
			}()
		}
	}()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		tickets := &ticketCache{}
		dial := func(name, protocol string) (resumed bool, err error) {
			conn, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{
				ServerName: name, InsecureSkipVerify: true, MaxVersion: version,
				ClientSessionCache: tickets, NextProtos: []string{protocol},
			})
			if err != nil {
				return false, err
			}
			defer conn.Close()
			conn.Read(make([]byte, 1)) // with it TLS 1.3 sends the ticket
			return conn.ConnectionState().DidResume, nil
		}
		if _, err := dial("a.example", "http/1.1"); err != nil || tickets.ticket == nil {
			t.Fatalf("TLS %x: %v, ticket %v", version, err, tickets.ticket)
		}
		if resumed, err := dial("a.example", "http/1.1"); err != nil || !resumed {
			t.Errorf("TLS %x: the host's own session isn't resumed: %v", version, err)
		}
		for _, name := range []string{"evil.example", "", "127.0.0.1"} {
			for _, protocol := range []string{"http/1.1", "acme-tls/1"} {
				if _, err := dial(name, protocol); err == nil {
					t.Errorf("TLS %x: a handshake with the name %q and %s succeeds", version, name, protocol)
				}
			}
		}
	}
}

// An impatientStore fails a request whose context has ended, as a client of Redis does.
type impatientStore struct{ store }

func (s impatientStore) get(ctx context.Context, name string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return s.store.get(ctx, name)
}

// TestClientsThatGoAway checks that a client that is gone hides no challenge of another replica.
func TestClientsThatGoAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := newMemory()
		c, _ := newReplica(t, memory, &authority{})
		c.challenges.store = impatientStore{memory}
		data, err := json.Marshal(&challenge{Host: "a.example", Path: "/p", Response: "r"})
		if err != nil {
			t.Fatal(err)
		}
		memory.put(t.Context(), challengeName, data, time.Hour)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 5 {
			c.challenges.find(gone, "x")
			if c.challenges.find(t.Context(), "a.example") == nil {
				t.Error("the challenge isn't found")
			}
			time.Sleep(lookEvery)
		}
	})
}

// TestShorterLifetimes checks that replicas share a renewed certificate that expires before the former one.
func TestShorterLifetimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, a := newMemory(), &authority{life: 90 * day}
		for range 6 {
			c, _ := newReplica(t, store, a)
			c.Keep([]string{"a.example"})
			defer c.Stop()
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		before := len(a.times())
		a.mu.Lock()
		a.life = 10 * day
		a.mu.Unlock()
		time.Sleep(61 * day)
		if orders := len(a.times()) - before; before != 1 || orders != 1 {
			t.Errorf("%d orders at first and %d at the renewal, expected one each", before, orders)
		}
	})
}

// TestInterruptedOrders checks that a process that is restarted before its orders end doesn't order again and again.
func TestInterruptedOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, a := newMemory(), &authority{life: 90 * day, took: 40 * time.Second, err: errOrder}
		for range 60 {
			c, _ := newReplica(t, store, a)
			c.Keep([]string{"a.example"})
			time.Sleep(30 * time.Second)
			c.Stop()
			time.Sleep(30 * time.Second)
		}
		if orders := len(a.times()); orders > 12 {
			t.Errorf("%d orders in an hour of restarts", orders)
		}
	})
}

// TestAdoptedInAnotherStore checks that a certificate that another certifier obtained is stored by the one that took it over.
func TestAdoptedInAnotherStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, store := &authority{life: 90 * day}, newMemory()
		c, _ := newReplica(t, newMemory(), a)
		c.Keep([]string{"a.example"})
		synctest.Wait()
		c.Stop()
		next, _ := newReplica(t, store, a)
		next.Adopt(c)
		next.Keep([]string{"a.example"})
		synctest.Wait()
		next.Stop()
		restarted, _ := newReplica(t, store, a)
		restarted.Keep([]string{"a.example"})
		synctest.Wait()
		restarted.Stop()
		if orders := len(a.times()); orders != 1 || !store.has("a.example") {
			t.Errorf("%d orders, in the new store: %v", orders, store.has("a.example"))
		}
	})
}
