package http1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strings"
	"testing"
	"time"
)

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// TestReuse counts the connections of three requests.
func TestReuse(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		method string
		want   int32
	}{
		"length":       {ok, "GET", 1},
		"no body":      {"HTTP/1.1 204 No Content\r\n\r\n", "GET", 1},
		"not modified": {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "GET", 1},
		"HEAD":         {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", 1},
		"chunked":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "GET", 1},
		"a trailer": {"HTTP/1.1 200 OK\r\nTrailer: A\r\nTransfer-Encoding: chunked\r\n\r\n" +
			"2\r\nok\r\n0\r\nA: b\r\n\r\n", "GET", 1},
		"POST":                 {ok, "POST", 1},
		"1xx before":           {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok, "GET", 1},
		"close":                {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "GET", 3},
		"until close":          {"HTTP/1.1 200 OK\r\nX: close\r\n\r\nok", "GET", 3},
		"HTTP/1.0":             {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET", 3},
		"bytes after the body": {ok + "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", "GET", 3},
		"a body of HEAD":       {ok, "HEAD", 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, answering(c.answer))
			client := s.client(t, nil)
			for range 3 {
				var body io.Reader
				if c.method == "POST" {
					body = strings.NewReader("hello")
				}
				res, err := client.RoundTrip(request(t.Context(), c.method, body))
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || strings.Contains(string(got), "forged") {
					t.Fatalf("%q, %v", got, err)
				}
			}
			if n := s.connections.Load(); n != c.want {
				t.Errorf("%d connections, expected %d", n, c.want)
			}
		})
	}
}

// TestIdleConnectionsThatSpeak checks that a connection on which bytes or an end came while it was idle isn't used again: the bytes would
// be the answer to another user's request.
func TestIdleConnectionsThatSpeak(t *testing.T) {
	for _, more := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged", "x", ""} {
		spoken := make(chan struct{})
		s := serve(t, func(n int, c net.Conn) {
			in := bufio.NewReader(c)
			http.ReadRequest(in)
			io.WriteString(c, ok)
			if n == 1 {
				time.Sleep(20 * time.Millisecond) // after the client has put the connection into its pool
				io.WriteString(c, more)
				if more == "" {
					c.Close()
				}
				close(spoken)
			}
			http.ReadRequest(in)
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond")
		})
		client := s.client(t, nil)
		get(t, client)
		<-spoken
		time.Sleep(20 * time.Millisecond) // for the bytes to arrive
		if _, body, err := get(t, client); body != "ok" || err != nil || s.connections.Load() != 2 {
			t.Errorf("after %q: %q, %v on connection %d", more, body, err, s.connections.Load())
		}
	}
}

// TestLateClose closes the body of a response that was read to its end, while the connection serves the next request.
func TestLateClose(t *testing.T) {
	half := make(chan struct{})
	s := serve(t, func(_ int, c net.Conn) {
		in := bufio.NewReader(c)
		http.ReadRequest(in)
		io.WriteString(c, ok)
		http.ReadRequest(in)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nse")
		<-half
		io.WriteString(c, "co")
		io.ReadAll(in)
	})
	client := s.client(t, nil)
	first, err := client.RoundTrip(request(t.Context(), "GET", nil))
	if err != nil {
		t.Fatal(err)
	}
	io.ReadAll(first.Body)
	second, err := client.RoundTrip(request(t.Context(), "GET", nil))
	if err != nil {
		t.Fatal(err)
	}
	first.Body.Close()
	close(half)
	if got, err := io.ReadAll(second.Body); string(got) != "seco" || err != nil || s.connections.Load() != 1 {
		t.Errorf("%q, %v, %d connections", got, err, s.connections.Load())
	}
}

