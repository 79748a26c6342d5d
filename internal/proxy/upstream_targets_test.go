package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/balance"
	"sallyport/internal/freeport"
)

// startSocket starts a server that answers with its name on a Unix socket, and returns the target's address.
func startSocket(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: answerer(name), Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return "unix:" + path
}

// TestTargetsTakeTurns checks that the requests go to all targets in turn, with the Host of each; to a Unix socket goes the client's.
func TestTargetsTakeTurns(t *testing.T) {
	a, b, socket := named(t, "a"), named(t, "b"), startSocket(t, "c")
	host := func(s *httptest.Server) string { return strings.TrimPrefix(s.URL, "http://") }
	for preserve, want := range map[bool]string{
		false: fmt.Sprintf("a %s, b %s, c app.example, a %[1]s", host(a), host(b)),
		true:  "a app.example, b app.example, c app.example, a app.example",
	} {
		front, _ := startTargets(t, UpstreamSettings{}, func(r *Route, _ *Config) { r.PreserveHost = preserve }, a.URL, b.URL, socket)
		var got []string
		for range 4 {
			res, body := getFrom(t, front, "app.example", "/off")
			if res.StatusCode != 200 {
				t.Fatal(res.Status, body)
			}
			got = append(got, body)
		}
		if all := strings.Join(got, ", "); all != want {
			t.Errorf("preserve_host %v: %s, expected %s", preserve, all, want)
		}
	}
}

// getFrom sends a GET with a Host.
func getFrom(t *testing.T, front *httptest.Server, host, path string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest("GET", front.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	return roundTrip(t, front, r)
}

// TestUnixSocket checks a Unix socket as the only target, over HTTP/1.1 and HTTP/2, and that check -online reaches it.
func TestUnixSocket(t *testing.T) {
	address := startSocket(t, "app")
	for _, protocol := range []string{"auto", "http1", "http2"} {
		s := UpstreamSettings{URL: address, Protocol: protocol, ConnectTimeout: time.Second}
		front := startUpstream(t, s)
		for range 2 {
			if res, body := getFrom(t, front, "app.example:8000", "/off"); res.StatusCode != 200 || body != "app app.example:8000" {
				t.Errorf("%s: %s %q", protocol, res.Status, body)
			}
		}
		up, err := NewUpstream(s)
		if err != nil {
			t.Fatal(err)
		}
		if reached := up.Reach(t.Context()); len(reached) != 1 || reached[0].Err != nil || reached[0].Target != address {
			t.Errorf("%s: %v", protocol, reached)
		}
	}
}

// TestWeights checks that a target with three times the weight gets three times the requests.
func TestWeights(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	s := UpstreamSettings{}
	s.Targets = []TargetSettings{{URL: a.URL, Weight: 3}}
	front, _ := startTargets(t, s, nil, b.URL)
	counts := map[string]int{}
	for range 8 {
		_, body := get(t, front, "/off")
		counts[body[:1]]++
	}
	if counts["a"] != 6 || counts["b"] != 2 {
		t.Errorf("%v, expected 6 and 2", counts)
	}
}

// TestClientAddress checks that a client stays at its target, and that clients are spread. The address is that of trusted_proxies.
func TestClientAddress(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	s := UpstreamSettings{BalanceSettings: BalanceSettings{LoadBalancing: balance.ClientAddress}}
	front, _ := startTargets(t, s, func(_ *Route, c *Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	}, a.URL, b.URL)
	counts := map[string]int{}
	for n := range 120 {
		client := fmt.Sprintf("192.0.2.%d", n)
		_, first := get(t, front, "/off", "X-Forwarded-For", client)
		counts[first[:1]]++
		for range 2 {
			if _, next := get(t, front, "/off", "X-Forwarded-For", client); next != first {
				t.Errorf("%s moved from %s to %s", client, first, next)
			}
		}
	}
	if counts["a"] < 25 || counts["b"] < 25 {
		t.Errorf("the clients aren't spread: %v", counts)
	}
	_, one := get(t, front, "/off", "X-Forwarded-For", "unknown")
	_, two := get(t, front, "/off", "X-Forwarded-For", "unknown")
	if one == two {
		t.Errorf("clients without an address are all sent to one target: %s", one)
	}
}

// TestLeastConnectionsOfTargets checks that a target with a request that goes on gets no other one, and that the end of a response counts.
func TestLeastConnectionsOfTargets(t *testing.T) {
	began, end := make(chan string), make(chan struct{})
	var servers []string
	for _, name := range []string{"a", "b"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/off/long" {
				began <- name
				http.NewResponseController(w).Flush()
				<-end
			}
			fmt.Fprint(w, name)
		}))
		t.Cleanup(s.Close)
		servers = append(servers, s.URL)
	}
	s := UpstreamSettings{BalanceSettings: BalanceSettings{LoadBalancing: balance.LeastConnections}}
	front, _ := startTargets(t, s, nil, servers...)
	over := make(chan struct{})
	go func() {
		get(t, front, "/off/long")
		close(over)
	}()
	busy := <-began
	await(t, "six requests in a row for the other target", func() bool { // one counts until a little after its response
		for range 6 {
			if _, body := get(t, front, "/off"); body == busy {
				return false
			}
		}
		return true
	})
	close(end)
	<-over
	await(t, "a request for the target whose long one has ended", func() bool {
		_, body := get(t, front, "/off")
		return body == busy
	})
}

