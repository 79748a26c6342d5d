// Package telemetry has the gate's metrics and traces. The packages above it report what they do to small recorders, whose labels are bound
// when the configuration is loaded: a request costs a few atomic additions.
//
// No label has a name, a token, a query, or anything that a client can choose, and so anyone may read the metrics.
package telemetry

import (
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the metrics of the process. They outlive reloads. The methods of recorders do nothing for a nil recorder.
type Metrics struct {
	registry *prometheus.Registry

	requests  *prometheus.CounterVec
	own       *prometheus.HistogramVec
	upstream  *prometheus.HistogramVec
	streams   *prometheus.GaugeVec
	calls     *prometheus.CounterVec
	callTime  *prometheus.HistogramVec
	caches    *prometheus.CounterVec
	refreshes *prometheus.CounterVec
	build     *prometheus.GaugeVec
	reloadOK  prometheus.Gauge
	reloaded  prometheus.Gauge
	collector stateCollector

	mu      sync.Mutex
	routes  map[string]*Requests // by the label route
	issuers map[string]*Issuer   // by the label issuer
}

// Buckets in seconds. The gate's own time is below a millisecond for most requests, and as long as the issuer's answer for some.
var (
	ownBuckets      = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	callBuckets     = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
	upstreamBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
)

// New returns metrics without values.
func New() *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), routes: map[string]*Requests{}, issuers: map[string]*Issuer{}}
	m.requests = m.counters("sallyport_requests_total",
		"Requests by route, by the flow whose credential counted, by the class of the status, and by the reason of a refusal.",
		"route", "flow", "status_class", "reason")
	m.own = m.histograms("sallyport_request_duration_seconds",
		"The gate's own time for a request: until it goes to the upstream, or until the gate has answered it itself.",
		ownBuckets, "route")
	m.upstream = m.histograms("sallyport_upstream_duration_seconds",
		"The time from sending a request to the upstream until the header of its response, or its failure.", upstreamBuckets, "route")
	m.streams = m.gauges("sallyport_streams",
		"Requests of a session that the upstream is still answering after half a second, such as WebSockets.", "route")
	m.calls = m.counters("sallyport_issuer_requests_total", "Calls to issuers by endpoint and outcome.", "issuer", "endpoint", "outcome")
	m.callTime = m.histograms("sallyport_issuer_request_duration_seconds", "The time that a call to an issuer took.",
		callBuckets, "issuer", "endpoint")
	m.caches = m.counters("sallyport_cache_requests_total", "Look-ups in caches; a miss mostly costs a call to the issuer.",
		"cache", "result")
	m.refreshes = m.counters("sallyport_session_refreshes_total",
		"Refreshes of sessions: won, waited for another's, refused by the issuer, failed.", "result")
	m.build = m.gauges("sallyport_build_info", "Always 1; the labels say which version runs.", "version", "commit", "goversion")
	m.reloadOK = m.gauges("sallyport_config_last_reload_successful",
		"1 if the configuration that was last read is the running one, 0 if it was refused.").WithLabelValues()
	m.reloaded = m.gauges("sallyport_config_last_reload_success_timestamp_seconds",
		"When the running configuration was loaded.").WithLabelValues()
	m.registry.MustRegister(&m.collector, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) gauges(name, help string, labels ...string) *prometheus.GaugeVec {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(v)
	return v
}

func (m *Metrics) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(v)
	return v
}

// maxScrapes is how many scrapes are answered at once: strangers may scrape, too.
const maxScrapes = 4

// Handler returns the handler of /metrics. It writes OpenMetrics, with exemplars, for a client that accepts that.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: maxScrapes})
}

// SetBuild records which version runs.
func (m *Metrics) SetBuild(version, commit string) {
	m.build.WithLabelValues(version, commit, runtime.Version()).Set(1)
}

// Loaded records that a configuration became the running one.
func (m *Metrics) Loaded(at time.Time) {
	m.reloadOK.Set(1)
	m.reloaded.Set(seconds(at))
}

// Refused records that a configuration was refused, and the one before goes on.
func (m *Metrics) Refused() { m.reloadOK.Set(0) }

// seconds returns a time as Prometheus writes it.
func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// label returns a text as the value of a label, which must be UTF-8.
func label(text string) string { return strings.ToValidUTF8(text, "�") }
