package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync/atomic"

	"sallyport/internal/http1"
)

// A sending is one request for an upstream, with what is known of the last attempt to send it.
type sending struct {
	request *http.Request
	body    io.ReadCloser // the request's own; attempts wrap it
	outcome http1.Outcome
	trace   *sendingTrace // nil until net/http's client is used
}

// A sendingTrace receives from net/http how far an attempt came. Its goroutines may still report when the attempt is over.
type sendingTrace struct{ asked, connected, reused, received atomic.Bool }

func (s *sending) hasBody() bool { return s.body != nil && s.body != http.NoBody }

// isSafe reports whether the upstream may receive the request twice (RFC 9110 §9.2.1, §9.2.2).
func (s *sending) isSafe() bool { return !s.hasBody() && isSafeMethod(s.request.Method) }

func isSafeMethod(method string) bool {
	return slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, method)
}

// send sends the request by a transport of net/http. p is nil if the gate adds no proof.
func (s *sending) send(t *upstreamTarget, transport *http.Transport, p *prover) (res *http.Response, err error) {
	s.watch()
	r := s.request
	hideIdempotencyKeys(r.Header)
	defer replayable(r, !t.mayBeHTTP2(transport))()
	if p != nil {
		res, err = p.send(t, transport, r)
	} else {
		res, err = transport.RoundTrip(r)
	}
	s.outcome = http1.Outcome{Connected: s.trace.connected.Load(), Reused: s.trace.reused.Load(), Received: s.trace.received.Load()}
	return res, err
}

// copyRequest replaces the request with a copy for the second attempt: a goroutine of net/http may still read that of the first one.
func (s *sending) copyRequest() { s.request = s.request.Clone(s.request.Context()) }

// watch makes net/http report the attempt. ReverseProxy's trace, which is the request's own, gets two more functions: to make another one
// of it and them costs a microsecond.
func (s *sending) watch() {
	if s.trace != nil {
		s.trace.asked.Store(false)
		s.trace.connected.Store(false)
		s.trace.reused.Store(false)
		s.trace.received.Store(false)
		return
	}
	to := &sendingTrace{}
	s.trace = to
	trace := httptrace.ContextClientTrace(s.request.Context())
	if trace == nil {
		trace = &httptrace.ClientTrace{}
		s.request = s.request.WithContext(httptrace.WithClientTrace(s.request.Context(), trace))
	}
	trace.GetConn = func(string) { to.asked.Store(true) }
	trace.GotConn = func(info httptrace.GotConnInfo) {
		to.connected.Store(true)
		to.reused.Store(info.Reused)
	}
	trace.GotFirstResponseByte = func() { to.received.Store(true) }
}

// hideIdempotencyKeys renames the fields by which net/http takes any request for one that it may send twice. It looks for the canonical
// spelling; for servers, names have no case (RFC 9110 §5.1).
func hideIdempotencyKeys(h http.Header) {
	if lines, found := h["Idempotency-Key"]; found {
		delete(h, "Idempotency-Key")
		h["idempotency-key"] = lines
	}
	if lines, found := h["X-Idempotency-Key"]; found {
		delete(h, "X-Idempotency-Key")
		h["x-idempotency-key"] = lines
	}
}

// mayRetry reports whether the request may be sent once more after an attempt that failed. Without a connection it was not sent, so any
// request may be. Otherwise the target may have acted on it: then only a request that may arrive twice is sent again, and only if no byte
// of a response came. A connection that had served other requests was probably closed by the target meanwhile. A target that ends a new
// connection may have been stopped before it accepted that, or the request itself may have stopped it: this one is sent only to another
// target. After a time-out no request is sent again.
//
// net/http, which sends over TLS and upgrades, repeats such a request by itself on a new connection to the same target first.
func (s *sending) mayRetry(err error, toAnother bool) bool {
	switch o := s.outcome; {
	case s.request.Context().Err() != nil || isTimeout(err) || errors.Is(err, errNoProof):
		return false
	case !o.Connected:
		return !s.refused()
	case o.Received || !s.isSafe():
		return false
	default:
		return o.Reused || toAnother
	}
}

// refused reports whether net/http's client has refused the request itself, without a look for a connection.
func (s *sending) refused() bool {
	return s.trace != nil && !s.trace.asked.Load() && !s.trace.connected.Load()
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
