package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// maxReplayed is how much of a body is kept until its request is answered, in bytes.
const maxReplayed = 64 << 10

// replayable lets net/http send a request a second time that an HTTP/2 upstream has not looked at: it says so by GOAWAY or by
// REFUSED_STREAM (RFC 9113 §6.8, §8.7), as servers do when they stop. What was read of the body is kept for that, until it is more
// than maxReplayed or answered is called; nothing is waited for. Over HTTP/1.1 it serves requests of which nothing was written, and
// those with Idempotency-Key.
func replayable(out *http.Request, http1 bool) (answered func()) {
	if out.Body == nil || out.Body == http.NoBody {
		return func() {}
	}
	kept := &keptBody{source: out.Body, inPlace: http1}
	kept.changed.L = &kept.mu
	out.Body, out.GetBody = kept.next(), kept.again
	return kept.forget
}

// A keptBody remembers what was read of a body, for the next reader of it. At any time one reader is the body's: those before it
// belong to attempts that net/http has given up.
type keptBody struct {
	mu      sync.Mutex
	changed sync.Cond // on mu: the source has given something, or a reader was closed
	source  io.Reader
	inPlace bool // a Read may go on after Close, as HTTP/1.1's may
	reading bool // readSource runs
	err     error
	reader  *bodyReader // of the attempt that counts

	kept     []byte // the end of what was read; all of it, unless lost
	lost     bool   // the beginning isn't kept any more
	answered bool
}

// A bodyReader reads a keptBody for one attempt to send the request.
type bodyReader struct {
	body   *keptBody
	at     int // in body.kept
	closed bool
}

var (
	errBodyClosed = errors.New("the body was closed, because its request was given up")
	errBodyLost   = errors.New("the upstream refused the request, and too much of its body was sent to send it again")
)

// next returns a reader of the body from its beginning, which is the body's from now on.
func (b *keptBody) next() *bodyReader {
	b.reader = &bodyReader{body: b}
	return b.reader
}

// again is the request's GetBody.
func (b *keptBody) again() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost {
		return nil, errBodyLost
	}
	return b.next(), nil
}

// forget ends the keeping: the upstream has answered, and takes the rest as it comes.
func (b *keptBody) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answered = true
	b.trim()
}

// trim drops what only another attempt would read, if there can be none any more.
func (b *keptBody) trim() {
	if !b.answered && len(b.kept) <= maxReplayed {
		return
	}
	b.lost = true
	if b.kept, b.reader.at = b.kept[b.reader.at:], 0; len(b.kept) == 0 {
		b.kept = nil
	}
}

// Read returns what was read already, or waits for the source. Close ends the waiting: over HTTP/2 net/http begins the next attempt
// only when the last one's Read has ended.
func (r *bodyReader) Read(p []byte) (int, error) {
	b := r.body
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case r.closed || r != b.reader:
			return 0, errBodyClosed
		case r.at < len(b.kept):
			n := copy(p, b.kept[r.at:])
			r.at += n
			b.trim()
			return n, nil
		case b.err != nil:
			return 0, b.err
		case !b.reading:
			b.readOn(p)
		default:
			b.changed.Wait()
		}
	}
}

// readOn lets the source be read, by way of p if that is in place.
func (b *keptBody) readOn(p []byte) {
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

// readSource reads on in the body, for whichever reader is the body's by then.
func (b *keptBody) readSource(p []byte) {
	n, err := b.source.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept, b.reading, b.err = append(b.kept, p[:n]...), false, err
	b.changed.Broadcast()
}

// Close ends this reader alone: the body is the request's that came in.
func (r *bodyReader) Close() error {
	r.body.mu.Lock()
	defer r.body.mu.Unlock()
	r.closed = true
	r.body.changed.Broadcast()
	return nil
}
