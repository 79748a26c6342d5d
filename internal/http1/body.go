package http1

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
)

// A responseBody is the body of a response. Its end is the end of the request.
type responseBody struct {
	conn   *conn
	source io.Reader // the body of http.ReadResponse, whose Close would read to the end
	ctx    context.Context
	keep   bool // the connection may serve another request
	err    error
	over   atomic.Bool // the request has ended: another one may have the connection
}

// errClosed is returned by Read after Close.
var errClosed = errors.New("http1: read after close of a response's body")

// Read reads from the body. At its end, the connection is free for another request.
func (b *responseBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.over.Load() {
		return 0, errClosed
	}
	n, err := b.source.Read(p)
	switch {
	case err == io.EOF:
		b.err = err
		b.end(b.keep)
	case err != nil:
		b.end(false)
		if cause := context.Cause(b.ctx); cause != nil {
			err = cause
		}
		b.err = err
	}
	return n, b.err
}

// Close ends the request. If the body wasn't read to its end, the connection is closed. Close may be called while Read waits, which it
// ends.
func (b *responseBody) Close() error {
	b.end(false)
	return nil
}

func (b *responseBody) end(keep bool) {
	if b.over.CompareAndSwap(false, true) {
		b.conn.end(keep)
	}
}
