package proxy

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/telemetry"
)

// streamAfter is how long a request lasts before it counts as a stream: a WebSocket, Server-Sent Events, gRPC, a long answer.
const streamAfter = 500 * time.Millisecond

// A stream is a forwarded request that a login authenticates which can end. When it has lasted for streamAfter, the login is watched, and
// when the login ends, the stream does. Requests are mostly over before, and cost no more than setting and stopping a timer.
type stream struct {
	timer *time.Timer // calls watch
	moved atomic.Bool // bytes have passed since the watch last asked
	rec   *recorder
	login auth.Watcher
	route *telemetry.Requests

	mu       sync.Mutex
	over     bool // the handler has returned: the connection may serve another request
	ended    bool
	upstream io.Closer // the body of the upstream's response; nil before
	stop     func()    // ends the watch; nil before
	shared   bool      // another goroutine may use moved after the handler has returned
}

// streams has streams whose timer has never fired.
var streams = sync.Pool{New: func() any {
	s := &stream{}
	s.timer = time.AfterFunc(time.Hour, s.watch)
	s.timer.Stop()
	return s
}}

// startStream returns the stream of a request that is forwarded now. It is nil if the login can't be watched.
func startStream(rec *recorder, d *Decision) *stream {
	if d.watcher == nil {
		return nil
	}
	s := streams.Get().(*stream)
	s.rec, s.login, s.route, d.stream, rec.stream = rec, d.watcher, d.Route.Metrics, s, s
	if rec.body != nil {
		rec.body.stream, s.shared = s, true
	}
	s.timer.Reset(streamAfter)
	return s
}

// watch begins to watch the login.
func (s *stream) watch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over {
		s.route.StreamBegins()
		s.stop = s.login.Watch(func() bool { return s.moved.Swap(false) }, s.end)
	}
}

// end ends the stream, because the login has ended: nothing more passes in either direction. Over HTTP/2 the deadline for writes resets
// the stream (RFC 9113 §6.4), over HTTP/1 and after an Upgrade the connection closes.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.ended = true
	client := http.NewResponseController(s.rec.ResponseWriter)
	client.SetWriteDeadline(longAgo)
	client.SetReadDeadline(longAgo)
	if s.upstream != nil {
		s.upstream.Close()
	}
}

// answered adds the upstream's response to the stream.
func (s *stream) answered(res *http.Response) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.upstream = res.Body
	if conn, ok := res.Body.(io.ReadWriteCloser); ok && res.StatusCode == http.StatusSwitchingProtocols {
		res.Body, s.shared = &upgraded{conn, s}, true
	}
	if s.ended {
		s.upstream.Close()
	}
}

// used records that bytes have passed.
func (s *stream) used() {
	if s != nil {
		s.moved.Store(true)
	}
}

// finish is called when the handler returns. It reports whether the login has ended the stream; then the connection must not be used
// again.
func (s *stream) finish() (ended bool) {
	if s == nil {
		return false
	}
	fresh := s.timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.stop != nil {
		s.stop()
		s.route.StreamEnds()
	}
	if ended = s.ended; fresh && !s.shared {
		s.rec, s.login, s.route, s.upstream, s.over = nil, nil, nil, nil, false
		s.moved.Store(false)
		streams.Put(s)
	}
	return ended
}

// An upgraded is the connection to the upstream after an Upgrade.
type upgraded struct {
	io.ReadWriteCloser
	stream *stream
}

func (u *upgraded) Read(p []byte) (int, error) {
	n, err := u.ReadWriteCloser.Read(p)
	if n > 0 {
		u.stream.used()
	}
	return n, err
}

func (u *upgraded) Write(p []byte) (int, error) {
	u.stream.used()
	return u.ReadWriteCloser.Write(p)
}

// CloseWrite closes one direction, as ReverseProxy does when the client has closed it.
func (u *upgraded) CloseWrite() error {
	if c, ok := u.ReadWriteCloser.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return http.ErrNotSupported
}

// errSessionEnded is the reason in the log for a stream that ended with its login.
var errSessionEnded = &auth.Error{
	Status: statusClientClosed, Reason: "session_ended", Description: "You were logged out, or your session timed out.",
}
