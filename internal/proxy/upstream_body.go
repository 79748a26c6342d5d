package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// maxReplayed is the size of the longest body that can be sent again, in bytes.
const maxReplayed = 64 << 10

// replayable lets net/http send a request again that an HTTP/2 upstream didn't process, as the upstream says with GOAWAY or REFUSED_STREAM
// (RFC 9113 §6.8, §8.7) when it stops. For that it buffers what was read of the body, until that is more than maxReplayed or answered is
// called. Over HTTP/1.1, net/http sends a request again if nothing was written of it. A GET, HEAD or OPTIONS with a body gets no GetBody,
// because net/http would send it again in any case.
func replayable(out *http.Request, http1 bool) (answered func()) {
	if out.Body == nil || out.Body == http.NoBody {
		return func() {}
	}
	b := &replayBody{source: out.Body, inPlace: http1}
	b.changed.L = &b.mu
	out.Body, out.GetBody = b.newReader(), nil
	if !isSafeMethod(out.Method) {
		out.GetBody = b.getBody
	}
	return b.stopBuffering
}

// A replayBody buffers what was read of a body for further attempts to send the request. Each attempt has a reader; only the last one is
// active, because net/http has given up the attempts before.
type replayBody struct {
	mu      sync.Mutex
	changed sync.Cond // on mu: data was read from source, or a reader was closed
	source  io.Reader
	inPlace bool // reads use the caller's buffer: only over HTTP/1.1, where a Read may continue after Close
	reading bool // readSource runs
	err     error
	reader  *bodyReader // of the last attempt

	buffer    []byte // what was read of the body; if truncated, the end of that
	truncated bool   // the request can't be sent again
	answered  bool
}

// A bodyReader reads a replayBody for one attempt to send the request.
type bodyReader struct {
	body   *replayBody
	at     int // in body.buffer
	closed bool
}

var (
	errBodyClosed    = errors.New("the body was closed, because its request was canceled")
	errBodyTruncated = errors.New("the upstream refused the request, and too much of its body was sent to send it again")
)

// newReader returns a reader of the body from its beginning, and makes it the active one.
func (b *replayBody) newReader() *bodyReader {
	b.reader = &bodyReader{body: b}
	return b.reader
}

// getBody returns the body from its beginning, for another attempt.
func (b *replayBody) getBody() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.truncated {
		return nil, errBodyTruncated
	}
	return b.newReader(), nil
}

// stopBuffering is called when the upstream has answered: the request isn't sent again.
func (b *replayBody) stopBuffering() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answered = true
	b.trim()
}

// trim removes what the active reader has read from the buffer, if the upstream has answered or the buffer is too long.
func (b *replayBody) trim() {
	if !b.answered && len(b.buffer) <= maxReplayed {
		return
	}
	b.truncated = true
	if b.buffer, b.reader.at = b.buffer[b.reader.at:], 0; len(b.buffer) == 0 {
		b.buffer = nil
	}
}

// Read returns buffered data, or waits for the source. Close ends the wait: over HTTP/2, net/http begins the next attempt only after the
// Read of the last one has returned.
func (r *bodyReader) Read(p []byte) (int, error) {
	b := r.body
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case r.closed || r != b.reader:
			return 0, errBodyClosed
		case r.at < len(b.buffer):
			n := copy(p, b.buffer[r.at:])
			r.at += n
			b.trim()
			return n, nil
		case b.err != nil:
			return 0, b.err
		case !b.reading:
			b.startRead(p)
		default:
			b.changed.Wait()
		}
	}
}

// startRead reads from the source: with inPlace into p before it returns, otherwise in a goroutine with a buffer of its own.
func (b *replayBody) startRead(p []byte) {
	b.reading = true
	if b.inPlace {
		b.mu.Unlock()
		b.readSource(p)
		b.mu.Lock()
		return
	}
	go func() {
		p := bodyBuffers.Get()
		b.readSource(p)
		bodyBuffers.Put(p)
	}()
}

// readSource reads from the source into p, and appends the data to the buffer.
func (b *replayBody) readSource(p []byte) {
	n, err := b.source.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buffer, b.reading, b.err = append(b.buffer, p[:n]...), false, err
	b.changed.Broadcast()
}

// Close closes this reader only. The source belongs to the client's request.
func (r *bodyReader) Close() error {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	r.closed = true
	r.body.changed.Broadcast()
	return nil
}
