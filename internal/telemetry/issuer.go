package telemetry

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// An Issuer records the calls to one issuer. A nil *Issuer records nothing.
type Issuer struct {
	metrics *Metrics
	url     string
	gone    atomic.Bool
}

// Issuer returns the recorder of an issuer, by its configured URL. Issuers with the same URL share it. A nil *Metrics has none.
func (m *Metrics) Issuer(url string) *Issuer {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	url = label(url)
	i := m.issuers[url]
	if i == nil {
		i = &Issuer{metrics: m, url: url}
		m.issuers[url] = i
	}
	return i
}

// KeepIssuers deletes the values of all issuers but those with these URLs.
func (m *Metrics) KeepIssuers(urls map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for url, i := range m.issuers {
		if urls[url] {
			continue
		}
		i.gone.Store(true)
		delete(m.issuers, url)
		of := prometheus.Labels{"issuer": url}
		m.calls.DeletePartialMatch(of)
		m.callTime.DeletePartialMatch(of)
	}
}

// A Call is a call to an issuer that is under way.
type Call struct {
	issuer   *Issuer
	endpoint string
	began    time.Time
	span     *Span
}

// Call begins to record a call to an endpoint, which is a constant of the program. It returns the request to send: with traces, it has a
// context of its own, and traceparent if issuers get that.
func (i *Issuer) Call(endpoint string, r *http.Request) (*http.Request, *Call) {
	c := &Call{issuer: i, endpoint: endpoint, began: time.Now()}
	c.span = SpanFrom(r.Context()).StartCall("issuer "+endpoint, r)
	if c.span == nil {
		return r, c
	}
	c.span.SetServer(r.URL.Hostname(), r.URL.Port())
	r = r.WithContext(c.span.Context())
	if c.span.tracer.issuers.Load() {
		c.span.Inject(r.Header)
	}
	return r, c
}

// End records the end of the call. The status is that of the response, 0 without one.
func (c *Call) End(status int, err error) {
	outcome := callOutcome(status, err)
	c.span.SetStatus(status, http.StatusBadRequest)
	if outcome != "ok" {
		c.span.Fail(outcome)
	}
	c.span.End()
	if i := c.issuer; i != nil && !i.gone.Load() {
		i.metrics.calls.WithLabelValues(i.url, c.endpoint, outcome).Inc()
		i.metrics.callTime.WithLabelValues(i.url, c.endpoint).Observe(time.Since(c.began).Seconds())
	}
}

// callOutcome returns the value of the label outcome: ok, refused (4xx), failed (5xx, or a response that can't be read), unreachable
// (without a response), or cancelled (the client of the gate went away first).
func callOutcome(status int, err error) string {
	switch {
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case status == 0:
		return "unreachable"
	case err != nil || status >= 500:
		return "failed"
	case status >= 400:
		return "refused"
	}
	return "ok"
}
