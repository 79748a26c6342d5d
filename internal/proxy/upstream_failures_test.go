package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"sallyport/internal/balance"
	"sallyport/internal/http1"
)

// TestWhatIsNoFailure checks that neither clients that go away, nor slow responses, nor refusals, nor malformed responses, nor ended old
// connections eject a target. max_fails is 1.
func TestWhatIsNoFailure(t *testing.T) {
	get := func(status int) func(*testing.T, string, *scripted) {
		return func(t *testing.T, url string, _ *scripted) { expect(t, "GET", url, "", status) }
	}
	for _, scheme := range []string{"http", "https"} {
		for what, c := range map[string]struct {
			script func(*scripted, net.Conn, *bufio.Reader)
			use    func(*testing.T, string, *scripted)
		}{
			"a client that goes away":     {silent, goAwayWaiting},
			"a client that cuts its body": {silent, cutBody},
			"a slow response":             {silent, get(504)},
			"503":                         {answering("503 Service Unavailable"), get(503)},
			"a malformed response":        {endsAfter("HTTP/1.1 x\r\n\r\n"), get(502)},
			"an old connection that ends": {answersOnce, func(t *testing.T, url string, first *scripted) {
				expect(t, "GET", url, "", 200)
				expect(t, "POST", url, "x", 502)
			}},
		} {
			first, second := serveScript(t, scheme == "https", c.script), serveScript(t, scheme == "https", answers)
			s := UpstreamSettings{BalanceSettings: BalanceSettings{
				MaxFails: 1, EjectTime: time.Hour, Targets: []TargetSettings{{scheme + "://" + first.Addr().String(), 1000}},
			}}
			if what == "a slow response" {
				s.ResponseHeaderTimeout = 50 * time.Millisecond
			}
			front, log := startTargets(t, s, nil, scheme+"://"+second.Addr().String())
			c.use(t, front.URL+"/off", first)
			front.Close() // waits for the requests
			if strings.Contains(log.String(), "ejected") {
				t.Errorf("%s, %s: %s", scheme, what, log.String())
			}
		}
	}
}

// TestBodyThatFails checks that an attempt whose body can't be read to its end doesn't count as the target's failure.
func TestBodyThatFails(t *testing.T) {
	for end, counts := range map[error]bool{io.EOF: true, io.ErrUnexpectedEOF: false} {
		body := &clientsBody{ReadCloser: io.NopCloser(iotest.ErrReader(end))}
		r, _ := http.NewRequest("POST", "http://upstream/", body)
		s := sending{request: r, body: body, outcome: http1.Outcome{Connected: true}}
		io.Copy(io.Discard, body)
		if s.showsFailure(io.ErrClosedPipe) != counts {
			t.Errorf("the body ends with %v: expected that this counts: %v", end, counts)
		}
	}
}

// answering answers each request with a status.
func answering(status string) func(*scripted, net.Conn, *bufio.Reader) {
	return func(s *scripted, c net.Conn, in *bufio.Reader) {
		for s.receive(in) {
			io.WriteString(c, "HTTP/1.1 "+status+"\r\nContent-Length: 0\r\n\r\n")
		}
	}
}

// expect sends a request on a connection of its own, and checks the status of the response.
func expect(t *testing.T, method, url, body string, status int) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != status {
		t.Errorf("%s: %s, expected %d", method, res.Status, status)
	}
}

// goAwayWaiting ends a request while it waits for the response.
func goAwayWaiting(t *testing.T, url string, first *scripted) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	over := make(chan error)
	go func() {
		_, err := http.DefaultTransport.RoundTrip(r)
		over <- err
	}()
	await(t, "the request at the target", func() bool { return first.received() != "" })
	cancel()
	if err := <-over; err == nil {
		t.Error("the request was answered")
	}
}

// cutBody sends the beginning of a body and ends the connection.
func cutBody(t *testing.T, url string, _ *scripted) {
	address, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "POST /%s HTTP/1.1\r\nHost: gate\r\nContent-Length: 100\r\n\r\nbegun", path)
}

// TestUpgradesOfTargets checks that an upgrade goes to one of several targets, and that it counts as long as it lasts.
func TestUpgradesOfTargets(t *testing.T) {
	upgrade := func(s *scripted, c net.Conn, in *bufio.Reader) {
		if s.receive(in); strings.HasPrefix(s.received(), "GET") {
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			io.Copy(c, in)
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
	first, second := serveScript(t, false, upgrade), serveScript(t, false, upgrade)
	s := UpstreamSettings{BalanceSettings: BalanceSettings{LoadBalancing: balance.LeastConnections}}
	front, _ := startTargets(t, s, nil, "http://"+first.Addr().String(), "http://"+second.Addr().String())
	var conns []net.Conn
	for range 4 {
		c, b := dial(t, front)
		conns = append(conns, c)
		io.WriteString(c, "GET /off HTTP/1.1\r\nHost: gate\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		if res, err := http.ReadResponse(b, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%v, %v", res, err)
		}
		io.WriteString(c, "hello\n")
		if line, err := b.ReadString('\n'); line != "hello\n" {
			t.Errorf("%q, %v", line, err)
		}
	}
	if first.received() != "GET, GET" || second.received() != "GET, GET" {
		t.Errorf("the targets have %s and %s", first.received(), second.received())
	}
	for _, c := range conns {
		c.Close()
	}
}
