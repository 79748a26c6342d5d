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

// Timeouts limit how long the gate waits for a client. A forwarded body has no timeout.
type Timeouts struct {
	Body   time.Duration // for the next bytes of a body that the gate reads itself; the whole has wholeBody times as long; zero: 10 s
	Answer time.Duration // for the client to take the gate's own answer; zero: 30 s
}

func (t Timeouts) orDefault() Timeouts {
	return Timeouts{Body: cmp.Or(t.Body, 10*time.Second), Answer: cmp.Or(t.Answer, 30*time.Second)}
}

const (
	// wholeBody times Timeouts.Body is the timeout of a whole body that the gate reads itself.
	wholeBody = 6
	// maxArrived is how much of an unread body is discarded so that the connection can stay, in bytes.
	maxArrived = 64 << 10
)

// longAgo is a deadline that makes a read return buffered data, or fail without waiting.
var longAgo = time.Unix(1, 0)

// A clientBody is the body of a client's request. Reads have a deadline until forward is called.
type clientBody struct {
	io.ReadCloser                     // net/http's
	w             http.ResponseWriter // net/http's
	conn          *http.ResponseController
	http1         bool
	expects       bool // the client waits for 100 (Continue), which the first Read sends
	timeout       time.Duration
	wholeDeadline time.Time   // of the whole body; zero before the first Read
	forwarded     bool        // Read has no deadline, and may run in another goroutine than the other methods
	ended         atomic.Bool // Read has returned io.EOF
	stream        *stream     // nil: the login isn't watched

	mu       sync.Mutex // held while net/http's body is read
	finished bool       // finish was called
}

// wrapBody returns the body of r, and a copy of r with it as its body. If r has no body, it returns nil and r itself. The original r must
// keep its body: net/http decides by it, after the answer, how the connection ends.
func wrapBody(w http.ResponseWriter, r *http.Request, timeout time.Duration) (*clientBody, *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, r
	}
	b := &clientBody{
		ReadCloser: r.Body, w: w, conn: http.NewResponseController(w), timeout: timeout,
		http1: r.ProtoMajor == 1, expects: r.Header.Get("Expect") != "", // net/http refuses any other expectation
	}
	r = r.WithContext(r.Context())
	r.Body = b
	return b, r
}

func (b *clientBody) Read(p []byte) (int, error) {
	if b.ended.Load() { // now net/http itself reads from the connection, and would take a timeout for a lost client
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
	if b.finished {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.ReadCloser.Read(p)
	b.stream.used()
	if err == io.EOF {
		b.ended.Store(true)
		if !b.http1 { // over HTTP/1, net/http has cleared it
			b.clearDeadline()
		}
	}
	return n, err
}

// setDeadline sets the deadline of the next Read. It is never after wholeDeadline.
func (b *clientBody) setDeadline() {
	now := time.Now()
	if b.wholeDeadline.IsZero() {
		b.wholeDeadline = now.Add(wholeBody * b.timeout)
	}
	deadline := now.Add(b.timeout)
	if deadline.After(b.wholeDeadline) {
		deadline = b.wholeDeadline
	}
	b.conn.SetReadDeadline(deadline)
}

// clearDeadline removes the deadline, if one was set.
func (b *clientBody) clearDeadline() {
	if !b.wholeDeadline.IsZero() {
		b.conn.SetReadDeadline(time.Time{})
	}
}

// forward removes the deadline: from now on the upstream reads the body.
func (b *clientBody) forward() {
	if b == nil || b.ended.Load() {
		return
	}
	b.clearDeadline()
	b.forwarded = true
}

// Close is called by ReverseProxy. Over HTTP/1 it does nothing, because net/http's Close would wait for the rest of the body and for a
// concurrent Read.
func (b *clientBody) Close() error {
	if b.http1 {
		return nil
	}
	return b.ReadCloser.Close()
}

// mustClose reports whether the connection must end after the answer that begins now, because the rest of the body would precede the next
// request. It doesn't wait for the rest. Over HTTP/2 only the stream ends: net/http resets it with NO_ERROR.
func (b *clientBody) mustClose() bool {
	return b != nil && b.http1 && !b.ended.Load() && !b.discardArrived()
}

// discardArrived discards what has arrived of an unread body, and reports whether that was the whole body. It reads nothing if the client
// waits for 100 (Continue), which a read would send.
func (b *clientBody) discardArrived() bool {
	if b.forwarded || b.expects || !b.wholeDeadline.IsZero() {
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

// finish is called when the answer is complete. It ends a Read that the upstream's transport still waits for: if net/http ended it, it
// would then wait for the rest of the body without a deadline.
func (b *clientBody) finish() {
	if b == nil || !b.http1 || b.ended.Load() {
		return
	}
	b.conn.SetReadDeadline(longAgo)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.finished = true
	if !b.ended.Load() {
		b.conn.SetReadDeadline(longAgo)
		b.closeAfterAnswer()
	}
}

// closeAfterAnswer makes net/http end the connection as it does after a body over its limit: it sends the answer, closes the write side of
// the connection, and closes the rest 500 ms later. Data that arrives at a closed connection makes the kernel send a reset, which can
// destroy the answer before the client reads it (RFC 9112 §9.6).
func (b *clientBody) closeAfterAnswer() {
	http.MaxBytesReader(b.w, io.NopCloser(strings.NewReader("more")), 0).Read(make([]byte, 1))
}
