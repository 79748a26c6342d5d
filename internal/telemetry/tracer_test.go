package telemetry

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"

	"sallyport/internal/testlog"
)

// TestWithoutTraces checks that nothing is allocated without a tracer, whatever a request asks for.
func TestWithoutTraces(t *testing.T) {
	var tracer *Tracer
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	n := testing.AllocsPerRun(100, func() {
		s := tracer.StartRequest(r, true, time.Time{})
		s.Start("match").End()
		s.NameAfter(r, "app")
		s.Set("sallyport.route", "app")
		call := SpanFrom(r.Context()).StartCall("forward", r)
		call.SetServer("app", "8080")
		call.Inject(r.Header)
		call.SetStatus(500, 400)
		call.End()
		if s.TraceID() != "" {
			t.Error("a request without a span has a trace")
		}
		s.End()
	})
	if n != 0 || r.Header.Get("Traceparent") == "" {
		t.Errorf("%v allocations, expected none, and the request as it was", n)
	}
}

// TestEnvironment checks which variables switch traces on and off, and that a protocol that the gate doesn't have is refused.
func TestEnvironment(t *testing.T) {
	for _, tc := range []struct {
		name, variables string
		on              bool
		failure         string
	}{
		{"none", "", false, ""},
		{"endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", true, ""},
		{"endpoint of traces", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:1/v1/traces", true, ""},
		{"disabled", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1 OTEL_SDK_DISABLED=true", false, ""},
		{"no exporter", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1 OTEL_TRACES_EXPORTER=none", false, ""},
		{"protocol", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1 OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", true, ""},
		{"other protocol", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1 OTEL_EXPORTER_OTLP_PROTOCOL=grpc", false,
			"OTEL_EXPORTER_OTLP_PROTOCOL: traces go out by http/protobuf only, got \"grpc\""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, pair := range strings.Fields(tc.variables) {
				name, value, _ := strings.Cut(pair, "=")
				t.Setenv(name, value)
			}
			tracer, err := NewTracer("1", slog.New(slog.DiscardHandler))
			if err == nil {
				defer tracer.Close()
			}
			if (tracer != nil) != tc.on || (err != nil) != (tc.failure != "") || err != nil && !strings.HasPrefix(err.Error(), tc.failure) {
				t.Errorf("a tracer: %v, error %v", tracer != nil, err)
			}
		})
	}
}

// failingExporter can't export.
type failingExporter struct{ sdk.SpanExporter }

func (failingExporter) ExportSpans(context.Context, []sdk.ReadOnlySpan) error {
	return errors.New("nobody listens")
}

// TestFailedExports checks that failed exports are logged, and at most once a minute.
func TestFailedExports(t *testing.T) {
	var out testlog.Buffer
	now := time.Unix(0, 0)
	e := &quietExporter{
		SpanExporter: failingExporter{}, log: slog.New(slog.NewTextHandler(&out, nil)), now: func() time.Time { return now },
	}
	for range 3 {
		if err := e.ExportSpans(t.Context(), make([]sdk.ReadOnlySpan, 2)); err != nil {
			t.Error(err)
		}
		now = now.Add(31 * time.Second)
	}
	if n := strings.Count(out.String(), `msg="spans can't be exported, and are lost" spans=2 error="nobody listens"`); n != 2 {
		t.Errorf("%d lines in 62 s, expected 2:\n%s", n, &out)
	}
}
