package telemetry

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// scrape returns what a scraper gets: with openMetrics in that format.
func scrape(t *testing.T, m *Metrics, openMetrics bool) string {
	t.Helper()
	r, w := httptest.NewRequest("GET", "/metrics", nil), httptest.NewRecorder()
	if openMetrics {
		r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	}
	m.Handler().ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("status %d, %v: %s", w.Code, err, body)
	}
	return string(body)
}

// ours returns the lines of the gate's own metrics that have values.
func ours(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "sallyport_") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

func mustHave(t *testing.T, lines []string, want ...string) {
	t.Helper()
	for _, line := range want {
		if !slices.Contains(lines, line) {
			t.Errorf("expected the line %s in\n%s", line, strings.Join(lines, "\n"))
		}
	}
}

var (
	description = regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: {([^}]*)}`)
	documented  = regexp.MustCompile("(?m)^\\| `(sallyport_[a-z_]+)` \\| [a-z]+ \\| ([^|]+) \\|")
)

// madeMetrics returns the labels of the gate's own metrics, by name.
func madeMetrics() map[string]string {
	made := map[string]string{}
	all := make(chan *prometheus.Desc)
	go func() {
		New().registry.Describe(all)
		close(all)
	}()
	for d := range all {
		if m := description.FindStringSubmatch(d.String()); m != nil && strings.HasPrefix(m[1], "sallyport_") {
			made[m[1]] = m[2]
		}
	}
	return made
}

// TestDocumentation compares the table in configs/metrics.md with the metrics and their labels.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../configs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]string{}
	for _, row := range documented.FindAllStringSubmatch(string(text), -1) {
		written[row[1]] = strings.NewReplacer("`", "", " ", "", "none", "").Replace(row[2])
	}
	made := madeMetrics()
	if len(made) < 10 || !maps.Equal(made, written) {
		t.Errorf("the metrics and their labels are %v,\nthe page has %v", made, written)
	}
}

// TestRequests checks what is counted of requests, that a route that is gone leaves nothing behind, and that a late request of it doesn't
// bring it back.
func TestRequests(t *testing.T) {
	m := New()
	app, gone := m.Route("app"), m.Route("gone")
	app.Record(Request{Flow: "bearer", Status: 204, Own: time.Millisecond, Upstream: 2 * time.Second})
	app.Record(Request{Flow: "bearer", Status: 200, Own: time.Millisecond})
	app.Record(Request{Refusal: "no_credential", Status: 401})
	gone.Record(Request{Status: 200, Upstream: time.Second})
	gone.StreamBegins()
	m.KeepRoutes(map[*Requests]bool{app: true})
	gone.Record(Request{Status: 302, Refusal: "late"})
	gone.StreamEnds()
	if m.Route("app") != app {
		t.Error("a route that stays has a new recorder, expected the same")
	}
	text := scrape(t, m, false)
	mustHave(t, ours(text),
		`sallyport_requests_total{flow="bearer",reason="",route="app",status_class="2xx"} 2`,
		`sallyport_requests_total{flow="",reason="no_credential",route="app",status_class="4xx"} 1`,
		`sallyport_request_duration_seconds_count{route="app"} 3`,
		`sallyport_request_duration_seconds_bucket{route="app",le="0.001"} 3`,
		`sallyport_upstream_duration_seconds_count{route="app"} 1`,
		`sallyport_streams{route="app"} 0`)
	if strings.Contains(text, `route="gone"`) {
		t.Errorf("a route that is gone is still there:\n%s", text)
	}
}

// TestExemplars checks that only a sampled request leaves the ID of its trace, and that the answer ends as OpenMetrics does.
func TestExemplars(t *testing.T) {
	m := New()
	m.Route("app").Record(Request{Status: 200, Own: 3 * time.Millisecond, TraceID: "0af7651916cd43dd8448eb211c80319c"})
	m.Route("other").Record(Request{Status: 200, Own: 3 * time.Millisecond})
	text := scrape(t, m, true)
	with := `sallyport_request_duration_seconds_bucket{route="app",le="0.005"} 1 # {trace_id="0af7651916cd43dd8448eb211c80319c"} 0.003 `
	if !strings.Contains(text, with) || strings.Count(text, "trace_id") != 1 || !strings.HasSuffix(text, "\n# EOF\n") {
		t.Errorf("expected one exemplar, %s, and # EOF at the end, in\n%s", with, strings.Join(ours(text), "\n"))
	}
}

