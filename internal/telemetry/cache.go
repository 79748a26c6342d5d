package telemetry

import "github.com/prometheus/client_golang/prometheus"

// A Cache counts the look-ups in caches of one kind. A nil *Cache counts nothing.
type Cache struct{ hits, misses prometheus.Counter }

// Cache returns the counters of a kind of cache, whose name is a constant of the program. A nil *Metrics has none.
func (m *Metrics) Cache(name string) *Cache {
	if m == nil {
		return nil
	}
	return &Cache{m.caches.WithLabelValues(name, "hit"), m.caches.WithLabelValues(name, "miss")}
}

// Found counts a look-up.
func (c *Cache) Found(hit bool) {
	switch {
	case c == nil:
	case hit:
		c.hits.Inc()
	default:
		c.misses.Inc()
	}
}
