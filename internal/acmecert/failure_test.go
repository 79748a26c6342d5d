package acmecert

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/acme"
)

// TestFailedOrders checks how often a host is ordered whose name doesn't lead here, that the certificate before is served until it expires,
// and that the next success ends the waits.
func TestFailedOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &authority{life: 10 * day}
		store := newMemory()
		c, log := newReplica(t, store, a)
		c.Keep([]string{"a.example"})
		synctest.Wait()
		a.fail(errOrder)
		time.Sleep(5*day + time.Hour) // the renewal was due
		for range 4 * 24 {
			if serial(c, "a.example") != 1 {
				t.Fatal("the certificate before isn't served")
			}
			time.Sleep(time.Hour)
		}
		if n := len(a.times()) - 1; n < 12 || n > 18 {
			t.Errorf("%d orders in 4 days of failures", n)
		}
		time.Sleep(day)
		if serial(c, "a.example") != 0 {
			t.Error("an expired certificate is served")
		}
		const missing = "for a.example: the name doesn't lead here; the next order is at 2"
		if err := c.Missing(); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("Missing: %v", err)
		}
		if !strings.Contains(log.String(), "level=ERROR msg=\"the order of a certificate failed\" host=a.example") {
			t.Errorf("the log:\n%s", log)
		}
		a.fail(nil)
		time.Sleep(14 * time.Hour)
		if serial(c, "a.example") == 0 || c.Missing() != nil || store.has("a.example"+failureSuffix) {
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
		before := store.count()
		c, _ := newReplica(t, store, a)
		c.Keep([]string{"a.example"})
		time.Sleep(time.Hour)
		if n := store.count() - before; n > 300 {
			t.Errorf("%d requests to the store in an hour of waiting", n)
		}
		c.Stop()
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
