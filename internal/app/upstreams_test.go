package app

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"

	"sallyport/internal/config"
	"sallyport/internal/telemetry"
)

// TestHealthChecksAndReloads checks that only a running configuration checks its targets, that what is known of them outlives a reload
// which leaves the upstream as it is, and that any other reload and the end of the process end the checks.
func TestHealthChecksAndReloads(t *testing.T) {
	var checks atomic.Int32
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		checks.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer target.Close()
	name := filepath.Join(t.TempDir(), "gate.yaml")
	load := func(status, rest string) *config.File {
		t.Helper()
		text := fmt.Sprintf("admin: {listen: off}\nmetrics: {max_routes: 1}\nroutes:\n  - route:\n      upstream:\n        url: %q\n"+
			"        health: {path: /, interval: 10ms, unhealthy: 1, status: [%s]}\n    rules: [{auth: off}]\n%s", target.URL, status, rest)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := config.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	load("200", "")
	if err := Check(config.FromFile(name), io.Discard); err != nil || checks.Load() != 0 || watchers(t) != 0 {
		t.Fatalf("check: %v, and %d health checks", err, checks.Load())
	}
	s, err := newServer(load("200", ""), Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.state.close)
	state := func() telemetry.Target {
		all := s.measure().Targets
		if len(all) != 1 || all[0].Name != target.URL || all[0].Route != "route-1" {
			t.Fatalf("%+v", all)
		}
		return all[0]
	}
	if !awaited(func() bool { return !state().Usable }) {
		t.Fatal("the target stays healthy")
	}
	if err := s.load(load("200", "  - route: {upstream: \"http://127.0.0.1:1\", paths: [/more]}\n    rules: [{auth: off}]\n")); err != nil {
		t.Fatal(err)
	}
	if state().Usable {
		t.Error("the target is healthy after a reload that left its upstream as it was")
	}
	if err := s.load(load("503", "")); err != nil {
		t.Fatal(err)
	}
	if !state().Usable {
		t.Error("the target is unhealthy after a reload that changed the upstream")
	}
	if before := checks.Load(); !awaited(func() bool { return checks.Load() > before+3 }) {
		t.Error("the new upstream isn't checked")
	}
	if n := watchers(t); n != 1 {
		t.Errorf("%d goroutines check the one target", n)
	}
	if s.state.close(); watchers(t) != 0 {
		t.Error("the target is checked after the end")
	}
}

// watchers returns how many goroutines check targets.
func watchers(t *testing.T) int {
	t.Helper()
	var stacks bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&stacks, 2); err != nil {
		t.Fatal(err)
	}
	return strings.Count(stacks.String(), "proxy.(*healthChecks).watch(")
}