func mustRequest(t *testing.T) *http.Request {
	t.Helper()
	return httptest.NewRequest(http.MethodPost, "https://idp/token", nil)
}

// TestCalls checks the outcomes of calls, and that an issuer that is gone leaves nothing behind.
func TestCalls(t *testing.T) {
	m := New()
	of := map[string]bool{}
	for _, tc := range []struct {
		outcome string
		status  int
		err     error
	}{
		{"ok", 200, nil}, {"ok", 302, nil}, {"refused", 400, nil}, {"failed", 503, nil}, {"failed", 200, io.ErrUnexpectedEOF},
		{"unreachable", 0, io.EOF}, {"cancelled", 0, context.Canceled},
	} {
		of[tc.outcome] = true
		_, call := m.Issuer("https://idp").Call(tc.outcome+"-"+strconv.Itoa(tc.status), mustRequest(t))
		call.End(tc.status, tc.err)
	}
	text := scrape(t, m, false)
	for outcome := range of {
		line := regexp.MustCompile(`(?m)^sallyport_issuer_requests_total{endpoint="` +
			outcome + `-\d+",issuer="https://idp",outcome="` + outcome + `"} [12]$`)
		if !line.MatchString(text) {
			t.Errorf("no line matches %s in\n%s", line, strings.Join(ours(text), "\n"))
		}
	}
	gone := m.Issuer("https://idp")
	m.KeepIssuers(map[string]bool{"https://other": true})
	_, late := gone.Call("token", mustRequest(t))
	late.End(200, nil)
	if text := scrape(t, m, false); strings.Contains(text, "https://idp") {
		t.Errorf("an issuer that is gone is still there:\n%s", text)
	}
}

// TestLabelsAreUTF8 checks that a route whose file has a name in another encoding has metrics.
func TestLabelsAreUTF8(t *testing.T) {
	m := New()
	m.Route("caf\xe9").Record(Request{Status: 200})
	mustHave(t, ours(scrape(t, m, false)), `sallyport_request_duration_seconds_count{route="caf�"} 1`)
}

// TestState checks that of equal labels the lowest value counts, and that times that aren't known are absent.
func TestState(t *testing.T) {
	m := New()
	at := time.Unix(1_700_000_000, 0)
	m.Watch(func() State {
		return State{
			Issuers: []IssuerState{
				{URL: "https://a", Metadata: at, Keys: at}, {URL: "https://a", Metadata: at.Add(-time.Minute)}, {URL: "https://b"},
			},
			Certificates: []Certificate{{"listener", ":8443", at}},
			Parts:        []Part{{"redis", "", true}, {"redis", "", false}, {"issuer", "https://a", true}},
			Targets:      []Target{{"app", "http://a", true}, {"other", "http://b", true}, {"other", "http://b", false}},
			Sessions:     7,
		}
	})
	lines := ours(scrape(t, m, false))
	mustHave(t, lines,
		`sallyport_issuer_metadata_fetched_timestamp_seconds{issuer="https://a"} 1.69999994e+09`,
		`sallyport_issuer_keys_fetched_timestamp_seconds{issuer="https://a"} 1.7e+09`,
		`sallyport_certificate_expiry_timestamp_seconds{name=":8443",use="listener"} 1.7e+09`,
		`sallyport_part_up{issuer="",part="redis"} 0`, `sallyport_part_up{issuer="https://a",part="issuer"} 1`,
		`sallyport_upstream_target_healthy{route="app",target="http://a"} 1`,
		`sallyport_upstream_target_healthy{route="other",target="http://b"} 0`,
		`sallyport_sessions 7`)
	if strings.Contains(strings.Join(lines, ""), "https://b") {
		t.Error("an issuer without documents has times")
	}
}

// TestNoAllocations checks that recording a request allocates nothing, with metrics and without.
func TestNoAllocations(t *testing.T) {
	for name, r := range map[string]*Requests{"off": nil, "on": New().Route("app")} {
		n := testing.AllocsPerRun(100, func() {
			r.Record(Request{Flow: "bearer", Status: 200, Own: time.Millisecond, Upstream: time.Millisecond})
			r.StreamBegins()
			r.StreamEnds()
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkRecord(b *testing.B) {
	r := New().Route("app")
	for b.Loop() {
		r.Record(Request{Flow: "bearer", Status: 200, Own: time.Millisecond, Upstream: time.Millisecond})
	}
}
