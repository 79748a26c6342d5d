package app

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"sallyport/internal/config"
)

// TestManyRoutes checks that four times the routes take about four times the memory to load.
func TestManyRoutes(t *testing.T) {
	few, many := bytesToLoad(t, 250), bytesToLoad(t, 1000)
	if ratio := float64(many) / float64(few); ratio > 5 {
		t.Errorf("1,000 routes allocate %.1f times what 250 do: %d and %d KiB", ratio, many>>10, few>>10)
	}
}

// bytesToLoad returns how many bytes are allocated while n routes of one issuer are loaded, each in a file of its own.
func bytesToLoad(t *testing.T, n int) uint64 {
	dir := t.TempDir()
	write := func(name, format string, args ...any) {
		if err := os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, format, args...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("gate.yaml", "oidc: {issuer: 'http://127.0.0.1:1', client_id: app, session_secret: %032d}\nroutes: route-*.yaml\n", 1)
	for i := range n {
		write(fmt.Sprintf("route-%d.yaml", i), "route: {hosts: [h%d.example.com], upstream: 'http://127.0.0.1:1'}\n"+
			"rules: [{paths: [/admin], roles_required: [admin]}, {paths: [/public], auth: off}]\n", i)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	file, err := config.Load(filepath.Join(dir, "gate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := newServer(file, Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer s.state.close()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
