package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"sallyport/internal/balance"
)

// An Upstream is the service behind a route: one target or several, each with a pool of connections.
type Upstream struct {
	url      *url.URL // what all targets share: the scheme and the path prefix. The host is that of the first target
	targets  []*upstreamTarget
	balancer *balance.Balancer
	policy   string
	checks   *healthChecks // nil without active checks
}

// NewUpstream returns the upstream of the settings. It doesn't connect yet.
func NewUpstream(s UpstreamSettings) (*Upstream, error) {
	u := &Upstream{policy: s.LoadBalancing}
	c := balance.Config{Policy: s.LoadBalancing, MaxFails: s.MaxFails, EjectTime: s.EjectTime, SlowStart: s.SlowStart}
	if s.Health != nil {
		c.Healthy, c.Unhealthy = s.Health.Healthy, s.Health.Unhealthy
	}
	u.balancer = balance.New(c)
	for _, given := range s.all() {
		t, err := newUpstreamTarget(s, given.URL)
		if err != nil {
			return nil, err
		}
		t.state = u.balancer.Add(given.URL, given.Weight)
		u.targets = append(u.targets, t)
	}
	u.url = u.targets[0].url
	var err error
	u.checks, err = newHealthChecks(s.Health, u)
	return u, err
}

// Run sets the log for changes of the targets' states, and begins the active health checks. Further calls do nothing.
func (u *Upstream) Run(log *slog.Logger) {
	u.balancer.LogTo(log)
	u.checks.start()
}

// EndChecks ends the active health checks. Requests can still be sent.
func (u *Upstream) EndChecks() { u.checks.stop() }

// RoundTrip sends a request to a target, over HTTP/1.1 if it has Upgrade. It sends it once more if mayRetry allows that. It may change r,
// which isn't the client's request but the gate's copy.
func (u *Upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	s := sending{request: r, body: r.Body}
	if len(u.targets) > 1 {
		return u.balance(&s)
	}
	t := u.targets[0]
	res, err := t.attempt(&s, false)
	if err != nil && s.mayRetry(err, false) {
		s.copyRequest()
		res, err = t.attempt(&s, true)
	}
	return res, err
}

// A Reached says whether the gate can connect to a target.
type Reached struct {
	Target string // as in the configuration
	Err    error
}

// Reach connects to all targets, with a TLS handshake if their URL is https. It sends no request.
func (u *Upstream) Reach(ctx context.Context) (all []Reached) {
	for _, t := range u.targets {
		all = append(all, Reached{t.state.Name, t.reach(ctx)})
	}
	return all
}

// Certificate returns the host of the upstream, and when the gate's certificate for it expires: the zero time without one.
func (u *Upstream) Certificate() (host string, expires time.Time) {
	return u.url.Host, u.targets[0].certificateExpires()
}

// Targets returns the states of the targets. There are none if the upstream is nil, or has one target that isn't checked: that gets all
// requests in any case.
func (u *Upstream) Targets() []balance.State {
	if u == nil || len(u.targets) == 1 && u.checks == nil {
		return nil
	}
	return u.balancer.States()
}

// Close ends the health checks and closes the idle connections. The others are closed when their requests end.
func (u *Upstream) Close() error {
	u.EndChecks()
	var errs []error
	for _, t := range u.targets {
		errs = append(errs, t.close())
	}
	return errors.Join(errs...)
}
