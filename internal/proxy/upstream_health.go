package proxy

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// maxHealthBody is how much of the response to a health check is read, in bytes.
const maxHealthBody = 64 << 10

// healthChecks are the active checks of an upstream's targets: a goroutine for each target sends it a GET again and again. A nil
// *healthChecks does nothing.
type healthChecks struct {
	settings *HealthSettings
	upstream *Upstream
	path     *url.URL
	statuses [][2]int

	mu      sync.Mutex
	cancel  context.CancelFunc // nil: not started
	stopped bool
	running sync.WaitGroup
}

// newHealthChecks returns the checks of the settings, which are nil if there are none.
func newHealthChecks(s *HealthSettings, u *Upstream) (*healthChecks, error) {
	if s == nil {
		return nil, nil
	}
	h := &healthChecks{settings: s, upstream: u}
	var err error
	if h.path, err = url.Parse(s.Path); err != nil {
		return nil, fmt.Errorf("upstream: health.path: %w", err)
	}
	for _, text := range s.Status {
		from, to, err := statusRange(text)
		if err != nil {
			return nil, fmt.Errorf("upstream: health.status: %w", err)
		}
		h.statuses = append(h.statuses, [2]int{from, to})
	}
	return h, nil
}

// start begins the checks, once.
func (h *healthChecks) start() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.cancel != nil || h.stopped {
		return
	}
	var ctx context.Context
	ctx, h.cancel = context.WithCancel(context.Background())
	for _, t := range h.upstream.targets {
		h.running.Go(func() { h.watch(ctx, t) })
	}
}

// stop ends the checks, and waits for those that are under way.
func (h *healthChecks) stop() {
	if h == nil {
		return
	}
	h.mu.Lock()
	h.stopped = true
	if h.cancel != nil {
		h.cancel()
	}
	h.mu.Unlock()
	h.running.Wait()
}

// watch checks a target until ctx ends. The times between checks differ a little, so that those of replicas don't coincide.
func (h *healthChecks) watch(ctx context.Context, t *upstreamTarget) {
	timer := time.NewTimer(rand.N(min(h.settings.Interval, time.Second)))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if err := h.check(ctx, t); ctx.Err() == nil {
			h.upstream.balancer.Checked(t.state, err)
		}
		timer.Reset(h.settings.Interval*9/10 + rand.N(h.settings.Interval/5+1))
	}
}

// check sends one request, on a connection of its own and without credentials. It returns an error unless the target answers in time, and
// with a status of the settings.
func (h *healthChecks) check(ctx context.Context, t *upstreamTarget) error {
	ctx, cancel := context.WithTimeout(ctx, h.settings.Timeout)
	defer cancel()
	to := *t.url
	to.Path, to.RawPath, to.RawQuery = h.path.Path, h.path.RawPath, h.path.RawQuery
	r := (&http.Request{
		Method: http.MethodGet, URL: &to, Host: t.url.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {"sallyport-health"}, "Accept": {"*/*"}},
	}).WithContext(ctx)
	res, err := t.conns.For("").checks.RoundTrip(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, maxHealthBody)); err != nil {
		return err
	}
	for _, s := range h.statuses {
		if s[0] <= res.StatusCode && res.StatusCode <= s[1] {
			return nil
		}
	}
	return fmt.Errorf("expected one of the statuses of health.status, got %d", res.StatusCode)
}
