package proxy

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sallyport/internal/balance"
)

// await waits until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// A checked is a server with a path for health checks, whose status a test sets.
type checked struct {
	*httptest.Server
	status atomic.Int32
	slow   atomic.Bool

	mu     sync.Mutex
	checks []*http.Request
}

func startChecked(t *testing.T, name string) *checked {
	t.Helper()
	c := &checked{}
	c.status.Store(200)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/healthz" {
			answerer(name)(w, r)
			return
		}
		c.mu.Lock()
		c.checks = append(c.checks, r)
		c.mu.Unlock()
		if c.slow.Load() {
			<-r.Context().Done()
		}
		w.WriteHeader(int(c.status.Load()))
	}))
	t.Cleanup(c.Close)
	return c
}

// TestHealthChecks checks that a target gets no requests while its checks fail by status or by time, and that the checks carry nothing of a
// client.
func TestHealthChecks(t *testing.T) {
	a, b := startChecked(t, "a"), startChecked(t, "b")
	s := UpstreamSettings{BalanceSettings: BalanceSettings{LoadBalancing: balance.RoundRobin, Health: &HealthSettings{
		Path: "/healthz?deep=1", Interval: 20 * time.Millisecond, Timeout: 200 * time.Millisecond, Healthy: 2, Unhealthy: 2,
		Status: []string{"200-299", "418"},
	}}}
	var up *Upstream
	front, _ := startTargets(t, s, func(r *Route, _ *Config) { up = r.Upstream }, a.URL, b.URL)
	uses := func(name string) bool {
		var got string
		for range 4 {
			_, body := get(t, front, "/off", "Authorization", "Bearer x", "Cookie", "c=1")
			got += body[:1]
		}
		return strings.Contains(got, name)
	}
	for what, change := range map[string]func(bad bool){
		"status 503": func(bad bool) { a.status.Store(map[bool]int32{true: 503, false: 204}[bad]) },
		"status 302": func(bad bool) { a.status.Store(map[bool]int32{true: 302, false: 418}[bad]) },
		"time-out":   a.slow.Store,
	} {
		change(true)
		await(t, what, func() bool { return !uses("a") })
		change(false)
		await(t, "a after "+what, func() bool { return uses("a") })
	}
	a.status.Store(500)
	b.status.Store(500)
	await(t, "two unhealthy targets", func() bool { return !up.Targets()[0].Usable && !up.Targets()[1].Usable })
	if !uses("a") || !uses("b") {
		t.Error("no target is healthy, and not all get requests")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, r := range a.checks {
		if r.Method != "GET" || r.URL.RawQuery != "deep=1" || len(r.Header) != 3 || r.Header.Get("User-Agent") != "sallyport-health" ||
			r.Header.Get("Connection") != "close" || r.Host != strings.TrimPrefix(a.URL, "http://") {
			t.Fatalf("a check is %s %s %s with %v", r.Method, r.Host, r.URL, r.Header)
		}
	}
}

// TestHealthChecksEnd checks that no check is sent before Run, and that no goroutine is left after Close, nor started by a later Run.
func TestHealthChecksEnd(t *testing.T) {
	a := startChecked(t, "a")
	a.slow.Store(true)
	s := UpstreamSettings{URL: a.URL, Reuse: true, ConnectTimeout: time.Second, BalanceSettings: BalanceSettings{Health: &HealthSettings{
		Path: "/healthz", Interval: 10 * time.Millisecond, Timeout: time.Minute, Healthy: 1, Unhealthy: 1, Status: []string{"200"},
	}}}
	up, err := NewUpstream(s)
	if err != nil {
		t.Fatal(err)
	}
	if n := watchers(t); n != 0 {
		t.Errorf("%d goroutines check targets before Run", n)
	}
	up.Run(slog.New(slog.DiscardHandler))
	up.Run(slog.New(slog.DiscardHandler))
	await(t, "a check", func() bool { a.mu.Lock(); defer a.mu.Unlock(); return len(a.checks) == 1 })
	if n := watchers(t); n != 1 {
		t.Errorf("%d goroutines check one target", n)
	}
	up.Close()
	up.Run(slog.New(slog.DiscardHandler))
	if n := watchers(t); n != 0 {
		t.Errorf("%d goroutines check targets after Close", n)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.checks) != 1 {
		t.Errorf("%d checks, expected one that was under way at Close", len(a.checks))
	}
}

// watchers returns how many goroutines check targets.
func watchers(t *testing.T) int {
	t.Helper()
	var stacks bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
		t.Fatal(err)
	}
	return strings.Count(stacks.String(), "proxy.(*healthChecks).watch(")
}

// TestHealthCheckTimes checks with a clock of its own that the time between two checks is about the interval, and differs.
func TestHealthCheckTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := UpstreamSettings{URL: "unix:/nowhere/app.sock", BalanceSettings: BalanceSettings{Health: &HealthSettings{
			Path: "/", Interval: 10 * time.Second, Timeout: time.Second, Healthy: 1, Unhealthy: 1 << 30, Status: []string{"200"},
		}}}
		up, err := NewUpstream(s)
		if err != nil {
			t.Fatal(err)
		}
		var times []time.Time
		up.targets[0].conns.For("").checks.DialContext = func(context.Context, string, string) (net.Conn, error) {
			times = append(times, time.Now())
			return nil, errors.New("refused")
		}
		begin := time.Now()
		up.Run(slog.New(slog.DiscardHandler))
		time.Sleep(100 * time.Second)
		up.Close()
		if len(times) < 9 || len(times) > 12 || times[0].Sub(begin) > time.Second {
			t.Fatalf("%d checks in 100 s, the first after %s", len(times), times[0].Sub(begin))
		}
		waits := map[time.Duration]bool{}
		for n := range times[1:] {
			wait := times[n+1].Sub(times[n])
			if waits[wait] = true; wait < 9*time.Second || wait > 11*time.Second {
				t.Errorf("%s between two checks", wait)
			}
		}
		if len(waits) < 2 {
			t.Error("all waits are the same")
		}
	})
}
