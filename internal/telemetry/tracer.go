package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A Tracer makes the spans of requests and exports them by OTLP over HTTP. It outlives reloads. A nil *Tracer makes none.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	issuers  atomic.Bool // issuers get traceparent
}

// scope is the name of the spans' instrumentation scope.
const scope = "sallyport"

// NewTracer returns the tracer that the standard variables OTEL_* of the environment configure; nil if they don't name an endpoint, or
// switch traces off. The error names the variable that can't be obeyed.
func NewTracer(version string, log *slog.Logger) (*Tracer, error) {
	get := os.Getenv
	endpoint := cmp.Or(get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), get("OTEL_EXPORTER_OTLP_ENDPOINT"))
	if endpoint == "" || get("OTEL_SDK_DISABLED") == "true" || get("OTEL_TRACES_EXPORTER") == "none" {
		return nil, nil
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"} {
		if protocol := get(name); protocol != "" {
			if protocol != "http/protobuf" {
				return nil, fmt.Errorf("%s: traces go out by http/protobuf only, got %q: write that, with the endpoint's port for HTTP "+
					"(mostly 4318), or take it out", name, protocol)
			}
			break
		}
	}
	exporter, err := otlptracehttp.New(context.Background())
	if err != nil {
		return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_*: %w", err)
	}
	about, err := resource.New(context.Background(),
		resource.WithAttributes(attribute.String("service.name", scope), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	p := sdk.NewTracerProvider(sdk.WithBatcher(&quietExporter{SpanExporter: exporter, log: log, now: time.Now}), sdk.WithResource(about))
	return &Tracer{provider: p, tracer: p.Tracer(scope)}, nil
}

// SendToIssuers sets whether calls to issuers have traceparent.
func (t *Tracer) SendToIssuers(send bool) {
	if t != nil {
		t.issuers.Store(send)
	}
}

// flushTimeout bounds how long the end of the process waits for the last spans.
const flushTimeout = 3 * time.Second

// Close exports the spans that are left, for a few seconds at most.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	t.provider.Shutdown(ctx) // what fails is logged by quietExporter
}

// A quietExporter logs that spans can't be exported, at most once a minute. Requests never wait for it: the SDK's bounded queue drops the
// spans that it has no room for.
type quietExporter struct {
	sdk.SpanExporter
	log *slog.Logger
	now func() time.Time

	mu     sync.Mutex
	logged time.Time
}

// ExportSpans exports spans. It returns nil for a failure that it has reported.
func (e *quietExporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if now := e.now(); e.logged.IsZero() || now.Sub(e.logged) >= time.Minute {
		e.logged = now
		e.log.Warn("spans can't be exported, and are lost", "spans", len(spans), "error", err)
	}
	return nil
}
