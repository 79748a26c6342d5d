package telemetry

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A State has what is counted at the time of a scrape, and not when it changes.
type State struct {
	Issuers      []IssuerState
	Certificates []Certificate
	Parts        []Part
	Targets      []Target
	Sessions     int // in memory

	Unacknowledged uint64 // writes of sessions and tokens that ended without the confirmation of enough replicas of Redis
}

// An IssuerState says how old an issuer's documents are. A zero time means that there is none.
type IssuerState struct {
	URL            string
	Metadata, Keys time.Time // when they were fetched
}

// A Certificate is a certificate that the gate shows: to clients, to an issuer or to an upstream.
type Certificate struct {
	Use     string // listener, issuer or upstream
	Name    string // the address of the listener or the host of its certificate, the issuer's URL, or the upstream's host
	Expires time.Time
}

// A Part is a server that the gate needs, or its certificates by ACME.
type Part struct {
	Class  string // issuer, redis or certificates
	Issuer string // its URL; empty for others
	Up     bool   // the last call or probe succeeded
}

// A Target is a target of the upstream of a route.
type Target struct {
	Route, Name string
	Usable      bool // it gets requests
}

// Watch makes scrapes read the state of a function.
func (m *Metrics) Watch(state func() State) { m.collector.state.Store(&state) }

// A stateCollector collects the metrics of a State.
type stateCollector struct{ state atomic.Pointer[func() State] }

var (
	metadataFetched = prometheus.NewDesc("sallyport_issuer_metadata_fetched_timestamp_seconds",
		"When the issuer's metadata was last fetched; absent before the first time.", []string{"issuer"}, nil)
	keysFetched = prometheus.NewDesc("sallyport_issuer_keys_fetched_timestamp_seconds",
		"When the issuer's keys were last fetched; absent before the first time.", []string{"issuer"}, nil)
	certificateExpiry = prometheus.NewDesc("sallyport_certificate_expiry_timestamp_seconds",
		"When a certificate of the gate expires: of a listener, or of the gate as a client of an issuer or an upstream.",
		[]string{"use", "name"}, nil)
	partUp = prometheus.NewDesc("sallyport_part_up",
		"1 if the last call to an issuer or to Redis succeeded, or all hosts have certificates by ACME; 0 if not.",
		[]string{"part", "issuer"}, nil)
	targetHealthy = prometheus.NewDesc("sallyport_upstream_target_healthy",
		"1 if a target of an upstream gets requests, 0 if it is ejected or fails its health checks.", []string{"route", "target"}, nil)
	sessionsInMemory = prometheus.NewDesc("sallyport_sessions",
		"Sessions in the memory of this process. Those in Redis and in cookies aren't counted.", nil, nil)
	unacknowledged = prometheus.NewDesc("sallyport_redis_unacknowledged_writes_total",
		"Writes of sessions and tokens that ended without the confirmation of redis.wait_replicas replicas.", nil, nil)
)

// Describe sends the descriptions of the metrics.
func (c *stateCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		metadataFetched, keysFetched, certificateExpiry, partUp, targetHealthy, sessionsInMemory, unacknowledged,
	} {
		to <- d
	}
}

// Collect sends the metrics of the current state. Of several with the same labels, such as issuers that routes reach with different
// settings, it sends the lowest value: the oldest document, the certificate that expires first, the part that is away.
func (c *stateCollector) Collect(to chan<- prometheus.Metric) {
	state := c.state.Load()
	if state == nil {
		return
	}
	s, all := (*state)(), lowest{}
	for _, i := range s.Issuers {
		all.addTime(metadataFetched, i.Metadata, label(i.URL))
		all.addTime(keysFetched, i.Keys, label(i.URL))
	}
	for _, t := range s.Certificates {
		all.addTime(certificateExpiry, t.Expires, t.Use, label(t.Name))
	}
	for _, p := range s.Parts {
		all.add(partUp, oneIf(p.Up), p.Class, label(p.Issuer))
	}
	for _, t := range s.Targets {
		all.add(targetHealthy, oneIf(t.Usable), label(t.Route), label(t.Name))
	}
	all.add(sessionsInMemory, float64(s.Sessions))
	to <- prometheus.MustNewConstMetric(unacknowledged, prometheus.CounterValue, float64(s.Unacknowledged))
	for series, value := range all {
		to <- prometheus.MustNewConstMetric(series.desc, prometheus.GaugeValue, value, series.labels[:series.count]...)
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// lowest has the lowest value of each series.
type lowest map[series]float64

type series struct {
	desc   *prometheus.Desc
	labels [2]string
	count  int
}

func (l lowest) add(d *prometheus.Desc, value float64, labels ...string) {
	s := series{desc: d, count: len(labels)}
	copy(s.labels[:], labels)
	if before, found := l[s]; !found || value < before {
		l[s] = value
	}
}

// addTime adds a time, unless it is zero.
func (l lowest) addTime(d *prometheus.Desc, t time.Time, labels ...string) {
	if !t.IsZero() {
		l.add(d, seconds(t), labels...)
	}
}
