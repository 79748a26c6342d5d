package proxy

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// maxReplayed is the longest body that is kept until its request is answered, in bytes.
const maxReplayed = 64 << 10

// replayable lets net/http send a request a second time that an HTTP/2 upstream has not looked at: it says so by GOAWAY or by
// REFUSED_STREAM (RFC 9113 §6.8, §8.7), as servers do when they stop. What of the body was read is kept for that, up to a bound;
// nothing is waited for.
func replayable(out *http.Request) {
	if out.Body == nil || out.Body == http.NoBody || out.ContentLength <= 0 || out.ContentLength > maxReplayed {
		return
	}
	kept := &keptBody{source: out.Body}
	out.Body = &bodyReader{body: kept}
	out.GetBody = func() (io.ReadCloser, error) { return &bodyReader{body: kept}, nil }
}

// A keptBody remembers what was read of a body.
type keptBody struct {
	mu     sync.Mutex // held while the source is read
	source io.Reader
	read   []byte
	err    error // with which the source has ended
}

// A bodyReader reads a keptBody from its beginning.
type bodyReader struct {
	body *keptBody
	at   int

	mu     sync.Mutex
	closed bool
}

var errBodyClosed = errors.New("the body was closed, because its request was given up")

func (r *bodyReader) Read(p []byte) (int, error) {
	b := r.body
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.isClosed() { // before the source is read: what it gives belongs to the next reader
		return 0, errBodyClosed
	}
	if r.at == len(b.read) && b.err == nil {
		n, err := b.source.Read(p)
		b.read, b.err = append(b.read, p[:n]...), err
	}
	n := copy(p, b.read[r.at:])
	if r.at += n; r.at == len(b.read) {
		return n, b.err
	}
	return n, nil
}

// Close ends this reader alone: the body is the request's that came in.
func (r *bodyReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}

func (r *bodyReader) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}
