package telemetry

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// A Span is a span of a request: the request itself, a step of it, or a call. The methods of a nil *Span do nothing, and allocate nothing.
type Span struct {
	span   trace.Span
	tracer *Tracer
	ctx    context.Context // with the span itself
}

// spanKey is the context key of the current *Span.
type spanKey struct{}

// SpanFrom returns the current span of a context, or nil.
func SpanFrom(ctx context.Context) *Span {
	s, _ := ctx.Value(spanKey{}).(*Span)
	return s
}

// propagator reads and writes traceparent and tracestate (W3C Trace Context). The gate never sends baggage.
var propagator = propagation.TraceContext{}

// StartRequest starts the span of a client's request. If the client is trusted, the request's traceparent names the trace and decides
// whether it is sampled. Otherwise a new trace begins: a stranger can't fill the store of traces, or write into another's trace.
func (t *Tracer) StartRequest(r *http.Request, trusted bool, at time.Time) *Span {
	if t == nil {
		return nil
	}
	ctx := r.Context()
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(at)}
	if trusted && len(r.Header.Values("Traceparent")) == 1 {
		ctx = propagator.Extract(ctx, propagation.HeaderCarrier(r.Header))
	} else {
		options = append(options, trace.WithNewRoot())
	}
	options = append(options, trace.WithAttributes(
		attribute.String("http.request.method", method(r.Method)), attribute.String("network.protocol.version", protocol(r)),
	))
	return t.start(ctx, method(r.Method), options...)
}

func (t *Tracer) start(ctx context.Context, name string, options ...trace.SpanStartOption) *Span {
	ctx, span := t.tracer.Start(ctx, name, options...)
	s := &Span{span: span, tracer: t}
	s.ctx = context.WithValue(ctx, spanKey{}, s)
	return s
}

// Start starts the span of a step.
func (s *Span) Start(name string) *Span {
	if s == nil {
		return nil
	}
	return s.tracer.start(s.ctx, name)
}

// StartCall starts the span of a call to another server.
func (s *Span) StartCall(name string, r *http.Request) *Span {
	if s == nil {
		return nil
	}
	return s.tracer.start(s.ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", method(r.Method)),
	))
}

// StartQuery starts the span of a query to a store.
func (s *Span) StartQuery(name string) *Span {
	if s == nil {
		return nil
	}
	return s.tracer.start(s.ctx, name, trace.WithSpanKind(trace.SpanKindClient))
}

// Context returns the context with the span.
func (s *Span) Context() context.Context { return s.ctx }

// NameAfter names the span of a request after its route, which wasn't known at the start.
func (s *Span) NameAfter(r *http.Request, route string) {
	if s != nil {
		s.span.SetName(method(r.Method) + " " + route)
	}
}

// Set sets an attribute, unless the value is empty.
func (s *Span) Set(name, value string) {
	if s != nil && value != "" {
		s.span.SetAttributes(attribute.String(name, value))
	}
}

// SetServer sets the address of the server that is called.
func (s *Span) SetServer(host, port string) {
	s.Set("server.address", host)
	if n, err := strconv.Atoi(port); s != nil && err == nil {
		s.span.SetAttributes(attribute.Int("server.port", n))
	}
}

// SetStatus sets the status of the response. The span has failed if the status is at least failed: 500 for a server's span, 400 for a
// client's (OpenTelemetry's conventions for HTTP).
func (s *Span) SetStatus(status, failed int) {
	if s == nil || status == 0 {
		return
	}
	s.span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= failed {
		s.Fail(strconv.Itoa(status))
	}
}

// Fail marks the span as failed. The reason is a constant of the program, or a status: an error's text may have what a client sent.
func (s *Span) Fail(reason string) {
	if s != nil {
		s.span.SetAttributes(attribute.String("error.type", reason))
		s.span.SetStatus(codes.Error, "")
	}
}

// End ends the span.
func (s *Span) End() {
	if s != nil {
		s.span.End()
	}
}

// TraceID returns the ID of the trace in hexadecimal if it is sampled, and else "".
func (s *Span) TraceID() string {
	if s == nil || !s.span.SpanContext().IsSampled() {
		return ""
	}
	return s.span.SpanContext().TraceID().String()
}

// Inject replaces traceparent and tracestate of a request that the gate sends, and removes baggage.
func (s *Span) Inject(h http.Header) {
	if s == nil {
		return
	}
	for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
		delete(h, name)
	}
	propagator.Inject(s.ctx, propagation.HeaderCarrier(h))
}

var methods = []string{
	http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodPatch, http.MethodOptions,
}

// method returns a request's method, or _OTHER for one that only the client knows.
func method(m string) string {
	if slices.Contains(methods, m) {
		return m
	}
	return "_OTHER"
}

func protocol(r *http.Request) string {
	if r.ProtoMajor == 2 {
		return "2"
	}
	return strconv.Itoa(r.ProtoMajor) + "." + strconv.Itoa(r.ProtoMinor)
}
