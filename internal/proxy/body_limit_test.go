package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestBodyLimit checks that a body over body_limit is 413, with and without a known length and over every protocol to the upstream: at
// once if its length is known, else as soon as it is too long, and then the upstream's connection isn't used again.
func TestBodyLimit(t *testing.T) {
	var whole atomic.Int32 // bodies that the upstream has read to their end
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if r.Method == "POST" && err == nil {
			whole.Add(1)
		}
		io.WriteString(w, string(body)+r.RemoteAddr)
	})
	plain, secure := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	defer plain.Close()
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	http2 := h2c()
	defer http2.CloseIdleConnections()
	for name, s := range map[string]UpstreamSettings{
		"HTTP/1.1": {URL: plain.URL}, "HTTP/2": {URL: secure.URL}, "HTTP/1.1 over TLS": {URL: secure.URL, Protocol: "http1"},
	} {
		s.ConnectTimeout, s.ResponseHeaderTimeout, s.IdleTimeout, s.Reuse = time.Second, 5*time.Second, time.Minute, true
		up, err := NewUpstream(s)
		if err != nil {
			t.Fatal(err)
		}
		front, _ := start(t, nil, func(r *Route, _ *Config) { r.Upstream, r.BodyLimit = up, 1000 })
		_, before := get(t, front, "/off")
		for _, c := range []struct {
			length  int
			chunked bool
			http2   bool // of the client
			status  int
		}{
			{1000, false, false, 200}, {1000, true, false, 200}, {1001, false, false, 413}, {1 << 20, true, false, 413},
			{1001, true, false, 413}, {1001, false, true, 413}, {1001, true, true, 413}, {1000, true, true, 200},
		} {
			var body io.Reader = strings.NewReader(strings.Repeat("x", c.length))
			if c.chunked {
				body = io.MultiReader(body)
			}
			client := &http.Client{Transport: map[bool]http.RoundTripper{true: http2, false: front.Client().Transport}[c.http2]}
			res, err := client.Post(front.URL+"/off", "text/plain", body)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if res.StatusCode != c.status {
				t.Errorf("%s: %d bytes, chunked %v: %s", name, c.length, c.chunked, res.Status)
			}
		}
		if _, after := get(t, front, "/off"); name != "HTTP/2" && after == before {
			t.Errorf("%s: the connection is used again", name)
		}
		up.Close()
	}
	plain.Close() // waits for the handlers
	secure.Close()
	if whole.Load() != 9 {
		t.Errorf("the upstream has received %d whole bodies, expected the 9 that are short enough", whole.Load())
	}
}

// endless is a body without an end that counts its bytes.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) {
	clear(p)
	e.read.Add(int64(len(p)))
	return len(p), nil
}

// TestBodyLimitBeforeAuthentication checks that a body whose length says that it is too long is refused before a flow runs, and that the
// gate doesn't read it.
func TestBodyLimitBeforeAuthentication(t *testing.T) {
	front, _ := start(t, echo, func(r *Route, _ *Config) { r.BodyLimit = 1000 })
	body := &endless{}
	r, _ := http.NewRequest("POST", front.URL+"/", io.LimitReader(body, 100<<20))
	r.ContentLength = 100 << 20
	res, err := front.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge || body.read.Load() > 50<<20 {
		t.Errorf("%s after %d bytes", res.Status, body.read.Load())
	}
	if res, _ := front.Client().Post(front.URL+"/", "text/plain", strings.NewReader("short")); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("a short body: %s", res.Status)
	}
}
