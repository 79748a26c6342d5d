package faults

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/redis/redistest"
)

var soak = flag.Duration("soak", time.Minute, "how long TestSoak runs")

// startHere starts a gate in this process, so that the race detector, if it is on, watches it.
func startHere(t testing.TB, r *rig) *gate {
	t.Helper()
	g := newGate(t)
	g.log.Limit = 1 << 16
	g.configure(r, firstSecret)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, app.Options{Config: config.FromFile(g.file), Log: g.log}) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if !await(30*time.Second, g.ready) {
		t.Fatalf("the gate isn't ready: %s", g.log)
	}
	return g
}

// TestSoak runs the load while the connections to Redis and to the provider are cut at random. It checks what TestFaults checks, and that
// goroutines and memory are as at the beginning when the load has ended.
func TestSoak(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always", "--save", "")
	toRedis := redistest.NewWire(t, fmt.Sprintf("127.0.0.1:%d", server.Port))
	r := newRig(t, fmt.Sprintf("port: %d", toRedis.Port()))
	gates := []*gate{startHere(t, r), startHere(t, r)}
	warmUp := startLoad(t, r, gates...)
	warmUp.await("answers", "ok", 50*users)
	warmUp.report("warm-up")
	toRedis.Cut() // its connections have goroutines, too
	goroutines, heap := idle()
	toRedis.Mend()

	l := startLoad(t, r, gates...)
	random := rand.New(rand.NewPCG(3, 5))
	for end, n := time.Now().Add(*soak), 0; time.Now().Before(end) && !t.Failed(); n++ {
		l.await("answers before a cut", "ok", random.IntN(40*users))
		away := time.Duration(random.IntN(int(time.Second)))
		if n%3 == 2 {
			l.fail("the provider", r.provider.Close, away+tokenLife, r.provider.Reopen)
		} else {
			l.fail("redis", toRedis.Cut, away, toRedis.Mend)
		}
	}
	l.report("soak")
	toRedis.Cut()
	await(20*time.Second, func() bool { now, _ := idle(); return now <= goroutines+10 })
	after, grown := idle()
	t.Logf("goroutines: %d, then %d; heap: %d KiB, then %d KiB", goroutines, after, heap>>10, grown>>10)
	if after > goroutines+10 {
		var all strings.Builder
		pprof.Lookup("goroutine").WriteTo(&all, 1)
		t.Errorf("%d goroutines more than at the beginning:\n%.5000s", after-goroutines, all.String())
	}
	if grown > heap+16<<20 {
		t.Errorf("%d KiB of heap more than at the beginning", (grown-heap)>>10)
	}
}

// idle returns the number of goroutines and the live heap in bytes, when no connection is in use.
func idle() (goroutines int, heap uint64) {
	time.Sleep(time.Second) // until connections that were closed have ended
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapAlloc
}
