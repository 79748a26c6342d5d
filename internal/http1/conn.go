package http1

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"time"
)

const bufferSize = 4 << 10

// longAgo is a deadline that ends reads and writes at once.
var longAgo = time.Unix(1, 0)

// A conn is a connection, with the state of the request that it serves.
type conn struct {
	net.Conn
	client *Client
	guard  headerGuard
	reader *bufio.Reader
	writer *bufio.Writer
	peeker peeker

	pooled    bool // it has served a request before
	idleSince time.Time

	watch   func()      // interrupt, here to save an allocation for each request
	stop    func() bool // ends the watch of the request's context
	sent    chan error  // the end of sending a body; nil: the request was sent before its response was read
	hurried bool        // the rest of the body isn't sent

	mu          sync.Mutex // for the deadlines
	interrupted bool       // the request's context has ended
	answered    bool       // the header of the response was read
}

func newConn(c *Client, n net.Conn) *conn {
	out := &conn{Conn: n, client: c, guard: headerGuard{source: n}}
	out.reader, out.writer = bufio.NewReaderSize(&out.guard, bufferSize), bufio.NewWriterSize(n, bufferSize)
	out.watch = out.interrupt
	out.peeker.init(n)
	return out
}

// roundTrip sends a request and reads the header of its response.
func (c *conn) roundTrip(r *http.Request) (*http.Response, error) {
	ctx := r.Context()
	c.guard.reset(c.client.MaxHeader)
	c.answered, c.hurried, c.sent = false, false, nil
	c.stop = context.AfterFunc(ctx, c.watch)
	if err := c.send(r); err != nil {
		return nil, c.fail(ctx, err)
	}
	res, err := c.receive(r)
	if err != nil {
		return nil, c.fail(ctx, err)
	}
	c.startBody(ctx, res)
	return res, nil
}

// interrupt ends what the connection waits for, because the request's context has ended.
func (c *conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interrupted = true
	c.Conn.SetDeadline(longAgo)
}

// setReadDeadline sets the deadline of reads, unless the request's context has ended.
func (c *conn) setReadDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.interrupted {
		c.Conn.SetReadDeadline(t)
	}
}

// fail closes the connection and returns the error of the request.
func (c *conn) fail(ctx context.Context, err error) error {
	c.stop()
	c.Close()
	return failure(ctx, err)
}

func hasBody(r *http.Request) bool { return r.Body != nil && r.Body != http.NoBody }

// send sends a request. A body is sent in a goroutine, because the response may come before its end.
func (c *conn) send(r *http.Request) error {
	if !hasBody(r) {
		return c.write(r)
	}
	c.setReadDeadline(time.Time{})
	sent := make(chan error, 1)
	c.sent = sent
	go func() {
		err := c.write(r)
		if err == nil {
			c.awaitHeader()
		}
		sent <- err
	}()
	return nil
}

// write writes a request with its body, and closes the body.
func (c *conn) write(r *http.Request) error {
	if err := r.Write(c.writer); err != nil {
		return err
	}
	return c.writer.Flush()
}

// awaitHeader limits the time until the header of the response, after a body was sent.
func (c *conn) awaitHeader() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.answered && !c.interrupted {
		c.Conn.SetReadDeadline(c.client.headerDeadline())
	}
}

// receive reads the header of the final response, and reports the 1xx responses before it.
func (c *conn) receive(r *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(r.Context())
	for {
		res, err := http.ReadResponse(c.reader, r)
		if err != nil || res.StatusCode >= http.StatusOK {
			return res, err
		}
		if trace != nil && trace.Got1xxResponse != nil {
			if err := trace.Got1xxResponse(res.StatusCode, textproto.MIMEHeader(res.Header)); err != nil {
				return nil, err
			}
		}
	}
}

// startBody makes the end of a response's body the end of the request.
func (c *conn) startBody(ctx context.Context, res *http.Response) {
	c.mu.Lock()
	c.answered = true
	buffered := res.ContentLength >= 0 && res.ContentLength <= int64(c.reader.Buffered())
	if !buffered && !c.interrupted {
		c.Conn.SetReadDeadline(time.Time{})
	}
	c.mu.Unlock()
	if c.sent != nil && (res.StatusCode >= http.StatusBadRequest || res.Close) {
		c.hurry()
	}
	keep := !res.Close && !res.Request.Close
	if res.Body == http.NoBody {
		c.end(keep)
		return
	}
	res.Body = &responseBody{conn: c, source: res.Body, ctx: ctx, keep: keep}
}

// hurry ends the sending of a body whose response needs no more of it. Such a connection isn't used again, unless all was sent.
func (c *conn) hurry() {
	select {
	case err := <-c.sent:
		c.sent <- err
	default:
		c.hurried = true
		c.Conn.SetWriteDeadline(longAgo)
	}
}

// sentAll reports whether the request was sent to its end. The goroutine that sends a body may need a moment to say so.
func (c *conn) sentAll() bool {
	if c.sent == nil {
		return true
	}
	if c.hurried {
		return false
	}
	select {
	case err := <-c.sent:
		return err == nil
	default:
	}
	select {
	case err := <-c.sent:
		return err == nil
	case <-time.After(50 * time.Millisecond):
		return false
	}
}

// end ends the request, once. The connection serves another one if keep is true, everything was sent and nothing more was received.
func (c *conn) end(keep bool) {
	stopped := c.stop()
	if keep && stopped && c.reader.Buffered() == 0 && c.sentAll() {
		c.client.pool.put(c)
		return
	}
	c.Close()
}
