package app

import (
	"net/http"
	"strings"

	"sallyport/internal/config"
	"sallyport/internal/telemetry"
)

// serveMetrics returns the handler of /metrics.
func (s *server) serveMetrics() http.HandlerFunc {
	metrics := s.state.metrics.Handler()
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.running().Metrics.Enabled {
			http.Error(w, "metrics.enabled is false", http.StatusNotFound)
			return
		}
		metrics.ServeHTTP(w, r)
	}
}

// recorder returns the recorder of a name's requests, or nil if metrics are off.
func (b *builder) recorder(file *config.File, name string) *telemetry.Requests {
	if !file.Metrics.Enabled {
		return nil
	}
	r := b.state.metrics.Route(name)
	b.recorders[r] = true
	return r
}

// routeLabel returns the label route of the route with index n. The routes above metrics.max_routes share one.
func routeLabel(file *config.File, n int) string {
	if n >= file.Metrics.MaxRoutes {
		return telemetry.OtherRoutes
	}
	return file.Routes[n].Name
}

// targets returns the states of the targets of the running configuration, by route.
func (b *builder) targets() (all []telemetry.Target) {
	for n, r := range b.routes {
		for _, t := range r.Upstream.Targets() {
			all = append(all, telemetry.Target{Route: routeLabel(b.file, n), Name: t.Name, Usable: t.Usable})
		}
	}
	return all
}

// measure returns the state of the process for a scrape.
func (s *server) measure() (state telemetry.State) {
	for key, err := range s.readiness.errors() {
		class, name, _ := strings.Cut(key, " ")
		if class != "issuer" {
			name = ""
		}
		state.Parts = append(state.Parts, telemetry.Part{Class: class, Issuer: name, Up: err == nil})
	}
	for _, i := range s.state.issuers.all() {
		_, fetched := i.Document()
		state.Issuers = append(state.Issuers, telemetry.IssuerState{URL: i.URL(), Metadata: fetched, Keys: i.KeysFetched()})
	}
	for _, set := range s.state.sessions.all() {
		state.Sessions += set.InMemory()
		state.Unacknowledged += set.Unacknowledged()
	}
	for _, r := range s.state.redises.all() {
		state.Unacknowledged += r.Unacknowledged()
	}
	if b := s.builder.Load(); b != nil {
		state.Targets = b.targets()
	}
	state.Certificates = s.certificates()
	return state
}

// certificates returns the certificates that the gate shows: of a listener by its address, or by ACME for each host. Those that a client
// doesn't have are without a time.
func (s *server) certificates() (all []telemetry.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.doors {
		if d.tls == nil {
			continue
		}
		for _, pair := range d.tls.Load().Certificates {
			all = append(all, telemetry.Certificate{Use: "listener", Name: d.address, Expires: pair.Leaf.NotAfter})
		}
	}
	if s.certifier != nil {
		for host, expires := range s.certifier.Expiries() {
			all = append(all, telemetry.Certificate{Use: "listener", Name: host, Expires: expires})
		}
	}
	for _, clients := range s.state.clients.all() {
		for _, c := range clients {
			all = append(all, telemetry.Certificate{Use: "issuer", Name: c.Issuer().URL(), Expires: c.CertificateExpires()})
		}
	}
	for _, u := range s.state.upstreams.all() {
		host, expires := u.Certificate()
		all = append(all, telemetry.Certificate{Use: "upstream", Name: host, Expires: expires})
	}
	return all
}
