package app

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"sallyport/internal/config"
	"sallyport/internal/provider"
	"sallyport/internal/redis/redistest"
)

// A receiver is an OTLP receiver over HTTP, an issuer, an upstream, and a gate that exports to the receiver.
type receiver struct {
	*testing.T
	gate   string // its URL
	admin  string
	issuer *provider.Provider
	log    output
	stop   func() // stops the gate, which exports all that is left

	mu       sync.Mutex
	spans    []*otlp.Span
	upstream http.Header // of the last request to the upstream
}

func newReceiver(t *testing.T, process, oidc string) *receiver {
	v := &receiver{T: t}
	server := func(serve http.HandlerFunc) string {
		s := httptest.NewServer(serve)
		t.Cleanup(s.Close)
		return s.URL
	}
	upstream := server(func(w http.ResponseWriter, r *http.Request) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.upstream = r.Header.Clone()
		io.WriteString(w, "welcome")
	})
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server(v.receive))
	v.issuer = provider.Start(t, provider.Config{
		Clients: []provider.Client{{ID: "app", Secret: "app-secret", RedirectURIs: []string{"http://127.0.0.1/oauth2/callback"}}},
		Users:   []provider.User{{Username: "john", Password: "doe"}},
	})
	name := filepath.Join(t.TempDir(), "gate.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:0\nadmin: {listen: 127.0.0.1:0}\n%s\nroute: {upstream: %q}\n"+
		"oidc: {issuer: %q, client_id: app, client_secret: app-secret, session_secret: %s%s}\n",
		process, upstream, v.issuer.URL, strings.Repeat("s", 32), oidc)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, Options{Config: config.FromFile(name), Log: &v.log}) }()
	v.stop = sync.OnceFunc(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(v.stop)
	v.gate = "http://" + v.log.await(t, `"for":"clients","address":"([^"]+)"`)
	v.admin = "http://" + v.log.await(t, `"for":"admin","address":"([^"]+)"`)
	return v
}

func (v *receiver) receive(w http.ResponseWriter, r *http.Request) {
	body := r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(r.Body)
	}
	b, err := io.ReadAll(body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(b, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		v.Errorf("an export to %s: %v", r.URL.Path, err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, resource := range request.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			v.spans = append(v.spans, scope.Spans...)
		}
	}
}

// get sends a request with an access token to the gate, and returns the header that the upstream received.
func (v *receiver) get(path string, header ...string) http.Header {
	v.Helper()
	r, err := http.NewRequest(http.MethodGet, v.gate+path, nil)
	if err != nil {
		v.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+v.issuer.AccessToken("john", "app", nil))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		v.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		v.Fatalf("GET %s: %s", path, res.Status)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.upstream
}

// exported stops the gate and returns all spans.
func (v *receiver) exported() []*otlp.Span {
	v.stop()
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.spans
}

// under returns the names of the spans whose parent is a span, in the order of their starts.
func under(all []*otlp.Span, parent *otlp.Span) (names []string) {
	var found []*otlp.Span
	for _, s := range all {
		if string(s.ParentSpanId) == string(parent.SpanId) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *otlp.Span) int { return int(a.StartTimeUnixNano) - int(b.StartTimeUnixNano) })
	for _, s := range found {
		names = append(names, s.Name)
	}
	return names
}

// attribute returns an attribute of a span as text.
func attribute(s *otlp.Span, name string) string {
	for _, a := range s.Attributes {
		if a.Key == name {
			return strings.Trim(strings.TrimPrefix(strings.TrimPrefix(a.Value.String(), "string_value:"), "int_value:"), `"`)
		}
	}
	return ""
}

// TestTraceOfALogin checks the spans of a login, that the upstream and, by setting, the issuer get traceparent, that the log and exemplars
// of the metrics name the trace, and that no span has anything of the user or the code.
func TestTraceOfALogin(t *testing.T) {
	v := newReceiver(t, "tracing: {issuers: true}", "")
	jar, _ := cookiejar.New(nil)
	res, err := v.issuer.LogIn(&http.Client{Jar: jar, Timeout: 10 * time.Second}, v.gate+"/private?secret=1", "john", "doe")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	scraped := v.scrape()
	all := v.exported()
	var callback *otlp.Span
	for _, s := range all {
		if attribute(s, "sallyport.endpoint") == "callback" && s.Kind == otlp.Span_SPAN_KIND_SERVER {
			callback = s
		}
		text := s.String()
		for _, private := range []string{"private", "secret", "john", "code=", "state="} {
			if strings.Contains(text, private) {
				t.Errorf("a span has %q: %s", private, text)
			}
		}
	}
	if callback == nil {
		t.Fatalf("no span of the redirection endpoint among %v", all)
	}
	if names := under(all, callback); strings.Join(names, " ") != "match endpoint" {
		t.Errorf("the spans of the callback are %v", names)
	}
	if attribute(callback, "sallyport.route") != "gate" || attribute(callback, "http.response.status_code") != "303" {
		t.Errorf("the callback's span is %s", callback)
	}
	var page *otlp.Span
	var token bool
	for _, s := range all {
		token = token || s.Name == "issuer token" && string(s.TraceId) == string(callback.TraceId)
		if s.Name == "GET gate" && attribute(s, "sallyport.flow") == "session" {
			page = s
		}
	}
	if !token || page == nil {
		t.Fatalf("expected a call of the token endpoint, and a span of the page, among %v", all)
	}
	if names := under(all, page); strings.Join(names, " ") != "match precheck authenticate authorize forward" {
		t.Errorf("the spans of the page are %v", names)
	}
	id := fmt.Sprintf("%x", page.TraceId)
	if sent := v.upstream.Get("Traceparent"); !strings.HasPrefix(sent, "00-"+id+"-") || !strings.HasSuffix(sent, "-01") {
		t.Errorf("the upstream got traceparent %q, expected the trace %s", sent, id)
	}
	if sent := v.issuer.LastHeader(provider.Token).Get("Traceparent"); !strings.HasPrefix(sent, fmt.Sprintf("00-%x-", callback.TraceId)) {
		t.Errorf("the issuer got traceparent %q", sent)
	}
	v.log.await(t, `"trace_id":"`+id+`"`)
	if !regexp.MustCompile(`sallyport_request_duration_seconds_bucket{.*# {trace_id="` + id + `"}`).MatchString(scraped) {
		t.Errorf("no exemplar has the trace %s in\n%s", id, scraped)
	}
}

