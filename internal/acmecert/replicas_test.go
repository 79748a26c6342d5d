package acmecert

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestReplicas checks that of several replicas one orders, and that all serve its certificate, at the start and after renewals.
func TestReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, store := &authority{life: 90 * day, took: 20 * time.Second}, newMemory()
		var all []*Certifier
		for range 4 {
			c, _ := newReplica(t, store, a)
			c.Keep([]string{"a.example", "b.example"})
			all = append(all, c)
		}
		time.Sleep(time.Minute)
		for renewals := range 4 {
			if n := len(a.times()); n != 2*(1+renewals) {
				t.Errorf("%d orders of two hosts with %d renewals", n, renewals)
			}
			for _, host := range []string{"a.example", "b.example"} {
				for _, c := range all {
					if got := serial(c, host); got == 0 || got != serial(all[0], host) {
						t.Errorf("%s: the replicas serve %d and %d", host, got, serial(all[0], host))
					}
				}
			}
			time.Sleep(61 * day)
		}
		for _, c := range all {
			c.Stop()
		}
	})
}

// TestALostLease checks that a replica stops an order when another one holds the lease.
func TestALostLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, store := &authority{life: 90 * day, took: 4 * time.Minute}, newMemory()
		c, log := newReplica(t, store, a)
		c.Keep([]string{"a.example"})
		time.Sleep(90 * time.Second) // the lease was renewed
		store.mu.Lock()
		store.holder, store.until = "another", time.Now().Add(time.Hour)
		store.mu.Unlock()
		time.Sleep(30 * time.Second)
		if !strings.Contains(log.String(), "the lease for orders of certificates is lost") || strings.Contains(log.String(), "failed") {
			t.Errorf("the log:\n%s", log)
		}
		time.Sleep(30 * time.Minute)
		if n := len(a.times()); n != 1 {
			t.Errorf("%d orders while another replica holds the lease", n)
		}
		time.Sleep(40 * time.Minute)
		if serial(c, "a.example") == 0 {
			t.Errorf("no order after the lease of the other replica ended:\n%s", log)
		}
		c.Stop()
	})
}

// TestAStoreThatFails checks that nothing is ordered without the store, and that a certificate that can't be stored is used and stored
// later, without another order.
func TestAStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, store := &authority{life: 90 * day, took: 10 * time.Second}, newMemory()
		store.fail(errors.New("redis is away"))
		c, log := newReplica(t, store, a)
		c.Keep([]string{"a.example"})
		time.Sleep(time.Hour)
		if n := strings.Count(log.String(), "redis is away"); len(a.times()) != 0 || n != 1 {
			t.Errorf("%d orders without the store, %d messages", len(a.times()), n)
		}
		store.fail(nil)
		time.Sleep(5 * time.Second) // the order is under way
		store.fail(errors.New("redis is away"))
		time.Sleep(time.Hour)
		if serial(c, "a.example") != 1 || store.has("a.example") {
			t.Error("a certificate that can't be stored isn't used, or it is stored")
		}
		store.fail(nil)
		time.Sleep(time.Minute)
		if serial(c, "a.example") != 1 || !store.has("a.example") || len(a.times()) != 1 {
			t.Errorf("it isn't stored when the store is back; %d orders", len(a.times()))
		}
		c.Stop()
	})
}

// TestAFullStore checks that failures that can't be stored count all the same.
func TestAFullStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, store := &authority{err: errOrder}, newMemory()
		store.full = errors.New("the disk is full")
		c, log := newReplica(t, store, a)
		c.Keep([]string{"a.example"})
		time.Sleep(time.Hour)
		if n := len(a.times()); n < 3 || n > 5 {
			t.Errorf("%d orders in an hour", n)
		}
		if n := strings.Count(log.String(), "store of certificates can't be used"); n > 5 {
			t.Errorf("%d messages about the store in an hour", n)
		}
		c.Stop()
	})
}

// TestStoredCertificates checks which stored certificates are used: not those of other hosts, and no expired ones.
func TestStoredCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemory()
		put := func(name, host string, serial int64, life time.Duration) {
			data, err := encodeCertificate(mustCertify(t, host, serial, time.Now(), life))
			if err != nil {
				t.Fatal(err)
			}
			store.records[name] = data
		}
		put("good.example", "good.example", 100, 90*day)
		put("moved.example", "good.example", 101, 90*day)
		put("old.example", "old.example", 102, time.Hour)
		store.records["broken.example"] = []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
		time.Sleep(2 * time.Hour)
		a := &authority{life: 90 * day}
		c, log := newReplica(t, store, a)
		c.Keep([]string{"good.example", "moved.example", "old.example", "broken.example"})
		time.Sleep(time.Minute)
		for _, host := range []string{"good.example", "moved.example", "old.example", "broken.example"} {
			if got := serial(c, host); got == 0 || (got >= 100) != (host == "good.example") {
				t.Errorf("%s: serial %d", host, got)
			}
		}
		if n := strings.Count(log.String(), "a stored certificate can't be used"); n != 3 || len(a.times()) != 3 {
			t.Errorf("%d messages, %d orders:\n%s", n, len(a.times()), log)
		}
		c.Stop()
	})
}
