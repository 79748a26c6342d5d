package acmecert

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/acme"
)

// TestRenewal runs a certifier for a year: certificates of 90 days are renewed about 30 days before they expire, and one is always valid.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{life: 90 * day}
		c, _ := newReplica(t, newMemory(), a)
		c.Keep([]string{"a.example"})
		synctest.Wait()
		for range 365 {
			if serial(c, "a.example") == 0 {
				t.Fatalf("no certificate is valid after %d orders", len(a.times()))
			}
			time.Sleep(day)
		}
		all := a.times()
		if len(all) < 6 || len(all) > 7 {
			t.Errorf("%d orders in a year", len(all))
		}
		for n := range all[1:] {
			if between := all[n+1].Sub(all[n]); between > 60*day || between < 58*day {
				t.Errorf("%v between two orders, expected up to 1.5 days less than 60 days", between)
			}
		}
		c.Stop()
	})
}

// TestShortCertificates checks that a certificate that lives shorter than renew_before isn't renewed again and again.
func TestShortCertificates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{life: 6 * day}
		c, _ := newReplica(t, newMemory(), a)
		c.Keep([]string{"a.example"})
		time.Sleep(30 * day)
		if n := len(a.times()); n < 10 || n > 12 {
			t.Errorf("%d orders in 30 days for certificates of 6 days", n)
		}
		c.Stop()
	})
}

// TestFailedOrders checks how often a host is ordered whose name doesn't lead here, that the certificate before is served until it expires,
// and that the next success ends the waits.
func TestFailedOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{life: 90 * day}
		store := newMemory()
		c, log := newReplica(t, store, a)
		c.Keep([]string{"a.example"})
		synctest.Wait()
		a.fail(errOrder)
		time.Sleep(60*day + time.Hour) // the first renewal was due
		before := len(a.times())
		for range 28 * 24 {
			if serial(c, "a.example") != 1 {
				t.Fatal("the certificate before isn't served")
			}
			time.Sleep(time.Hour)
		}
		if n := len(a.times()) - before; n < 28 || n > 28*2+1 {
			t.Errorf("%d orders in 28 days of failures", n)
		}
		time.Sleep(3 * day)
		if serial(c, "a.example") != 0 {
			t.Error("an expired certificate is served")
		}
		if err := c.Missing(); err == nil || !strings.Contains(err.Error(), "for a.example: the name doesn't lead here; the next order is at 2") {
			t.Errorf("Missing: %v", err)
		}
		if !strings.Contains(log.String(), "level=ERROR msg=\"the order of a certificate failed\" host=a.example") {
			t.Errorf("the log:\n%s", log)
		}
		a.fail(nil)
		time.Sleep(14 * time.Hour)
		if serial(c, "a.example") == 0 || c.Missing() != nil || store.records["a.example"+failureSuffix] != nil {
			t.Errorf("after the authority works again: %v", c.Missing())
		}
		c.Stop()
	})
}

// TestFirstHour checks that a new host that fails stays below the limit of Let's Encrypt, and that a restart doesn't order again.
func TestFirstHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{err: errOrder}
		store := newMemory()
		for range 60 {
			c, _ := newReplica(t, store, a)
			c.Keep([]string{"a.example"})
			time.Sleep(time.Minute)
			if _, err := c.certificate("a.example"); err == nil {
				t.Error("there is a certificate")
			}
			c.Stop()
		}
		if n := len(a.times()); n < 3 || n > 5 {
			t.Errorf("%d orders in an hour with 60 restarts", n)
		}
	})
}

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
		if serial(c, "a.example") != 1 || len(store.records) != 0 {
			t.Error("a certificate that can't be stored isn't used, or it is stored")
		}
		store.fail(nil)
		time.Sleep(time.Minute)
		if serial(c, "a.example") != 1 || store.records["a.example"] == nil || len(a.times()) != 1 {
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
		for host, stored := range map[string]bool{"good.example": true, "moved.example": false, "old.example": false, "broken.example": false} {
			if got := serial(c, host); got == 0 || (got >= 100) != stored {
				t.Errorf("%s: serial %d", host, got)
			}
		}
		if n := strings.Count(log.String(), "a stored certificate can't be used"); n != 3 || len(a.times()) != 3 {
			t.Errorf("%d messages, %d orders:\n%s", n, len(a.times()), log)
		}
		c.Stop()
	})
}

