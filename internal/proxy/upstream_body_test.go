package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A refusal is the way in which an HTTP/2 server refuses a request unprocessed, and when it does.
type refusal struct {
	after  func(received int, ended bool) bool
	refuse func(f *http2.Framer, stream uint32)
}

func goAway(f *http2.Framer, _ uint32)       { f.WriteGoAway(0, http2.ErrCodeNo, nil) }
func refuseStream(f *http2.Framer, s uint32) { f.WriteRSTStream(s, http2.ErrCodeRefusedStream) }

// refusing starts an HTTP/2 server that refuses the request of its first connection, and answers further requests with their body. requests
// counts the connections.
func refusing(t *testing.T, how refusal) (address string, requests *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	requests = new(atomic.Int32)
	further := &connections{Listener: l, conns: make(chan net.Conn)}
	echo := &http.Server{Handler: http.HandlerFunc(echoBody), Protocols: new(http.Protocols)}
	echo.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(func() { echo.Close() })
	go echo.Serve(further)
	go func() {
		defer close(further.conns)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if requests.Add(1) == 1 {
				go how.serve(c)
				continue
			}
			further.conns <- c
		}
	}()
	return l.Addr().String(), requests
}

// connections is a listener of connections that were accepted elsewhere.
type connections struct {
	net.Listener
	conns chan net.Conn
}

func (c *connections) Accept() (net.Conn, error) {
	if conn, open := <-c.conns; open {
		return conn, nil
	}
	return nil, net.ErrClosed
}

// echoBody answers with the request's body, and flushes after each read.
func echoBody(w http.ResponseWriter, r *http.Request) {
	p := make([]byte, 4<<10)
	for {
		n, err := r.Body.Read(p)
		w.Write(p[:n])
		http.NewResponseController(w).Flush()
		if err != nil {
			return
		}
	}
}

// serve reads a request's body until how.after is true, and refuses the request. A second request on the connection gets GOAWAY, so that
// the client sends it on another connection.
func (how refusal) serve(c net.Conn) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil {
		return
	}
	f := http2.NewFramer(c, c)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.WriteSettings()
	received, refused := 0, false
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			if refused {
				f.WriteGoAway(1, http2.ErrCodeNo, nil)
			}
		case *http2.DataFrame:
			n := uint32(len(frame.Data()))
			received += int(n)
			if n > 0 {
				f.WriteWindowUpdate(0, n)
				f.WriteWindowUpdate(frame.StreamID, n)
			}
			if !refused && how.after(received, frame.StreamEnded()) {
				refused = true
				how.refuse(f, frame.StreamID)
			}
		}
	}
}

// TestRefusedRequestsAreSentAgain checks that a request which the upstream refused unprocessed is sent again with its body, with and
// without a known length.
func TestRefusedRequestsAreSentAgain(t *testing.T) {
	whole := func(_ int, ended bool) bool { return ended }
	text := strings.Repeat("0123456789abcdef", maxReplayed/32)
	for name, refuse := range map[string]func(*http2.Framer, uint32){"GOAWAY": goAway, "REFUSED_STREAM": refuseStream} {
		for kind, body := range map[string]io.Reader{"known": strings.NewReader(text), "unknown": io.MultiReader(strings.NewReader(text))} {
			address, requests := refusing(t, refusal{whole, refuse})
			front := startUpstream(t, UpstreamSettings{URL: "h2c://" + address})
			res, err := front.Client().Post(front.URL+"/off", "text/plain", body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != http.StatusOK || string(got) != text || err != nil || requests.Load() != 2 {
				t.Errorf("%s, %s length: %d with %d bytes (%v) after %d connections",
					name, kind, res.StatusCode, len(got), err, requests.Load())
			}
		}
	}
}

// TestRefusedWhileTheClientWaits checks that a refused request is sent again while its body is incomplete and the client waits for the
// answer.
func TestRefusedWhileTheClientWaits(t *testing.T) {
	for name, refuse := range map[string]func(*http2.Framer, uint32){"GOAWAY": goAway, "REFUSED_STREAM": refuseStream} {
		address, _ := refusing(t, refusal{func(received int, _ bool) bool { return received > 0 }, refuse})
		front := startUpstream(t, UpstreamSettings{URL: "h2c://" + address})
		c, b := dial(t, front)
		io.WriteString(c, "POST /off HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n")
		res, err := http.ReadResponse(b, nil)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s: %+v, %v", name, res, err)
		}
		answer := bufio.NewReader(res.Body)
		first, _ := answer.ReadString('\n')
		io.WriteString(c, "7\r\nsecond\n\r\n0\r\n\r\n")
		if rest, err := io.ReadAll(answer); first != "first\n" || string(rest) != "second\n" || err != nil {
			t.Errorf("%s: got %q, then %q, %v", name, first, rest, err)
		}
	}
}

// TestRefusedTooLate checks that a request isn't sent again if the beginning of its body is no longer buffered.
func TestRefusedTooLate(t *testing.T) {
	address, requests := refusing(t, refusal{func(received int, _ bool) bool { return received > 4*maxReplayed }, goAway})
	front := startUpstream(t, UpstreamSettings{URL: "h2c://" + address})
	res, err := front.Client().Post(front.URL+"/off", "text/plain", io.LimitReader(zeros{}, 8*maxReplayed))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusBadGateway || requests.Load() != 1 {
		t.Errorf("%s after %d connections", res.Status, requests.Load())
	}
}

// TestKeptBodyIsBounded checks that at most maxReplayed bytes are buffered before the answer, and nothing after it.
func TestKeptBodyIsBounded(t *testing.T) {
	r, _ := http.NewRequest("POST", "http://upstream/", io.LimitReader(zeros{}, 10*maxReplayed))
	replayable(r, false)
	buffered, p := r.Body.(*bodyReader).body, make([]byte, 1<<10)
	for total := 0; ; {
		n, err := r.Body.Read(p)
		if total += n; err != nil {
			if total != 10*maxReplayed || err != io.EOF {
				t.Errorf("read %d bytes, %v", total, err)
			}
			break
		}
		if len(buffered.buffer) > maxReplayed {
			t.Fatalf("%d bytes are buffered after %d", len(buffered.buffer), total)
		}
	}
	if _, err := r.GetBody(); err == nil {
		t.Error("GetBody returns a part of the body")
	}
	r, _ = http.NewRequest("POST", "http://upstream/", io.MultiReader(strings.NewReader("begun "), strings.NewReader("ended")))
	answered := replayable(r, false)
	r.Body.Read(p)
	answered()
	if left := r.Body.(*bodyReader).body.buffer; left != nil {
		t.Errorf("%q is buffered after the answer", left)
	}
	if rest, err := io.ReadAll(r.Body); string(rest) != "ended" || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
}
