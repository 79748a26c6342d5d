package proxy

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
)

// TestEarlyHints checks that a 103 has no cookies, neither the gate's nor the upstream's, and that the final response has the gate's.
func TestEarlyHints(t *testing.T) {
	front, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.Header().Set("Set-Cookie", "session_x=fixed; Path=/")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "body")
	}, nil)
	var early http.Header
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{
		Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
			early = http.Header(h).Clone()
			return nil
		},
	})
	r, _ := http.NewRequestWithContext(ctx, "GET", front.URL, nil)
	r.Header.Set("Authorization", "Bearer good")
	res, err := front.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if early.Get("Link") == "" || early.Get("Set-Cookie") != "" || !strings.HasPrefix(res.Header.Get("Set-Cookie"), "session_x=renewed") {
		t.Errorf("103 with %v, then %v", early, res.Header)
	}
}

func TestUpgradeStreamsBothWays(t *testing.T) {
	front, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		c, b, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := b.ReadString('\n')
		io.WriteString(c, strings.ToUpper(line))
	}, nil)
	c, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer good\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	b := bufio.NewReader(c)
	res, err := http.ReadResponse(b, nil)
	if err != nil || res.StatusCode != 101 || !strings.HasPrefix(res.Header.Get("Set-Cookie"), "session_x=renewed") {
		t.Fatalf("%+v, %v", res, err)
	}
	io.WriteString(c, "hello\n")
	if line, err := b.ReadString('\n'); line != "HELLO\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

// TestNoUpgradeLeadsToHTTP checks that the upstream can't switch to another version of HTTP, over which requests would bypass the gate.
func TestNoUpgradeLeadsToHTTP(t *testing.T) {
	front, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", r.Header.Get("Upgrade"))
			w.WriteHeader(http.StatusSwitchingProtocols)
			return
		}
		r.Header.Write(w)
	}, nil)
	for _, protocol := range []string{"h2c", "H2C", "h2", "HTTP/2.0", "TLS/1.2", "websocket, h2c", "h2c,websocket"} {
		for _, connection := range []string{"Upgrade", "Upgrade, HTTP2-Settings"} {
			res := raw(t, front, "GET /off HTTP/1.1\r\nHost: gate\r\nConnection: "+connection+"\r\nUpgrade: "+protocol+
				"\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")
			body, err := io.ReadAll(res.Body)
			if res.StatusCode != http.StatusOK || err != nil || strings.Contains(strings.ToLower(string(body)), "http2") {
				t.Errorf("Upgrade: %s, Connection: %s: %d, the upstream got %q, %v", protocol, connection, res.StatusCode, body, err)
			}
		}
	}
}

func TestEventsAreFlushedAndTrailersPass(t *testing.T) {
	next := make(chan struct{})
	front, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "data: 1\n\n")
		w.(http.Flusher).Flush()
		<-next
		io.WriteString(w, "data: 2\n\n")
		w.Header().Set("X-Sum", "2")
	}, nil)
	res, err := front.Client().Get(front.URL + "/off")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b := bufio.NewReader(res.Body)
	if line, err := b.ReadString('\n'); line != "data: 1\n" {
		t.Fatalf("the first event: %q, %v", line, err)
	}
	close(next)
	if rest, err := io.ReadAll(b); err != nil || string(rest) != "\ndata: 2\n\n" || res.Trailer.Get("X-Sum") != "2" {
		t.Errorf("then %q, %v, trailer %v", rest, err, res.Trailer)
	}
}

// TestTrailersOfRequestsAreStripped checks that the names of headers that the gate sets are removed from a request's trailers, too.
func TestTrailersOfRequestsAreStripped(t *testing.T) {
	arrived := make(chan http.Header, 1)
	front, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		arrived <- r.Trailer
	}, nil)
	raw(t, front, "POST / HTTP/1.1\r\nHost: gate\r\nAuthorization: Bearer good\r\n"+
		"Transfer-Encoding: chunked\r\nTrailer: X-User, X-Sum\r\n\r\n"+
		"1\r\na\r\n0\r\nX-User: admin\r\nX-Sum: 1\r\n\r\n")
	if trailer := <-arrived; trailer.Get("X-User") != "" {
		t.Errorf("the upstream got the trailers %v", trailer)
	}
}

func TestLargeBodiesStreamOverHTTP2(t *testing.T) {
	const size = 32 << 20
	front, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	}, nil)
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	defer tr.CloseIdleConnections()
	r, _ := http.NewRequest("POST", front.URL+"/off", io.LimitReader(zeros{}, size))
	res, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if n != size || err != nil || res.ProtoMajor != 2 {
		t.Errorf("%d bytes over %s, %v", n, res.Proto, err)
	}
}
