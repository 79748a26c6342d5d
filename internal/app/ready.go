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

	"sallyport/internal/redis"
)

const (
	startTimeout = 10 * time.Second // after it the gate is ready without what hasn't answered yet
	askFirst     = time.Second      // between two questions to a part that hasn't answered yet
	askAgain     = 5 * time.Second  // between two questions to a part that has
	askTimeout   = 2 * time.Second  // for one answer
)

// A part is something that the gate needs besides itself: an issuer or a Redis server.
type part struct {
	class string // all that is told without the admin token: "issuer", "redis"
	name  string
	ask   func(context.Context, *partState) error
}

// A partState is what is known of a part.
type partState struct {
	answered bool  // at least once
	err      error // of the last question; nil: it answered
}

// readiness knows which parts have answered. It outlives reloads.
type readiness struct {
	log   *slog.Logger
	start time.Time
	now   func() time.Time

	mu    sync.Mutex
	asked bool                  // all parts were asked once
	parts map[string]*partState // by class and name, of the running configuration
}

func newReadiness(log *slog.Logger) *readiness {
	return &readiness{log: log, start: time.Now(), now: time.Now, parts: map[string]*partState{}}
}

// watch asks the parts until ctx ends: often until all have answered, then now and then.
func (r *readiness) watch(ctx context.Context, parts func() []part) {
	var once sync.Once
	for {
		r.ask(ctx, parts())
		wait := askFirst
		if !r.starting() {
			wait = askAgain
			once.Do(func() { r.log.Info("ready") })
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// ask asks all parts at once, and logs what has changed.
func (r *readiness) ask(ctx context.Context, parts []part) {
	states := make(map[string]*partState, len(parts))
	var asked sync.WaitGroup
	for _, p := range parts {
		key := p.class + " " + p.name
		before := r.state(key)
		now := before
		states[key] = &now
		asked.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			now.err = p.ask(ctx, &before)
			now.answered = before.answered || now.err == nil
			r.tell(p, before, now)
		})
	}
	asked.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.parts, r.asked = states, true
}

func (r *readiness) state(key string) partState {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.parts[key]; s != nil {
		return *s
	}
	return partState{}
}

// tell logs that a part doesn't answer, once for each reason, and that it does again.
func (r *readiness) tell(p part, before, now partState) {
	switch {
	case now.err != nil && (before.err == nil || before.err.Error() != now.err.Error()):
		r.log.Warn("a part that the gate needs can't be used", "part", p.class, "name", p.name, "error", now.err)
	case now.err == nil && before.err != nil:
		r.log.Info("a part that the gate needs can be used again", "part", p.class, "name", p.name)
	}
}

// starting reports whether the gate still waits for parts that haven't answered since its start.
func (r *readiness) starting() bool {
	r.mu.Lock()
	asked := r.asked
	r.mu.Unlock()
	if r.now().Sub(r.start) > startTimeout {
		return false
	}
	return !asked || len(r.where(func(s *partState) bool { return !s.answered })) > 0
}

// where lists the keys of parts, in order.
func (r *readiness) where(is func(*partState) bool) (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(r.parts)) {
		if is(r.parts[key]) {
			all = append(all, key)
		}
	}
	return all
}

// report is the body of an answer about readiness: a line for each part that can't be used. Only who has the admin token learns
// which it is and why.
func (r *readiness) report(first string, inside bool) string {
	lines := []string{first}
	for _, key := range r.where(func(s *partState) bool { return s.err != nil }) {
		class, _, _ := strings.Cut(key, " ")
		line := class + ": can't be used"
		if s := r.state(key); inside && s.err != nil {
			line = fmt.Sprintf("%s: %v", key, s.err)
		}
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// ready answers whether requests may come. What is lost later is told and doesn't fail: one part that all replicas share must not
// take all of them out at once.
func (s *server) ready(w http.ResponseWriter, r *http.Request) {
	status, first := http.StatusOK, "ready"
	switch {
	case s.draining.Load():
		status, first = http.StatusServiceUnavailable, "stopping"
	case s.readiness.starting():
		status, first = http.StatusServiceUnavailable, "starting"
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	fmt.Fprint(w, s.readiness.report(first, s.insider(r)))
}

// parts are what the running configuration needs.
func (s *server) parts() (all []part) {
	b := s.builder.Load()
	for _, issuer := range s.kept.issuers.all() {
		all = append(all, part{"issuer", issuer.URL(), func(ctx context.Context, before *partState) error {
			if before.answered {
				return issuer.Lost()
			}
			return issuer.Warm(ctx)
		}})
	}
	for _, r := range b.redises {
		all = append(all, part{"redis", r.Name(), func(ctx context.Context, _ *partState) error { return r.Ask(ctx) }})
	}
	return all
}

// needsRedis remembers a server that the configuration uses.
func (b *builder) needsRedis(s redis.Settings) {
	if !slices.Contains(b.redises, s) {
		b.redises = append(b.redises, s)
	}
}
