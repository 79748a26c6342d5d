package proxy

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/auth"
)

// A watchedLogin is a login that the test ends.
type watchedLogin struct {
	watches, stops atomic.Int64
	used           chan func() bool
	ended          chan func()
}

func (l *watchedLogin) Watch(used func() bool, ended func()) (stop func()) {
	l.watches.Add(1)
	l.used <- used
	l.ended <- ended
	return func() { l.stops.Add(1) }
}

// watchedServer starts a gate whose requests are of a login that can end.
func watchedServer(t *testing.T, upstream http.HandlerFunc) (*httptest.Server, *watchedLogin, *bytes.Buffer) {
	l := &watchedLogin{used: make(chan func() bool, 1), ended: make(chan func(), 1)}
	front, log := start(t, upstream, func(r *Route, _ *Config) {
		r.Chain = auth.Chain{{Flow: flowFunc(func(*auth.Request) (*auth.Result, error) {
			return &auth.Result{Identity: &auth.Identity{Subject: "john"}, Watcher: l}, nil
		})}}
	})
	return front, l, log
}

const getRequest = "GET / HTTP/1.1\r\nHost: gate\r\n\r\n"

func TestShortRequestsStartNoWatch(t *testing.T) {
	front, l, _ := watchedServer(t, echo)
	for range 50 {
		get(t, front, "/")
	}
	front.Close()
	if n := l.watches.Load(); n != 0 {
		t.Errorf("%d of 50 short requests are watched", n)
	}
}

func TestAStreamIsWatchedUntilItsEnd(t *testing.T) {
	next := make(chan struct{})
	front, l, log := watchedServer(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "a\n")
		http.NewResponseController(w).Flush()
		<-next
		io.WriteString(w, "b\n")
		http.NewResponseController(w).Flush()
		<-next
	})
	body := bufio.NewReader(raw(t, front, getRequest).Body)
	body.ReadString('\n')
	used, ended := <-l.used, <-l.ended
	if !used() || used() {
		t.Error("the first bytes count once")
	}
	next <- struct{}{}
	body.ReadString('\n')
	if !used() {
		t.Error("further bytes aren't use")
	}
	close(next)
	if rest, err := io.ReadAll(body); len(rest) > 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
	front.Close()
	if strings.Contains(log.String(), "session_ended") || l.stops.Load() != 1 {
		t.Errorf("%d stops", l.stops.Load())
	}
	ended() // too late: it must do nothing
}

// A login ends before the upstream has answered, while a client doesn't read, and while it has sent a byte too many, which keeps net/http
// from noticing that the connection is closed.
func TestAnEndedLoginEndsAnyStream(t *testing.T) {
	for name, c := range map[string]struct {
		request  string
		upstream http.HandlerFunc
	}{
		"before the answer": {getRequest, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		"a client that doesn't read": {getRequest, func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.Write(make([]byte, 1<<20))
			}
		}},
		"a pipelined request": {getRequest + getRequest, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "a\n")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
		"a body that goes on": {
			"POST / HTTP/1.1\r\nHost: gate\r\nContent-Length: 10\r\n\r\na",
			func(w http.ResponseWriter, r *http.Request) { io.ReadAll(r.Body) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			left := make(chan struct{}, 2)
			server, l, _ := watchedServer(t, func(w http.ResponseWriter, r *http.Request) {
				c.upstream(w, r)
				left <- struct{}{}
			})
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, c.request)
			(<-l.ended)()
			select {
			case <-left:
			case <-time.After(10 * time.Second):
				t.Fatal("the upstream's side is still open")
			}
			conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			if n, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("the connection is open, after %d bytes: %v", n, err)
			}
		})
	}
}
