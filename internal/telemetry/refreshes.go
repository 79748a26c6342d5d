package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Refreshes count the refreshes of sessions. Nil counters count nothing.
type Refreshes struct{ won, waited, refused, failed prometheus.Counter }

// Refreshes returns the counters of refreshes.
func (m *Metrics) Refreshes() *Refreshes {
	of := func(result string) prometheus.Counter { return m.refreshes.WithLabelValues(result) }
	return &Refreshes{of("won"), of("waited"), of("refused"), of("failed")}
}

// Won counts a refresh that got new tokens.
func (r *Refreshes) Won() {
	if r != nil {
		r.won.Inc()
	}
}

// Waited counts a request that took the result of another request, or of another replica.
func (r *Refreshes) Waited() {
	if r != nil {
		r.waited.Inc()
	}
}

// Refused counts a refresh after which the session ends.
func (r *Refreshes) Refused() {
	if r != nil {
		r.refused.Inc()
	}
}

// Failed counts a refresh that an issuer or a store prevented, and that is tried again.
func (r *Refreshes) Failed() {
	if r != nil {
		r.failed.Inc()
	}
}