// TestAttempt checks what an attempt says of itself, that a fresh one leaves pooled connections alone, and that a failed one isn't
// repeated.
func TestAttempt(t *testing.T) {
	s := serve(t, func(_ int, c net.Conn) {
		in := bufio.NewReader(c)
		http.ReadRequest(in)
		io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		http.ReadRequest(in)
	})
	client := s.client(t, nil)
	attempt := func(fresh bool) (Outcome, bool) {
		_, o, err := client.Attempt(request(t.Context(), "GET", nil), fresh)
		return o, err == nil
	}
	for n, c := range []struct {
		fresh, answered bool
		want            Outcome
		connections     int32
	}{
		{false, true, Outcome{true, false, true}, 1},
		{true, true, Outcome{true, false, true}, 2},
		{false, false, Outcome{true, true, false}, 2},
		{false, false, Outcome{true, true, false}, 2},
		{false, true, Outcome{true, false, true}, 3},
	} {
		if got, answered := attempt(c.fresh); got != c.want || answered != c.answered || s.connections.Load() != c.connections {
			t.Errorf("attempt %d: %+v, answered %v, %d connections", n, got, answered, s.connections.Load())
		}
	}
	s.Close()
	attempt(false)
	if o, answered := attempt(false); o != (Outcome{}) || answered {
		t.Errorf("without a server: %+v, %v", o, answered)
	}
}

// TestTimeouts checks that a time-out isn't followed by another attempt, and that it is one of net.
func TestTimeouts(t *testing.T) {
	s := serve(t, func(_ int, c net.Conn) {
		in := bufio.NewReader(c)
		http.ReadRequest(in)
		io.WriteString(c, ok)
		io.ReadAll(in)
	})
	client := s.client(t, func(s *Settings) { s.HeaderTimeout = 50 * time.Millisecond })
	get(t, client)
	_, _, err := get(t, client)
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() || s.connections.Load() != 1 {
		t.Errorf("%v, %d connections", err, s.connections.Load())
	}
	r := request(t.Context(), "POST", strings.NewReader("x"))
	if _, err = s.client(t, func(s *Settings) { s.HeaderTimeout = 50 * time.Millisecond }).RoundTrip(r); err != nil {
		t.Errorf("a first request with a body: %v", err)
	}
}

// TestBodyHasNoHeaderTimeout checks that a slow body isn't cut by the limit for the header.
func TestBodyHasNoHeaderTimeout(t *testing.T) {
	s := serve(t, func(_ int, c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
		time.Sleep(150 * time.Millisecond)
		io.WriteString(c, "k")
	})
	for _, method := range []string{"GET", "POST"} {
		client := s.client(t, func(s *Settings) { s.HeaderTimeout = 50 * time.Millisecond })
		var body io.Reader
		if method == "POST" {
			body = strings.NewReader("x")
		}
		res, err := client.RoundTrip(request(t.Context(), method, body))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(res.Body); string(got) != "ok" || err != nil {
			t.Errorf("%s: %q, %v", method, got, err)
		}
	}
}

