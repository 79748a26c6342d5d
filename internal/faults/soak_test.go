package faults

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/app"
	"sallyport/internal/config"
	"sallyport/internal/freeport"
	"sallyport/internal/redis/redistest"
)

var soak = flag.Duration("soak", time.Minute, "how long TestSoak runs")

// A wire forwards TCP connections until it is cut.
type wire struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	away  bool
	conns map[net.Conn]struct{}
	all   sync.WaitGroup
}

// newWire returns a wire to a port of this machine. It ends with the test.
func newWire(t testing.TB, target string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, target: target, conns: map[net.Conn]struct{}{}}
	w.all.Go(w.accept)
	t.Cleanup(func() { l.Close(); w.cut(); w.all.Wait() })
	return w
}

func (w *wire) port() int { return w.listener.Addr().(*net.TCPAddr).Port }

func (w *wire) accept() {
	for {
		c, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.all.Go(func() { w.forward(c) })
	}
}

func (w *wire) forward(c net.Conn) {
	defer c.Close()
	to, err := net.Dial("tcp", w.target)
	if err != nil {
		return
	}
	defer to.Close()
	w.mu.Lock()
	if w.away {
		w.mu.Unlock()
		return
	}
	w.conns[c], w.conns[to] = struct{}{}, struct{}{}
	w.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { io.Copy(to, c); to.(*net.TCPConn).CloseWrite() })
	both.Go(func() { io.Copy(c, to); c.(*net.TCPConn).CloseWrite() })
	both.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c)
	delete(w.conns, to)
}

// cut closes all connections. Further ones are closed at once until mend is called.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = true
	for c := range w.conns {
		c.Close()
	}
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.away = false
}

// startHere starts a gate in this process, so that the race detector, if it is on, watches it.
func startHere(t testing.TB, r *rig) *gate {
	t.Helper()
	g := &gate{
		t: t, url: fmt.Sprintf("http://127.0.0.1:%d", freeport.Port()), admin: fmt.Sprintf("http://127.0.0.1:%d", freeport.Port()),
		file: filepath.Join(t.TempDir(), "sallyport.yaml"), log: &lockedBuffer{},
	}
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
	toRedis := newWire(t, fmt.Sprintf("127.0.0.1:%d", server.Port))
	r := newRig(t, fmt.Sprintf("port: %d", toRedis.port()))
	gates := []*gate{startHere(t, r), startHere(t, r)}
	warmUp := startLoad(t, r, gates...)
	warmUp.await("answers", "ok", 50*users)
	warmUp.report("warm-up")
	toRedis.cut() // its connections have goroutines, too
	goroutines, heap := idle()
	toRedis.mend()

	l := startLoad(t, r, gates...)
	random := rand.New(rand.NewPCG(3, 5))
	for end, n := time.Now().Add(*soak), 0; time.Now().Before(end) && !t.Failed(); n++ {
		l.await("answers before a cut", "ok", random.IntN(40*users))
		away := time.Duration(random.IntN(int(time.Second)))
		if n%3 == 2 {
			l.fail("the provider", r.provider.Close, away+tokenLife, r.provider.Reopen)
		} else {
			l.fail("redis", toRedis.cut, away, toRedis.mend)
		}
	}
	l.report("soak")
	toRedis.cut()
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
