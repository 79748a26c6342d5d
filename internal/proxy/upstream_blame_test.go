package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/balance"
)

// ejecting returns settings by which three failures eject a target.
func ejecting() (s UpstreamSettings) {
	s.MaxFails, s.EjectTime = 3, time.Minute
	return s
}

// sent sends bytes to a server on a connection of their own, and waits for its answer or its end.
func sent(t *testing.T, front *httptest.Server, text string) {
	t.Helper()
	c, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, text)
	http.ReadResponse(bufio.NewReader(c), nil)
}

// TestStrangersEjectNoTarget checks that requests which can't be sent, whose bodies don't arrive, or whose upgrade is refused aren't taken
// for failures of the targets.
func TestStrangersEjectNoTarget(t *testing.T) {
	impatient := func(_ *scripted, c net.Conn, in *bufio.Reader) {
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			if _, err := io.ReadAll(r.Body); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
		}
	}
	for name, c := range map[string]struct {
		overTLS bool
		target  func(*scripted, net.Conn, *bufio.Reader)
		request string
	}{
		"a bad trailer over TLS": {true, answers, "POST /off HTTP/1.1\r\nHost: x\r\n" +
			"Transfer-Encoding: chunked\r\nTrailer: a b\r\n\r\n1\r\nx\r\n0\r\n\r\n"},
		"a bad trailer of an upgrade": {false, answers, "POST /off HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n" +
			"Transfer-Encoding: chunked\r\nTrailer: a b\r\n\r\n1\r\nx\r\n0\r\n\r\n"},
		"a body that stalls":   {false, impatient, "POST /off HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx"},
		"an upgrade that ends": {false, endsAfter(""), "GET /off HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := serveScript(t, c.overTLS, c.target), serveScript(t, c.overTLS, c.target)
			scheme := map[bool]string{true: "https://", false: "http://"}[c.overTLS]
			front, log := startTargets(t, ejecting(), nil, scheme+a.Addr().String(), scheme+b.Addr().String())
			var all sync.WaitGroup
			for range 12 {
				all.Go(func() { sent(t, front, c.request) })
			}
			all.Wait()
			if strings.Contains(log.String(), "upstream_target_ejected") {
				t.Errorf("a target is ejected:\n%s", log)
			}
		})
	}
}

// TestTargetsThatEndConnections checks that a target is ejected that ends new connections after a whole request.
func TestTargetsThatEndConnections(t *testing.T) {
	a, b := serveScript(t, false, endsAfter("")), serveScript(t, false, endsAfter(""))
	s := ejecting()
	s.LoadBalancing = balance.RoundRobin
	front, log := startTargets(t, s, nil, "http://"+a.Addr().String(), "http://"+b.Addr().String())
	for range 8 {
		sent(t, front, "GET /off HTTP/1.1\r\nHost: x\r\n\r\n")
	}
	if !strings.Contains(log.String(), "upstream_target_ejected") {
		t.Errorf("no target is ejected:\n%s", log)
	}
}

// TestBodyLimitOfABodyThatWasRead checks that body_limit holds for a body that a flow has read, which has a length then, and that the
// greatest limit is none.
func TestBodyLimitOfABodyThatWasRead(t *testing.T) {
	for limit, want := range map[int64]int{1000: http.StatusRequestEntityTooLarge, 1<<63 - 1: http.StatusOK} {
		back := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
		defer back.Close()
		up, err := NewUpstream(UpstreamSettings{URL: back.URL, Reuse: true, ConnectTimeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		reads := flowFunc(func(q *auth.Request) (*auth.Result, error) {
			if limit == 1000 {
				if _, err := q.Form(64 << 10); err != nil {
					return nil, err
				}
			}
			return &auth.Result{Identity: &auth.Identity{Subject: "john", AccessToken: auth.Claims{"sub": "john"}}}, nil
		})
		front, _ := start(t, nil, func(r *Route, _ *Config) {
			r.Upstream, r.BodyLimit, r.Chain = up, limit, auth.Chain{{Flow: reads}}
		})
		form := io.MultiReader(strings.NewReader("a=" + strings.Repeat("x", 50_000))) // of unknown length
		res, err := http.Post(front.URL+"/x", "application/x-www-form-urlencoded", form)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("with the limit %d the answer is %d, expected %d", limit, res.StatusCode, want)
		}
	}
}
