package proxy

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

// reading adds a flow that reads the request's form, as a flow with credentials in the body does.
func reading(route *Route, c *Config) {
	c.Timeouts = Timeouts{Body: 200 * time.Millisecond, Answer: 300 * time.Millisecond}
	route.Chain = append(auth.Chain{{Flow: flowFunc(func(r *auth.Request) (*auth.Result, error) {
		if r.Path != "/form" && r.Path != "/careless" {
			return nil, auth.ErrNoCredential
		}
		form, err := r.Form(1 << 10)
		switch {
		case err != nil && r.Path == "/form":
			return nil, err
		case err == nil && form.Values.Get("a") == "":
			return nil, auth.ErrNoCredential
		}
		return &auth.Result{Identity: &auth.Identity{Subject: "john"}}, nil
	})}}, route.Chain...)
}

// dial connects to a server. The connection has a deadline of 5 s, and is closed at the end of the test.
func dial(t *testing.T, front *httptest.Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Second))
	return c, bufio.NewReader(c)
}

const (
	sized   = "Content-Length: 1000\r\n\r\na=bcd"
	chunked = "Transfer-Encoding: chunked\r\n\r\n1\r\na"
	formed  = "Content-Type: application/x-www-form-urlencoded\r\n"
)

// TestRefusalsDoNotWaitForTheBody checks that a client which stalls in the middle of a body gets its refusal, and then the connection ends.
func TestRefusalsDoNotWaitForTheBody(t *testing.T) {
	front, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close") // otherwise net/http waits for the body here
		w.WriteHeader(http.StatusTeapot)
	}, reading)
	for _, c := range []struct {
		start  string
		status int
	}{
		{"POST / HTTP/1.1\r\nHost: h\r\n", 401},
		{"GET / HTTP/1.1\r\nHost: h\r\n", 401},
		{"POST / HTTP/1.0\r\nConnection: keep-alive\r\nHost: h\r\n", 401},
		{"POST / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer garbage\r\n" + formed, 401},
		{"PUT /admin HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer good\r\n", 403},
		{"POST /%2e%2e HTTP/1.1\r\nHost: h\r\n", 400},
		{"TRACE / HTTP/1.1\r\nHost: h\r\n", 400},
		{"POST /off HTTP/1.1\r\nHost: h\r\n", 418}, // of the upstream, which reads nothing
		{"POST /form HTTP/1.1\r\nHost: h\r\n" + formed, 408},
		{"POST /careless HTTP/1.1\r\nHost: h\r\n" + formed, 408},
	} {
		for _, body := range []string{sized, chunked} {
			if body == chunked && strings.Contains(c.start, "HTTP/1.0") {
				continue
			}
			t.Run(fmt.Sprintf("%.30q %.8s", c.start, body), func(t *testing.T) {
				t.Parallel()
				conn, b := dial(t, front)
				io.WriteString(conn, c.start+body)
				res, err := http.ReadResponse(b, nil)
				if err != nil {
					t.Fatalf("no answer: %v", err)
				}
				if _, err := io.ReadAll(res.Body); err != nil || res.StatusCode != c.status || !res.Close {
					t.Errorf("%d, closing %v, %v", res.StatusCode, res.Close, err)
				}
				answered := time.Now()
				if _, err := b.ReadByte(); err != io.EOF {
					t.Errorf("after the answer: %v, expected the end of the connection", err)
				}
				for err == nil { // until the reset
					_, err = conn.Write([]byte("x"))
					time.Sleep(time.Millisecond)
				}
				if waited := time.Since(answered); waited < 250*time.Millisecond {
					t.Errorf("the connection was reset %v after the answer", waited)
				}
			})
		}
	}
}

// TestRefusalsKeepTheConnection checks that a connection stays open after the refusal of a request without a body, with a body that was
// read, or with a body that arrived with its headers.
func TestRefusalsKeepTheConnection(t *testing.T) {
	front, _ := start(t, echo, reading)
	conn, b := dial(t, front)
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
		"POST /form HTTP/1.1\r\nHost: h\r\n" + formed + "Content-Length: 3\r\n\r\nb=c",
		"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		io.WriteString(conn, request)
		res, err := http.ReadResponse(b, nil)
		if err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		io.Copy(io.Discard, res.Body)
		if res.StatusCode != 401 || res.Close {
			t.Errorf("%q: %d, closing %v", request, res.StatusCode, res.Close)
		}
	}
}

