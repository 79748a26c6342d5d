package proxy

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/balance"
	"sallyport/internal/freeport"
	"sallyport/internal/provider"
)

// A mortal is a server that is killed and restarted at the same address.
type mortal struct {
	t       *testing.T
	fleet   *fleet
	network string
	address string
	secure  bool
	served  atomic.Int64
	server  *http.Server
}

// A fleet is the targets of one upstream, and what they have received.
type fleet struct {
	targets []*mortal
	posts   sync.Map // the ID of each POST to the number of times that it arrived
}

func (m *mortal) run() {
	m.t.Helper()
	l, err := net.Listen(m.network, m.address)
	if err != nil {
		m.t.Fatal(err)
	}
	if m.secure {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{provider.SelfSignedCert("target")}})
	}
	m.server = &http.Server{Handler: m, ErrorLog: discardLog}
	go m.server.Serve(l)
}

func (m *mortal) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		n, _ := m.fleet.posts.LoadOrStore(r.URL.Query().Get("id"), &atomic.Int32{})
		n.(*atomic.Int32).Add(1)
	}
	io.Copy(io.Discard, r.Body)
	m.served.Add(1)
	io.WriteString(w, r.URL.Query().Get("id"))
}

// A clientLoad sends GETs and POSTs until stop, and counts what fails.
type clientLoad struct {
	front        *httptest.Server
	stop         atomic.Bool
	answers      atomic.Int64
	failedGets   atomic.Int64
	failedPosts  atomic.Int64
	firstFailure atomic.Value
}

func (l *clientLoad) run(worker int) {
	for n := 0; !l.stop.Load(); n++ {
		id, method := fmt.Sprintf("%d-%d", worker, n), http.MethodGet
		var body io.Reader
		if n%3 == 0 {
			method, body = http.MethodPost, strings.NewReader(id)
		}
		r, _ := http.NewRequest(method, l.front.URL+"/off?id="+id, body)
		r.Header.Set("Idempotency-Key", id)
		got, err := l.send(r)
		switch {
		case err == nil && got == id:
			l.answers.Add(1)
		case method == http.MethodGet:
			l.failedGets.Add(1)
			l.firstFailure.CompareAndSwap(nil, fmt.Sprintf("GET %s: %q, %v", id, got, err))
		default:
			l.failedPosts.Add(1)
		}
	}
}

func (l *clientLoad) send(r *http.Request) (string, error) {
	res, err := l.front.Client().Transport.RoundTrip(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", res.StatusCode)
	}
	return string(body), err
}

// TestTargetsKilledUnderLoad kills and restarts each of three targets under load, over plain HTTP/1.1, TLS and Unix sockets. No GET fails,
// and no POST arrives twice.
func TestTargetsKilledUnderLoad(t *testing.T) {
	for _, kind := range []string{"http", "https", "unix"} {
		for _, policy := range []string{balance.RoundRobin, balance.LeastConnections} {
			t.Run(kind+" "+policy, func(t *testing.T) {
				killUnderLoad(t, kind, UpstreamSettings{
					Reuse: true, BalanceSettings: BalanceSettings{LoadBalancing: policy},
				})
			})
		}
	}
	t.Run("http, a connection for each request", func(t *testing.T) { killUnderLoad(t, "http", UpstreamSettings{}) })
}

func killUnderLoad(t *testing.T, kind string, s UpstreamSettings) {
	f := &fleet{}
	var addresses []string
	for n := range 3 {
		m := &mortal{t: t, fleet: f, network: "tcp", address: fmt.Sprintf("127.0.0.1:%d", freeport.Port()), secure: kind == "https"}
		if kind == "unix" {
			m.network, m.address = "unix", fmt.Sprintf("%s/%d.sock", t.TempDir(), n)
		}
		m.run()
		t.Cleanup(func() { m.server.Close() })
		f.targets = append(f.targets, m)
		addresses = append(addresses, map[string]string{"http": "http://", "https": "https://", "unix": "unix:"}[kind]+m.address)
	}
	s.MaxFails, s.EjectTime = 3, 50*time.Millisecond
	front, log := startSettings(t, s, nil, addresses...)
	load := &clientLoad{front: front}
	var workers sync.WaitGroup
	for worker := range 12 {
		workers.Go(func() { load.run(worker) })
	}
	defer func() { load.stop.Store(true); workers.Wait() }()
	for range 2 {
		for _, m := range f.targets {
			f.killAndRestart(m, load)
		}
	}
	load.stop.Store(true)
	workers.Wait()
	f.check(t, load)
	if !strings.Contains(log.String(), "upstream_target_ejected") {
		t.Error("no target was ejected")
	}
}

// killAndRestart kills a target, lets the others answer, restarts it, and waits until it gets requests again.
func (f *fleet) killAndRestart(m *mortal, load *clientLoad) {
	m.t.Helper()
	served := m.served.Load()
	await(m.t, "requests for each target", func() bool { return m.served.Load() > served+20 })
	m.server.Close()
	answers := load.answers.Load()
	await(m.t, "answers of the other targets", func() bool { return load.answers.Load() > answers+100 })
	served = m.served.Load()
	m.run()
	await(m.t, "requests for the restarted target", func() bool { return m.served.Load() > served+20 })
}

func (f *fleet) check(t *testing.T, load *clientLoad) {
	t.Helper()
	t.Logf("%d answers, %d GETs and %d POSTs failed", load.answers.Load(), load.failedGets.Load(), load.failedPosts.Load())
	if load.failedGets.Load() > 0 {
		t.Errorf("%d GETs failed, the first one: %v", load.failedGets.Load(), load.firstFailure.Load())
	}
	f.posts.Range(func(id, n any) bool {
		if n.(*atomic.Int32).Load() != 1 {
			t.Errorf("the POST %s arrived %d times", id, n.(*atomic.Int32).Load())
		}
		return true
	})
}
