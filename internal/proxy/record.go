package proxy

import (
	"cmp"
	"time"

	"sallyport/internal/audit"
	"sallyport/internal/auth"
	"sallyport/internal/telemetry"
)

// record counts a request that is over. e is its refusal, or nil.
func (g *Gate) record(rec *recorder, d *Decision, e *auth.Error) {
	metrics := g.metrics
	if d.Route != nil {
		metrics = d.Route.Metrics
	}
	if metrics == nil {
		return
	}
	own := time.Since(d.start)
	if !d.sent.IsZero() {
		own = d.sent.Sub(d.start)
	}
	metrics.Record(telemetry.Request{
		Flow: d.flow(e), Refusal: d.reason(e), Status: statusOf(rec, e), Own: own, Upstream: d.answeredIn,
		TraceID: d.span.TraceID(),
	})
}

// auditRefusal writes a refusal of the gate to the audit stream. Requests that no route matches aren't there, nor are failures of an
// upstream, an issuer or a store: they say nothing about the client.
func (g *Gate) auditRefusal(rec *recorder, d *Decision, e *auth.Error) {
	why, status := d.reason(e), statusOf(rec, e)
	if e != nil {
		status = e.Status
	}
	if g.audit == nil || why == "" || d.Route == nil || d.forwarded || status >= 500 || status == statusClientClosed {
		return
	}
	event := audit.Event{
		Event: audit.Refusal, RequestID: d.ID, Client: d.Client(), Route: d.Route.Name, Rule: d.Rule.place(), Endpoint: d.Endpoint,
		Flow: d.flow(e), Status: status,
	}
	event.Why = why
	if i := cmp.Or(d.Identity, d.User); i != nil {
		event.Issuer, event.Subject, event.ClientID = i.Issuer, i.Subject, i.ClientID
	}
	g.audit.Write(event)
}

// statusOf returns the status of a response. If the client was gone before, nothing else is said: it isn't an error of a server.
func statusOf(rec *recorder, e *auth.Error) int {
	if e != nil && e.Status == statusClientClosed {
		return statusClientClosed
	}
	return cmp.Or(rec.status, statusClientClosed)
}