// TestRefusalsNeverSayContinue checks that a refused request with Expect: 100-continue gets no 100 (Continue).
func TestRefusalsNeverSayContinue(t *testing.T) {
	front, _ := start(t, echo, reading)
	for _, head := range []string{"POST / HTTP/1.1\r\n", "POST /form HTTP/1.1\r\n" + formed} {
		conn, b := dial(t, front)
		io.WriteString(conn, head+"Host: h\r\nExpect: 100-continue\r\nContent-Length: 100000000\r\n\r\n")
		if res, err := http.ReadResponse(b, nil); err != nil || res.StatusCode < 400 || !res.Close {
			t.Errorf("%q: %v, %v", head, res, err)
		}
	}
}

// TestALargeRefusedUpload checks that a client gets its refusal while it still sends the body, and that the gate doesn't read that.
func TestALargeRefusedUpload(t *testing.T) {
	front, _ := start(t, echo, reading)
	conn, b := dial(t, front)
	go func() {
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", 100<<20)
		io.Copy(conn, io.LimitReader(zeros{}, 100<<20))
	}()
	res, err := http.ReadResponse(b, nil)
	if err != nil || res.StatusCode != 401 {
		t.Fatalf("%v, %v", res, err)
	}
	if _, err := io.ReadAll(res.Body); err != nil {
		t.Error(err)
	}
}

// trickle is a body of n bytes, one every 50 ms. It is endless if n is negative.
type trickle struct{ n int }

func (r *trickle) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	r.n--
	time.Sleep(50 * time.Millisecond) // the test is about a slow client
	p[0] = 'a'
	return 1, nil
}

// TestSlowBodies checks that a forwarded body has no timeout, and that a body which the gate reads has one for the whole body.
func TestSlowBodies(t *testing.T) {
	front, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}, reading)
	for _, c := range []struct {
		path   string
		n      int
		status int
	}{
		{"/off", 30, 200},  // takes 1.5 s; the timeout would be 1.2 s if the gate read it
		{"/form", 10, 401}, // takes 0.5 s; the timeout of the next byte is 0.2 s
		{"/form", -1, 408},
	} {
		r, _ := http.NewRequest("POST", front.URL+c.path, &trickle{c.n})
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := front.Client().Do(r)
		if err != nil {
			t.Errorf("%s, %d bytes: %v", c.path, c.n, err)
			continue
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != c.status || c.path == "/off" && string(body) != fmt.Sprint(c.n) {
			t.Errorf("%s, %d bytes: %d %s", c.path, c.n, res.StatusCode, body)
		}
	}
}

// TestStalledBodiesOverHTTP2 checks that a stalled body ends its stream only, and no other stream of the connection.
func TestStalledBodiesOverHTTP2(t *testing.T) {
	front, _ := start(t, echo, reading)
	for _, transport := range []*http.Transport{h2c(), {ForceAttemptHTTP2: true}} {
		url := front.URL
		if transport.ForceAttemptHTTP2 {
			secure := httptest.NewUnstartedServer(front.Config.Handler)
			secure.EnableHTTP2 = true
			secure.StartTLS()
			defer secure.Close()
			url = secure.URL
			transport.TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig
		}
		transport.MaxConnsPerHost = 1
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
		ask := func(path string, body io.Reader) (*http.Response, error) {
			r, _ := http.NewRequest("POST", url+path, body)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			return client.Do(r)
		}
		upload, send := io.Pipe()
		done := make(chan error, 1)
		go func() {
			res, err := ask("/off", upload)
			if err == nil && res.StatusCode != 200 {
				err = errors.New(res.Status)
			}
			done <- err
		}()
		send.Write([]byte("begun"))
		for path, status := range map[string]int{"/": 401, "/form": 408, "/careless": 408} {
			stalled, begin := io.Pipe()
			go begin.Write([]byte("a"))
			res, err := ask(path, stalled)
			if err != nil || res.StatusCode != status || res.ProtoMajor != 2 {
				t.Errorf("%s: %v, %v", path, res, err)
			}
			begin.Close()
		}
		send.Close()
		if err := <-done; err != nil {
			t.Errorf("the upload beside them: %v", err)
		}
	}
}

func h2c() *http.Transport {
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	return tr
}

// TestAnswersThatNobodyReads checks that the gate closes the connection of a client that sends requests and never reads the answers.
func TestAnswersThatNobodyReads(t *testing.T) {
	gate, _ := start(t, echo, reading)
	front := httptest.NewUnstartedServer(gate.Config.Handler)
	front.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		c.(*net.TCPConn).SetWriteBuffer(4 << 10)
		return ctx
	}
	front.Start()
	defer front.Close()
	conn, _ := dial(t, front)
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	request := []byte(strings.Repeat("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 100))
	for {
		_, err := conn.Write(request)
		if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
			t.Fatal("the gate still waits for its answers to be read")
		}
		if err != nil {
			return
		}
	}
}