// TestHostsChange checks that a new list of hosts orders what is new, and keeps the certificates of the others.
func TestHostsChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{life: 90 * day}
		c, _ := newReplica(t, newMemory(), a)
		c.Keep([]string{"a.example", "b.example"})
		synctest.Wait()
		c.Keep([]string{"b.example", "c.example"})
		synctest.Wait()
		if serial(c, "a.example") != 0 || serial(c, "b.example") != 2 || serial(c, "c.example") != 3 || len(c.Expiries()) != 2 {
			t.Errorf("the hosts are %v", c.Expiries())
		}
		c.Stop()
	})
}

// TestAdopt checks that the next certifier serves the certificates of the one before at once, and orders those of another ACME server anew.
func TestAdopt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{life: 90 * day}
		c, _ := newReplica(t, newMemory(), a)
		c.Keep([]string{"a.example"})
		synctest.Wait()
		c.Stop()
		same, _ := newReplica(t, newMemory(), a)
		same.Adopt(c)
		if serial(same, "a.example") != 1 {
			t.Error("the certificate isn't adopted")
		}
		other, _ := newReplica(t, newMemory(), a)
		other.settings.Directory = "https://other.example"
		other.Adopt(c)
		if serial(other, "a.example") != 1 {
			t.Error("the certificate isn't adopted by that of another server")
		}
		same.Keep([]string{"a.example"})
		other.Keep([]string{"a.example"})
		synctest.Wait()
		if serial(same, "a.example") != 1 || serial(other, "a.example") != 2 {
			t.Errorf("serials %d and %d, expected 1 and 2", serial(same, "a.example"), serial(other, "a.example"))
		}
		same.Stop()
		other.Stop()
	})
}

// TestPauses checks the pause after failures: at first short if the server was not reached, longer if it has taken an order, and as long
// as the server says.
func TestPauses(t *testing.T) {
	now := time.Now()
	limited := func(after string) error {
		return &acme.Error{ProblemType: "urn:ietf:params:acme:error:rateLimited", Header: map[string][]string{"Retry-After": {after}}}
	}
	for _, c := range []struct {
		count    int
		err      error
		ordered  bool
		min, max time.Duration
	}{
		{0, errOrder, false, 10 * time.Second, 11 * time.Second},
		{0, errOrder, true, 5 * time.Minute, 330 * time.Second},
		{1, errOrder, true, 10 * time.Minute, 11 * time.Minute},
		{3, errOrder, true, 40 * time.Minute, 44 * time.Minute},
		{100, errOrder, false, 12 * time.Hour, 1320 * time.Hour / 100},
		{0, limited("7200"), false, 2 * time.Hour, 2 * time.Hour},
		{0, limited(""), false, 5 * time.Minute, 5 * time.Minute},
		{0, limited("99999999"), true, 24 * time.Hour, 24 * time.Hour},
	} {
		f := failure{Count: c.count}.failed(c.err, c.ordered, now)
		if got := f.Next.Sub(now); got < c.min || got > c.max || f.Count != c.count+1 {
			t.Errorf("after %d failures and %v, %t: %v, expected %v to %v", c.count, c.err, c.ordered, got, c.min, c.max)
		}
	}
}

// TestProblems checks that the log has the problem that the server reports, wherever it stands.
func TestProblems(t *testing.T) {
	problem := &acme.Error{ProblemType: "urn:ietf:params:acme:error:dns", Detail: "no A record"}
	for _, err := range []error{
		problem, &acme.AuthorizationError{Errors: []error{problem}}, &acme.OrderError{Problem: problem},
	} {
		if kind, detail := problemOf(errors.Join(err)); kind != problem.ProblemType || detail != problem.Detail {
			t.Errorf("%T: %s, %s", err, kind, detail)
		}
	}
	if kind, detail := problemOf(&acme.OrderError{}); kind != "" || detail != "" {
		t.Errorf("%s, %s", kind, detail)
	}
}
