package proxy

import (
	"context"

	"sallyport/internal/auth"
	"sallyport/internal/telemetry"
)

// startSpan starts the span of a request, or goes on with that of the request that this one resumes. Without traces it does nothing.
func (g *Gate) startSpan(d *Decision) {
	if g.tracer == nil {
		return
	}
	if d.span == nil {
		d.span = g.tracer.StartRequest(d.Request.Request, g.trusts && d.FromProxy, d.start)
	}
	d.setContext(d.span.Context())
}

// setContext sets the context in which the next step runs. The step's calls belong to the span in it.
func (d *Decision) setContext(ctx context.Context) {
	d.Request.Request = d.Request.Request.WithContext(ctx)
}

// run runs a step, in a span of its own if the request has one.
func (g *Gate) run(s step, d *Decision) error {
	if d.span == nil || s.name == "" || s.name == exchangeStep.name && d.Route.Exchange == nil {
		return s.run(g, d)
	}
	span := d.span.Start(s.name)
	defer span.End()
	d.setContext(span.Context())
	err := s.run(g, d)
	d.setContext(d.span.Context()) // the body may be another by now, so the request itself goes on
	var e *auth.Error
	if err != nil {
		e = auth.AsError(err)
		span.Fail(e.Reason)
	}
	if s.name == authenticateStep.name || s.name == serveEndpointStep.name {
		span.Set("sallyport.flow", d.flow(e))
		span.Set("sallyport.endpoint", d.Endpoint)
	}
	return err
}

// startSending starts the span of the request to the upstream.
func (d *Decision) startSending() *telemetry.Span {
	d.sending = d.span.StartCall("forward", d.Request.Request)
	u := d.Route.Upstream.url
	d.sending.SetServer(u.Hostname(), u.Port())
	return d.sending
}

// endSpan ends the span of a request. No attribute has a path, a query or a name.
func (d *Decision) endSpan(rec *recorder, e *auth.Error) {
	if d.span == nil {
		return
	}
	if d.Route != nil {
		d.span.NameAfter(d.Request.Request, d.Route.Name)
		d.span.Set("sallyport.route", d.Route.Name)
		d.span.Set("sallyport.rule", d.Rule.place())
	}
	d.span.Set("sallyport.flow", d.flow(e))
	d.span.Set("sallyport.reason", d.reason(e))
	d.span.Set("sallyport.endpoint", d.Endpoint)
	d.span.SetStatus(statusOf(rec, e), 500)
	d.span.End()
}
