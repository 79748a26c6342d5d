package http1

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A server runs a script for each connection.
type server struct {
	net.Listener
	connections atomic.Int32
}

// serve starts a server. The script gets each connection, with its number from 1, and ends it by returning.
func serve(t testing.TB, script func(n int, c net.Conn)) *server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{Listener: l}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := int(s.connections.Add(1))
			go func() {
				defer c.Close()
				script(n, c)
			}()
		}
	}()
	return s
}

// client returns a client of the server.
func (s *server) client(t testing.TB, change func(*Settings)) *Client {
	settings := Settings{
		Address: s.Addr().String(), Dial: (&net.Dialer{}).DialContext, HeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		MaxIdle: 4, MaxHeader: 64 << 10,
	}
	if change != nil {
		change(&settings)
	}
	c := New(settings)
	t.Cleanup(func() { c.Close() })
	return c
}

// RoundTrip sends a request once.
func (c *Client) RoundTrip(r *http.Request) (*http.Response, error) {
	res, _, err := c.Attempt(r, false)
	return res, err
}

// request returns a request to any server.
func request(ctx context.Context, method string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(ctx, method, "http://upstream/path", body)
	if err != nil {
		panic(err)
	}
	return r
}

// get sends a GET, and returns the status and the body.
func get(t testing.TB, c *Client) (int, string, error) {
	t.Helper()
	res, err := c.RoundTrip(request(t.Context(), "GET", nil))
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// answering answers each request of a connection with a text.
func answering(answer string) func(int, net.Conn) {
	return func(_ int, c net.Conn) {
		in := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			io.Copy(io.Discard, r.Body)
			if _, err := io.WriteString(c, answer); err != nil || strings.Contains(answer, "close") {
				return
			}
		}
	}
}
