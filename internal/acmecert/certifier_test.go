package acmecert

import (
	"testing"
	"testing/synctest"
	"time"
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

// TestCertificatesDatedBack checks that a certificate that the server has dated back by most of its lifetime isn't renewed at once.
func TestCertificatesDatedBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{life: 90 * time.Minute, before: time.Hour}
		c, _ := newReplica(t, newMemory(), a)
		c.Keep([]string{"a.example"})
		time.Sleep(5 * time.Hour)
		if n := len(a.times()); n < 20 || n > 31 { // each 10 minutes
			t.Errorf("%d orders in 5 hours", n)
		}
		c.Stop()
	})
}

// TestKeyTypeChanges checks that a stored certificate with a key of another type is served until a new one is there.
func TestKeyTypeChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, a := newMemory(), &authority{life: 90 * day, took: time.Minute}
		data, err := encodeCertificate(mustCertify(t, "a.example", 100, time.Now(), 90*day))
		if err != nil {
			t.Fatal(err)
		}
		store.records["a.example"] = data
		c, _ := newReplica(t, store, a)
		c.settings.KeyType = "rsa"
		c.Keep([]string{"a.example"})
		synctest.Wait()
		if serial(c, "a.example") != 100 || len(a.times()) != 1 {
			t.Errorf("the serial is %d after %d orders", serial(c, "a.example"), len(a.times()))
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
