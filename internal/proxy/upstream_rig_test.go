package proxy

import (
	"bufio"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/provider"
	"sallyport/internal/testlog"
)

// startTargets starts a gate in front of several targets. Requests below /off need no credential.
func startTargets(t *testing.T, s UpstreamSettings, change func(*Route, *Config), targets ...string) (*httptest.Server, *testlog.Buffer) {
	t.Helper()
	s.Reuse = true
	return startSettings(t, s, change, targets...)
}

// startSettings is startTargets with reuse as it is in the settings.
func startSettings(
	t *testing.T, s UpstreamSettings, change func(*Route, *Config), targets ...string,
) (*httptest.Server, *testlog.Buffer) {
	t.Helper()
	for _, address := range targets {
		s.Targets = append(s.Targets, TargetSettings{URL: address, Weight: 1})
	}
	s.ConnectTimeout, s.IdleTimeout = time.Second, time.Second
	if s.ResponseHeaderTimeout == 0 {
		s.ResponseHeaderTimeout = 5 * time.Second
	}
	up, err := NewUpstream(s)
	if err != nil {
		t.Fatal(err)
	}
	log := &testlog.Buffer{}
	up.Run(slog.New(slog.NewJSONHandler(log, nil)))
	t.Cleanup(func() { up.Close() })
	front, _ := start(t, nil, func(r *Route, c *Config) {
		if r.Upstream = up; change != nil {
			change(r, c)
		}
	})
	return front, log
}

// named starts a server that answers with its name and the Host of the request.
func named(t *testing.T, name string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(answerer(name))
	t.Cleanup(server.Close)
	return server
}

func answerer(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, name+" "+r.Host) }
}

// A scripted is a server that runs a script for each connection, and notes the requests that it has received.
type scripted struct {
	net.Listener
	script func(s *scripted, c net.Conn, in *bufio.Reader)

	mu       sync.Mutex
	requests []string // method and body
	proofs   []string // of DPoP
	closing  int      // requests with Connection: close
}

// serveScript starts a server, with TLS if secure is true. A script ends its connection by returning.
func serveScript(t *testing.T, secure bool, script func(s *scripted, c net.Conn, in *bufio.Reader)) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if secure {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{provider.SelfSignedCert("target")}})
	}
	t.Cleanup(func() { l.Close() })
	s := &scripted{Listener: l, script: script}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				s.script(s, c, bufio.NewReader(c))
			}()
		}
	}()
	return s
}

// receive reads the next request. It returns false if the connection ends.
func (s *scripted) receive(in *bufio.Reader) bool {
	r, err := http.ReadRequest(in)
	if err != nil {
		return false
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, strings.TrimSpace(r.Method+" "+string(body)))
	if r.Close {
		s.closing++
	}
	s.proofs = append(s.proofs, r.Header["Dpop"]...)
	return true
}

// all returns the requests so far.
func (s *scripted) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// received returns the requests so far as one text.
func (s *scripted) received() string { return strings.Join(s.all(), ", ") }

// answers answers every request.
func answers(s *scripted, c net.Conn, in *bufio.Reader) {
	for s.receive(in) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
}

// answersOnce answers the first request of a connection, and ends the connection with the second one.
func answersOnce(s *scripted, c net.Conn, in *bufio.Reader) {
	if s.receive(in) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		s.receive(in)
	}
}

// endsAfter ends a connection when it has received a request and sent a text.
func endsAfter(text string) func(*scripted, net.Conn, *bufio.Reader) {
	return func(s *scripted, c net.Conn, in *bufio.Reader) {
		s.receive(in)
		io.WriteString(c, text)
	}
}

// silent answers no request.
func silent(s *scripted, c net.Conn, in *bufio.Reader) {
	for s.receive(in) {
	}
}

// refuses ends connections at once.
func refuses(*scripted, net.Conn, *bufio.Reader) {}

// ask sends a request through the gate, and returns the status and the body of the response.
func ask(t *testing.T, front *httptest.Server, method, path, body string, header ...string) (int, string) {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequest(method, front.URL+path, content)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := front.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(got)
}