// TestCancel checks that a canceled request ends its wait and its connection, before the response and in its body.
func TestCancel(t *testing.T) {
	for _, inBody := range []bool{false, true} {
		closed, began := make(chan struct{}), make(chan struct{})
		s := serve(t, func(_ int, c net.Conn) {
			in := bufio.NewReader(c)
			http.ReadRequest(in)
			if inBody {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok")
			}
			close(began)
			io.ReadAll(in)
			close(closed)
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if !inBody {
			go func() { <-began; cancel() }()
		}
		res, err := s.client(t, nil).RoundTrip(request(ctx, "GET", nil))
		if inBody {
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(10*time.Millisecond, cancel)
			_, err = io.ReadAll(res.Body)
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("in the body %v: %v", inBody, err)
		}
		select {
		case <-closed:
		case <-time.After(5 * time.Second):
			t.Errorf("in the body %v: the connection stays open", inBody)
		}
	}
}

// TestDuplex reads a response while its request is still being sent.
func TestDuplex(t *testing.T) {
	s := serve(t, func(_ int, c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		echo := make([]byte, 16)
		for {
			n, err := r.Body.Read(echo)
			if n > 0 {
				fmt.Fprintf(c, "%x\r\n%s\r\n", n, echo[:n])
			}
			if err != nil {
				io.WriteString(c, "0\r\n\r\n")
				return
			}
		}
	})
	out, in := io.Pipe()
	res, err := s.client(t, nil).RoundTrip(request(t.Context(), "POST", out))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for _, word := range []string{"one", "two"} {
		io.WriteString(in, word)
		got := make([]byte, 3)
		if _, err := io.ReadFull(res.Body, got); string(got) != word || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	}
	in.Close()
	if rest, err := io.ReadAll(res.Body); len(rest) > 0 || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

// TestEarlyRefusal gets a refusal before the end of its request's body. The rest isn't sent, and the connection isn't used again.
func TestEarlyRefusal(t *testing.T) {
	s := serve(t, func(_ int, c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno\n")
		io.Copy(io.Discard, c)
	})
	client := s.client(t, nil)
	for range 2 {
		out, in := io.Pipe()
		res, err := client.RoundTrip(request(t.Context(), "POST", out))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 413 || string(got) != "no\n" || err != nil {
			t.Errorf("%d %q, %v", res.StatusCode, got, err)
		}
		in.Close()
	}
	if n := s.connections.Load(); n != 2 {
		t.Errorf("%d connections", n)
	}
}

// TestTrailersOfRequests sends a trailer.
func TestTrailersOfRequests(t *testing.T) {
	got := make(chan string, 1)
	s := serve(t, func(_ int, c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		io.ReadAll(r.Body)
		got <- r.Trailer.Get("Sum")
		io.WriteString(c, ok)
	})
	r := request(t.Context(), "POST", io.MultiReader(strings.NewReader("x")))
	r.Trailer = http.Header{"Sum": {"1"}}
	if _, err := s.client(t, nil).RoundTrip(r); err != nil {
		t.Fatal(err)
	}
	if sum := <-got; sum != "1" {
		t.Errorf("the trailer is %q", sum)
	}
}

// TestInformational reports 1xx responses, and bounds their number by their bytes.
func TestInformational(t *testing.T) {
	const hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
	s := serve(t, answering(strings.Repeat(hints, 20)+ok))
	seen := 0
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if code != 103 || h.Get("Link") == "" {
			t.Errorf("%d %v", code, h)
		}
		seen++
		return nil
	}}
	r := request(httptrace.WithClientTrace(t.Context(), trace), "GET", nil)
	if res, err := s.client(t, nil).RoundTrip(r); err != nil || res.StatusCode != 200 || seen != 20 {
		t.Errorf("%v, %v, %d informational responses", res, err, seen)
	}
	_, err := s.client(t, func(s *Settings) { s.MaxHeader = 10 * len(hints) }).RoundTrip(r)
	if !errors.Is(err, errTooMuch) {
		t.Errorf("with a smaller limit: %v", err)
	}
}

// TestIdleTimeout checks that idle connections are closed, and that Close closes them at once.
func TestIdleTimeout(t *testing.T) {
	ended := make(chan struct{}, 2)
	s := serve(t, func(_ int, c net.Conn) {
		answering(ok)(1, c)
		ended <- struct{}{}
	})
	await := func(what string) {
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Errorf("%s: the connection stays open", what)
		}
	}
	get(t, s.client(t, func(s *Settings) { s.IdleTimeout = 20 * time.Millisecond }))
	await("after the timeout")
	c := s.client(t, nil)
	get(t, c)
	c.Close()
	await("after Close")
	if _, _, err := get(t, c); err != nil {
		t.Errorf("a request after Close: %v", err)
	}
	await("of a request after Close")
}

// TestNoServer returns the error of the dial.
func TestNoServer(t *testing.T) {
	s := serve(t, nil)
	s.Close()
	_, _, err := get(t, s.client(t, nil))
	if op := new(net.OpError); !errors.As(err, &op) || op.Op != "dial" || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