// TestReuseOff checks that with reuse: false each request has a connection of its own.
func TestReuseOff(t *testing.T) {
	for _, secure := range []bool{false, true} {
		var conns atomic.Int32
		target := serveScript(t, secure, func(s *scripted, c net.Conn, in *bufio.Reader) { conns.Add(1); answers(s, c, in) })
		for _, reuse := range []bool{true, false} {
			conns.Store(0)
			up, err := NewUpstream(UpstreamSettings{
				URL: map[bool]string{false: "http://", true: "https://"}[secure] + target.Addr().String(), Reuse: reuse,
				ConnectTimeout: time.Second, ResponseHeaderTimeout: time.Second, IdleTimeout: time.Second,
			})
			if err != nil {
				t.Fatal(err)
			}
			front, _ := start(t, nil, func(r *Route, _ *Config) { r.Upstream = up })
			for range 4 {
				if status, _ := ask(t, front, "GET", "/off", ""); status != 200 {
					t.Fatal(status)
				}
			}
			if up.Close(); conns.Load() != map[bool]int32{true: 1, false: 4}[reuse] {
				t.Errorf("TLS %v, reuse %v: %d connections for 4 requests", secure, reuse, conns.Load())
			}
			if target.mu.Lock(); target.closing != map[bool]int{true: 0, false: 4}[reuse] {
				t.Errorf("TLS %v, reuse %v: %d requests say that their connection ends", secure, reuse, target.closing)
			}
			target.mu.Unlock()
		}
	}
}

// TestSlowStartOfATarget checks that a target which returns gets a small share first, with slow_start.
func TestSlowStartOfATarget(t *testing.T) {
	for slow, least := range map[time.Duration]int{0: 10, time.Hour: 1} {
		m := &mortal{t: t, fleet: &fleet{}, network: "tcp", address: fmt.Sprintf("127.0.0.1:%d", freeport.Port())}
		s := UpstreamSettings{BalanceSettings: BalanceSettings{MaxFails: 1, EjectTime: 20 * time.Millisecond, SlowStart: slow}}
		front, log := startTargets(t, s, nil, "http://"+m.address, named(t, "b").URL)
		await(t, "an ejection", func() bool { get(t, front, "/off"); return strings.Contains(log.String(), "upstream_target_ejected") })
		m.run()
		t.Cleanup(func() { m.server.Close() })
		await(t, "the return", func() bool { get(t, front, "/off"); return m.served.Load() > 0 })
		before := m.served.Load()
		for range 20 {
			get(t, front, "/off")
		}
		if got := int(m.served.Load() - before); got < least || got > least+1 {
			t.Errorf("slow_start %s: %d of 20 requests, expected %d", slow, got, least)
		}
	}
}

// TestTargetsOverHTTP2 checks two targets over HTTP/2, of which one goes away: requests with a body pass as well, and the body arrives.
func TestTargetsOverHTTP2(t *testing.T) {
	var servers []*httptest.Server
	var addresses []string
	for range 2 {
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %s", r.Proto, r.Host, body)
		}))
		s.EnableHTTP2 = true
		s.StartTLS()
		t.Cleanup(s.Close)
		servers, addresses = append(servers, s), append(addresses, s.URL)
	}
	front, _ := startTargets(t, UpstreamSettings{}, nil, addresses...)
	for n := range 8 {
		if n == 4 { // the gate may notice the end of its connection only with the next request, so that is one that may be sent again
			servers[0].Close()
			if status, _ := ask(t, front, "GET", "/off", ""); status != 200 {
				t.Errorf("a GET after a target has gone: %d", status)
			}
			continue
		}
		want := fmt.Sprintf("HTTP/2.0 %s the body", servers[max(n%2, n/4)].Listener.Addr())
		if status, body := ask(t, front, "POST", "/off", "the body"); status != 200 || body != want {
			t.Errorf("request %d: %d %q, expected %q", n, status, body, want)
		}
	}
}
