package proxy

import (
	"cmp"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Timeouts bound how long the gate waits for a client. A body that is forwarded has none: it may take as long as it likes.
type Timeouts struct {
	Body   time.Duration // for the next bytes of a body that the gate reads itself, wholeBody times that for the whole; zero: 10 s
	Answer time.Duration // for the client to take an answer of the gate's own; zero: 30 s
}

func (t Timeouts) orDefault() Timeouts {
	return Timeouts{Body: cmp.Or(t.Body, 10*time.Second), Answer: cmp.Or(t.Answer, 30*time.Second)}
}

const (
	// wholeBody is how many times Timeouts.Body a body may take that the gate reads itself: it is short, but may come in pieces.
	wholeBody = 6
	// maxArrived bounds how much of an unread body is discarded if it has arrived already.
	maxArrived = 64 << 10
)

// longAgo as a deadline makes a read return what is buffered and wait for nothing.
var longAgo = time.Unix(1, 0)

// A clientBody is a request's body as it comes from the client. Reading it has a deadline until forward is called.
type clientBody struct {
	io.ReadCloser                     // net/http's
	w             http.ResponseWriter // net/http's
	conn          *http.ResponseController
	http1         bool
	expects       bool // the client waits for 100 (Continue), which the first Read sends
	timeout       time.Duration
	until         time.Time   // the end of the time for the whole; zero before the first Read
	forwarded     bool        // Read has no deadline, and may run in another goroutine than the other methods
	ended         atomic.Bool // Read has come to its end

	mu   sync.Mutex // held while net/http's body is read
	left bool       // finish was called
}

// takeBody returns the body of r, and a copy of r that has it; or nil and r itself if r has none. It is a copy because
// net/http looks at the original's body again after the answer, and decides by it how the connection ends.
func takeBody(w http.ResponseWriter, r *http.Request, timeout time.Duration) (*clientBody, *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, r
	}
	b := &clientBody{
		ReadCloser: r.Body, w: w, conn: http.NewResponseController(w), timeout: timeout,
		http1: r.ProtoMajor == 1, expects: r.Header.Get("Expect") != "", // any other expectation has been refused
	}
	r = r.WithContext(r.Context())
	r.Body = b
	return b, r
}

func (b *clientBody) Read(p []byte) (int, error) {
	if b.ended.Load() { // from here on net/http watches the connection: a deadline would look to it as if the client were gone
		return 0, io.EOF
	}
	if !b.forwarded {
		b.setDeadline()
	}
	return b.read(p)
}

func (b *clientBody) read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended.Store(true)
		if !b.http1 { // over HTTP/1, net/http has lifted it
			b.lift()
		}
	}
	return n, err
}

// setDeadline renews the deadline: a body that moves has time, but not for ever.
func (b *clientBody) setDeadline() {
	now := time.Now()
	if b.until.IsZero() {
		b.until = now.Add(wholeBody * b.timeout)
	}
	deadline := now.Add(b.timeout)
	if deadline.After(b.until) {
		deadline = b.until
	}
	b.conn.SetReadDeadline(deadline)
}

// lift takes the deadline off, if there is one.
func (b *clientBody) lift() {
	if !b.until.IsZero() {
		b.conn.SetReadDeadline(time.Time{})
	}
}

// forward says that from here on the body is the upstream's to wait for.
func (b *clientBody) forward() {
	if b == nil || b.ended.Load() {
		return
	}
	b.lift()
	b.forwarded = true
}

// Close is called by ReverseProxy. Over HTTP/1 it does nothing: net/http's Close waits for the rest of the body, and for a
// Read that waits.
func (b *clientBody) Close() error {
	if b.http1 {
		return nil
	}
	return b.ReadCloser.Close()
}

// leave reports whether the connection must end with the answer that begins now, because the rest of the body would stand
// before the next request. The rest is not waited for. Over HTTP/2 only the stream ends: net/http resets it with NO_ERROR.
func (b *clientBody) leave() bool {
	return b != nil && b.http1 && !b.ended.Load() && !b.arrived()
}

// arrived discards what has come of a body that nobody has begun to read, and reports whether that was all of it: then the
// connection can stay. A body that the client holds back until it is asked for it isn't asked for.
func (b *clientBody) arrived() bool {
	if b.forwarded || b.expects || !b.until.IsZero() {
		return false
	}
	b.conn.SetReadDeadline(longAgo)
	buf := make([]byte, 4<<10)
	for n := 0; n < maxArrived; {
		m, err := b.read(buf)
		if n += m; err != nil {
			break
		}
	}
	return b.ended.Load()
}

// finish ends what still waits for the body, when the answer is complete. A Read of the upstream's transport is ended first:
// net/http would end it itself, and then wait for the rest without a deadline.
func (b *clientBody) finish() {
	if b == nil || !b.http1 || b.ended.Load() {
		return
	}
	b.conn.SetReadDeadline(longAgo)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = true
	if !b.ended.Load() {
		b.conn.SetReadDeadline(longAgo)
		b.linger()
	}
}

// linger makes net/http end the connection as after a body over its limit: it sends the answer, says that nothing follows,
// and closes 500 ms later. What still arrives when a connection is closed makes the kernel send a reset, which can cost the
// client the answer (RFC 9112 §9.6).
func (b *clientBody) linger() {
	http.MaxBytesReader(b.w, io.NopCloser(strings.NewReader("more")), 0).Read(make([]byte, 1))
}