// scrape returns the metrics as OpenMetrics.
func (v *receiver) scrape() string {
	v.Helper()
	r, err := http.NewRequest(http.MethodGet, v.admin+"/metrics", nil)
	if err != nil {
		v.Fatal(err)
	}
	r.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		v.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		v.Fatal(err)
	}
	return string(body)
}

// TestCommandsOfRedis checks that a request's commands have spans under the step that sends them, without their arguments.
func TestCommandsOfRedis(t *testing.T) {
	server := redistest.Start(t)
	v := newReceiver(t, "", fmt.Sprintf(", session_storage: redis, session_near_cache: 0, redis: {port: %d}", server.Port))
	jar, _ := cookiejar.New(nil)
	browser := &http.Client{Jar: jar, Timeout: 10 * time.Second}
	res, err := v.issuer.LogIn(browser, v.gate+"/", "john", "doe")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	all, found := v.exported(), false
	for _, s := range all {
		if s.Name == "authenticate" && slices.Contains(under(all, s), "redis get") {
			found = true
		}
		if strings.HasPrefix(s.Name, "redis ") && len(s.Attributes) > 0 {
			t.Errorf("the span of a command has attributes: %s", s)
		}
	}
	if !found {
		t.Errorf("no step authenticate has a command get among %v", all)
	}
}

// TestWhoseTraceCounts checks that only a trusted proxy names the trace and decides whether it is sampled, that a doubled traceparent
// counts as none, and that nobody's baggage passes.
func TestWhoseTraceCounts(t *testing.T) {
	const id, unsampled = "0af7651916cd43dd8448eb211c80319c", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	proxy := []string{"X-Forwarded-For", "192.0.2.1", "Baggage", "user=john", "Traceparent", unsampled}
	for _, tc := range []struct {
		name, process string
		header        []string
		joins         bool
	}{
		{"a trusted proxy", "trusted_proxies: [127.0.0.1]", proxy, true},
		{"a stranger", "", proxy, false},
		{"with none", "trusted_proxies: [127.0.0.1]\ntracing: {trust_incoming: none}", proxy, false},
		{"doubled", "trusted_proxies: [127.0.0.1]", append(proxy, "Traceparent", unsampled), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newReceiver(t, tc.process, "")
			sent := v.get("/", tc.header...)
			got := sent.Values("Traceparent")
			if len(got) != 1 || strings.Contains(got[0], id) != tc.joins || strings.HasSuffix(got[0], "-00") != tc.joins {
				t.Errorf("the upstream got traceparent %q, expected one of the same trace, not sampled: %v", got, tc.joins)
			}
			if sent.Get("Baggage") != "" {
				t.Errorf("the upstream got baggage %q", sent.Get("Baggage"))
			}
			if v.issuer.LastHeader(provider.JWKS).Get("Traceparent") != "" {
				t.Error("the issuer got traceparent without tracing.issuers")
			}
			if all := v.exported(); (len(all) == 0) != tc.joins {
				t.Errorf("%d spans are exported: %v", len(all), all)
			}
		})
	}
}

// TestNoTraces checks that without an endpoint, what a client sends passes as it is.
func TestNoTraces(t *testing.T) {
	v := newReceiver(t, "", "")
	v.stop()
	t.Setenv("OTEL_SDK_DISABLED", "true")
	v = newReceiver(t, "", "")
	const sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if got := v.get("/", "Traceparent", sent, "Baggage", "a=b"); got.Get("Traceparent") != sent || got.Get("Baggage") != "a=b" {
		t.Errorf("the upstream got %v", got)
	}
	if all := v.exported(); len(all) > 0 {
		t.Errorf("%d spans are exported", len(all))
	}
}
