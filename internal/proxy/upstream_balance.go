package proxy

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"

	"sallyport/internal/balance"
)

// balance sends a request to one of several targets, and once more, to another one if possible, if mayRetry allows that.
func (u *Upstream) balance(s *sending) (*http.Response, error) {
	if s.hasBody() {
		s.body = &clientsBody{ReadCloser: s.body}
	}
	key := u.key(s.request)
	picked := u.balancer.Pick(key)
	res, err := u.try(s, picked, false)
	if err == nil || !s.mayRetry(err, true) {
		return res, err
	}
	next := u.balancer.Another(key, picked, !s.outcome.Connected)
	if next == picked && !s.mayRetry(err, false) {
		u.balancer.Release(next)
		return nil, err
	}
	s.copyRequest()
	return u.try(s, next, true)
}

// key returns the key of a request for the policies by which requests of a client reach the same target. A client whose address is not
// known has the zero key.
func (u *Upstream) key(r *http.Request) (k balance.Key) {
	d, _ := r.Context().Value(decisionKey{}).(*Decision)
	switch {
	case d == nil:
	case u.policy == balance.ClientAddress && d.ClientAddr.IsValid():
		address := d.ClientAddr.As16()
		k = balance.KeyOf(address[:])
	case u.policy == balance.Cookie && d.affinity != "":
		k = balance.KeyOf([]byte(d.affinity))
	}
	return k
}

// try sends the request to a target that the balancer has picked, and tells the balancer what it shows of the target.
func (u *Upstream) try(s *sending, picked *balance.Target, fresh bool) (*http.Response, error) {
	t, ctx := u.targets[picked.Index], s.request.Context()
	s.aim(t)
	res, err := t.attempt(s, fresh)
	switch {
	case err == nil || s.outcome.Received:
		u.balancer.Succeeded(picked)
	case s.showsFailure(err):
		u.balancer.Failed(picked, err)
	}
	if err == nil && u.policy == balance.LeastConnections {
		context.AfterFunc(ctx, func() { u.balancer.Release(picked) }) // net/http ends it with the response for the client
		return res, nil
	}
	u.balancer.Release(picked)
	return res, err
}

// aim makes the request one for a target.
func (s *sending) aim(t *upstreamTarget) {
	s.request.URL.Host = t.url.Host
	d, _ := s.request.Context().Value(decisionKey{}).(*Decision)
	if d == nil {
		return
	}
	if !d.Route.PreserveHost {
		s.request.Host = cmp.Or(t.host, d.host)
	}
	d.sending.SetServer(t.url.Hostname(), t.url.Port())
}

// showsFailure reports whether an attempt without a byte of a response counts as the target's failure: the gate couldn't connect, or the
// target ended a new connection. It ends old ones without being at fault. A slow response isn't a failure either: strangers could eject all
// targets with requests that take long.
func (s *sending) showsFailure(err error) bool {
	if s.request.Context().Err() != nil || errors.Is(err, errNoProof) || s.refused() {
		return false
	}
	if !s.outcome.Connected || isDial(err) {
		return true
	}
	b, ok := s.body.(*clientsBody)
	return !s.outcome.Reused && !isTimeout(err) && (!ok || b.ended.Load()) && len(s.request.Header["Upgrade"]) == 0
}

// isDial reports whether an error is that of connecting. net/http tries that after other connections have failed, too.
func isDial(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// A clientsBody is the body of a client's request. It knows whether the client has sent all of it: servers end connections on which a body
// doesn't arrive.
type clientsBody struct {
	io.ReadCloser
	ended atomic.Bool
}

func (b *clientsBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended.Store(true)
	}
	return n, err
}
