package telemetry

import (
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The label route of requests that aren't counted by their route's name.
const (
	NoRoute     = "none"  // requests that no route matches, and those for the process's own endpoints
	OtherRoutes = "other" // routes above metrics.max_routes
)

// Requests records the requests of one route. Its labels are bound, so that a request costs no look-up of them. A nil *Requests records
// nothing. It is safe for concurrent use.
type Requests struct {
	metrics  *Metrics
	route    string
	own      observer
	upstream observer
	streams  prometheus.Gauge

	mu       sync.Mutex                                     // guards changes of counters, and gone
	gone     bool                                           // no configuration has the route any more
	counters atomic.Pointer[map[outcome]prometheus.Counter] // replaced as a whole: a request only reads it
}

// An observer observes a value, with the ID of the request's trace as its exemplar unless it is empty.
type observer struct {
	prometheus.Observer
	prometheus.ExemplarObserver
}

func newObserver(o prometheus.Observer) observer { return observer{o, o.(prometheus.ExemplarObserver)} }

func (o observer) observe(d time.Duration, traceID string) {
	if traceID == "" {
		o.Observe(d.Seconds())
		return
	}
	o.ObserveWithExemplar(d.Seconds(), prometheus.Labels{"trace_id": traceID})
}

// An outcome has the values of the labels of sallyport_requests_total. All are constants of the program.
type outcome struct {
	flow, refusal string
	class         int // 1 to 5
}

// A Request is what is recorded of one request.
type Request struct {
	Flow     string        // whose credential counted; empty: none
	Refusal  string        // its reason; empty: none
	Status   int           // of the response
	Own      time.Duration // until the request was sent to the upstream, or was answered by the gate
	Upstream time.Duration // from then to the header of the upstream's response; 0: it was not sent
	TraceID  string        // in hexadecimal; empty: the request's trace isn't sampled
}

// Route returns the recorder of a route. Routes with the same name share it.
func (m *Metrics) Route(name string) *Requests {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = label(name)
	if r := m.routes[name]; r != nil {
		return r
	}
	r := &Requests{
		metrics: m, route: name, own: newObserver(m.own.WithLabelValues(name)), upstream: newObserver(m.upstream.WithLabelValues(name)),
		streams: m.streams.WithLabelValues(name),
	}
	r.counters.Store(&map[outcome]prometheus.Counter{})
	m.routes[name] = r
	return r
}

// KeepRoutes deletes the values of all routes but those that used has. Requests of a deleted route that are still under way are no longer
// recorded.
func (m *Metrics) KeepRoutes(used map[*Requests]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, r := range m.routes {
		if !used[r] {
			r.remove()
			delete(m.routes, name)
		}
	}
}

func (r *Requests) remove() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gone = true
	of := prometheus.Labels{"route": r.route}
	r.metrics.requests.DeletePartialMatch(of)
	r.metrics.own.Delete(of)
	r.metrics.upstream.Delete(of)
	r.metrics.streams.Delete(of)
}

// Record records a request.
func (r *Requests) Record(q Request) {
	if r == nil {
		return
	}
	o := outcome{q.Flow, q.Refusal, q.Status / 100}
	counter := (*r.counters.Load())[o]
	if counter == nil {
		if counter = r.add(o); counter == nil {
			return
		}
	}
	counter.Inc()
	r.own.observe(q.Own, q.TraceID)
	if q.Upstream > 0 {
		r.upstream.observe(q.Upstream, q.TraceID)
	}
}

// add returns the counter of an outcome that this recorder has not had before, or nil if the route is gone.
func (r *Requests) add(o outcome) prometheus.Counter {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return nil
	}
	next := maps.Clone(*r.counters.Load())
	c := r.metrics.requests.WithLabelValues(r.route, o.flow, strconv.Itoa(o.class)+"xx", o.refusal)
	next[o] = c
	r.counters.Store(&next)
	return c
}

// StreamBegins records that a request has become a stream.
func (r *Requests) StreamBegins() {
	if r != nil {
		r.streams.Inc()
	}
}

// StreamEnds records the end of a stream.
func (r *Requests) StreamEnds() {
	if r != nil {
		r.streams.Dec()
	}
}
