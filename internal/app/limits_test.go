package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/proxy"
)

// limited runs a gate with the limits in front of an upstream. It returns the gate's address and a function that stops the gate.
func limited(t *testing.T, limits string, upstream http.Handler) (address string, stop func() error) {
	t.Helper()
	back := httptest.NewServer(upstream)
	name := filepath.Join(t.TempDir(), "gate.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:0\nadmin: {listen: off}\nlimits: {%s}\n"+
		"routes: [{route: {upstream: %q}, rules: [{auth: off}]}]\n", limits, back.URL)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log output
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, Options{Config: config.FromFile(name), Log: &log}) }()
	ended := false
	stop = func() error {
		if ended {
			return nil
		}
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		stop()
		back.CloseClientConnections()
		back.Close()
	})
	return log.await(t, `"for":"clients","address":"([^"]+)"`), stop
}

// send opens a connection and sends a text. The connection has a deadline of 5 s, which is shorter than the default of each limit.
func send(t *testing.T, address, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReadHeaderTimeout(t *testing.T) {
	address, _ := limited(t, "read_header_timeout: 100ms", http.NotFoundHandler())
	if _, err := io.ReadAll(send(t, address, "GET / HTTP/1.1\r\nHost: a")); err != nil {
		t.Errorf("a connection with half a header stays open: %v", err)
	}
}

func TestIdleTimeout(t *testing.T) {
	address, _ := limited(t, "idle_timeout: 100ms", http.NotFoundHandler())
	answer, err := io.ReadAll(send(t, address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 404 ") {
		t.Errorf("an idle connection isn't closed: %q, %v", answer, err)
	}
}

func TestMaxHeaderBytes(t *testing.T) {
	address, _ := limited(t, "max_header_bytes: 4096", http.NotFoundHandler())
	c := send(t, address, "GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 16<<10)+"\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("16 KiB of headers: %v, %v", res, err)
	}
}

// TestDrainTimeout checks that a request in flight delays the stop by drain_timeout and no longer.
func TestDrainTimeout(t *testing.T) {
	asked := make(chan struct{})
	address, stop := limited(t, "drain_timeout: 100ms", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	}))
	send(t, address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	<-asked
	begin := time.Now()
	if err := stop(); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) > 5*time.Second {
		t.Errorf("it ended after %v with %v", time.Since(begin), err)
	}
}

func TestTimeoutsOfClients(t *testing.T) {
	file := &config.File{Limits: config.Limits{BodyTimeout: time.Second, AnswerTimeout: time.Minute}}
	if got := timeouts(file); got != (proxy.Timeouts{Body: time.Second, Answer: time.Minute}) {
		t.Errorf("got %+v", got)
	}
}
