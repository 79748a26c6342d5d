package app

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	startTimeout  = 10 * time.Second // after it the gate is ready, even if a dependency hasn't answered yet
	startInterval = time.Second      // between two probes until every dependency has answered
	probeInterval = 5 * time.Second  // between two probes after that
	probeTimeout  = 2 * time.Second  // of one probe
)

// A dependency is what the gate needs: an issuer, a Redis server, or the certificates by ACME.
type dependency struct {
	class string // "issuer", "redis" or "certificates": readiness shows only this to requests without the admin token
	name  string
	probe func(context.Context, *dependencyState) error // is given the state after the last probe

	// onlyReported means that it never makes the gate unready: what brings it back needs the requests that readiness would take away.
	onlyReported bool
}

// A dependencyState is the outcome of the probes of a dependency.
type dependencyState struct {
	answered bool  // at least once
	err      error // of the last probe

	onlyReported bool
}

// readiness probes the dependencies of the running configuration and holds their states. It outlives reloads.
type readiness struct {
	log   *slog.Logger
	start time.Time
	now   func() time.Time

	mu     sync.Mutex
	probed bool                        // all dependencies were probed once
	states map[string]*dependencyState // by class and name
}

func newReadiness(log *slog.Logger) *readiness {
	return &readiness{log: log, start: time.Now(), now: time.Now, states: map[string]*dependencyState{}}
}

// watch probes the dependencies until ctx ends.
func (r *readiness) watch(ctx context.Context, dependencies func() []dependency) {
	var once sync.Once
	for {
		r.probe(ctx, dependencies())
		wait := startInterval
		if !r.starting() {
			wait = probeInterval
			once.Do(func() { r.log.Info("ready") })
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// probe probes all dependencies at once.
func (r *readiness) probe(ctx context.Context, dependencies []dependency) {
	states := make(map[string]*dependencyState, len(dependencies))
	var probes sync.WaitGroup
	for _, d := range dependencies {
		key := d.class + " " + d.name
		before := r.state(key)
		now := before
		states[key] = &now
		probes.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, probeTimeout)
			defer cancel()
			now.err = d.probe(ctx, &before)
			now.onlyReported = d.onlyReported
			now.answered = before.answered || now.err == nil || d.onlyReported
			r.logChange(d, before, now)
		})
	}
	probes.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.states, r.probed = states, true
}

func (r *readiness) state(key string) dependencyState {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.states[key]; s != nil {
		return *s
	}
	return dependencyState{}
}

// logChange logs that a dependency fails, once for each error, and that it works again.
func (r *readiness) logChange(d dependency, before, now dependencyState) {
	switch {
	case now.err != nil && (before.err == nil || before.err.Error() != now.err.Error()):
		r.log.Warn("a part that the gate needs can't be used", "part", d.class, "name", d.name, "error", now.err)
	case now.err == nil && before.err != nil:
		r.log.Info("a part that the gate needs can be used again", "part", d.class, "name", d.name)
	}
}

// starting reports whether the gate still waits for the first answer of a dependency.
func (r *readiness) starting() bool {
	r.mu.Lock()
	probed := r.probed
	r.mu.Unlock()
	if r.now().Sub(r.start) > startTimeout {
		return false
	}
	return !probed || len(r.filter(func(s *dependencyState) bool { return !s.answered })) > 0
}

// failing reports whether a dependency can't be used.
func (r *readiness) failing() bool {
	return len(r.filter(func(s *dependencyState) bool { return failed(s) && !s.onlyReported })) > 0
}

func failed(s *dependencyState) bool { return s.err != nil }

// filter returns the keys of the states for which f is true, sorted.
func (r *readiness) filter(f func(*dependencyState) bool) (keys []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(r.states)) {
		if f(r.states[key]) {
			keys = append(keys, key)
		}
	}
	return keys
}

// errors returns why the last probe of each dependency failed, or nil, by class and name.
func (r *readiness) errors() map[string]error {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]error{}
	for key, s := range r.states {
		all[key] = s.err
	}
	return all
}

// report returns the body of an answer about readiness. After the first line, each line names a dependency that can't be used: its class,
// and if detailed is true its name and the error, too.
func (r *readiness) report(first string, detailed bool) string {
	lines := []string{first}
	for _, key := range r.filter(failed) {
		class, _, _ := strings.Cut(key, " ")
		line := class + ": can't be used"
		if s := r.state(key); detailed && s.err != nil {
			line = fmt.Sprintf("%s: %v", key, s.err)
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// ready serves /readyz. After the start it stays 200 if a dependency fails, and only reports that: a server that all replicas share must
// not take all of them out at once. With readiness: strict it is 503 then.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	status, first := s.isReady()
	detailed := s.isAdmin(r)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	fmt.Fprint(w, s.readiness.report(first, detailed), s.reportConfiguration(detailed))
}

// isReady returns the status of an answer about readiness, and its first line.
func (s *server) isReady() (status int, first string) {
	switch {
	case s.draining.Load():
		return http.StatusServiceUnavailable, "stopping"
	case s.readiness.starting():
		return http.StatusServiceUnavailable, "starting"
	case s.running().Readiness == "strict" && s.readiness.failing():
		return http.StatusServiceUnavailable, "not ready"
	}
	return http.StatusOK, "ready"
}

// reportConfiguration returns the lines about the running configuration: its digest, which is the same in all replicas that have the same
// settings, and whether the last reload was refused, and why if detailed is true. A refused reload doesn't make the gate unready.
func (s *server) reportConfiguration(detailed bool) string {
	lines := fmt.Sprintf("configuration: %s\n", s.builder.Load().digest)
	refused := s.refused.Load()
	switch {
	case refused == nil:
		return lines
	case detailed:
		return lines + fmt.Sprintf("reload refused: %s: %v\n", refused.class, refused.err)
	}
	return lines + fmt.Sprintf("reload refused: %s\n", refused.class)
}

// dependencies returns the dependencies of the running configuration. The probe of an issuer that has answered before sends no request: it
// returns the error of the last call.
func (s *server) dependencies() (all []dependency) {
	for _, issuer := range s.state.issuers.all() {
		probe := func(ctx context.Context, last *dependencyState) error {
			if last.answered {
				return issuer.Lost()
			}
			return issuer.Warm(ctx)
		}
		all = append(all, dependency{class: "issuer", name: issuer.URL(), probe: probe})
	}
	for _, r := range s.builder.Load().redisServers {
		probe := func(ctx context.Context, _ *dependencyState) error { return r.Ask(ctx) }
		all = append(all, dependency{class: "redis", name: r.Name(), probe: probe})
	}
	if c := s.builder.Load().certifier; c != nil {
		probe := func(ctx context.Context, last *dependencyState) error {
			if !last.answered && last.err == nil {
				c.Await(ctx) // so that a start with stored certificates logs no failure
			}
			return c.Missing()
		}
		all = append(all, dependency{class: "certificates", name: "acme", probe: probe, onlyReported: true})
	}
	return all
}
