package app

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"sallyport/internal/config"
)

// TestReloadKeepsObjects checks that a reload keeps the objects with unchanged settings and makes new ones for changed settings or files,
// and that a refused reload leaves exactly the running configuration's objects.
func TestReloadKeepsObjects(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	load := func(routes string) *config.File {
		t.Helper()
		name := filepath.Join(dir, "gate.yaml")
		if err := os.WriteFile(name, []byte("admin: {listen: off}\nroutes:\n"+routes), 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := config.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	route := func(path string) string {
		return fmt.Sprintf("  - {route: {paths: [%s], upstream: {url: \"https://app%[1]s\", ca_file: %s/cert.pem}},"+
			" rules: [{auth: off}]}\n", path, dir)
	}
	s, err := newServer(load(route("/a")+route("/b")), Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.state.close)
	upstreams := func(want int) map[any]bool {
		t.Helper()
		all := map[any]bool{}
		for _, u := range s.state.upstreams.all() {
			all[u] = true
		}
		if len(all) != want {
			t.Errorf("got %d upstreams, expected %d", len(all), want)
		}
		return all
	}
	shared := func(a, b map[any]bool) (n int) {
		for u := range a {
			if b[u] {
				n++
			}
		}
		return n
	}
	first := upstreams(2)
	if err := s.load(load(route("/b") + route("/c"))); err != nil {
		t.Fatal(err)
	}
	second := upstreams(2)
	if shared(first, second) != 1 {
		t.Errorf("%d upstreams are kept after one of two changed, expected 1", shared(first, second))
	}
	bad := load(route("/c") + route("/d"))
	bad.Log.Level = "loud" // is found after the objects are made
	if err := s.load(bad); err == nil {
		t.Error("a bad level is accepted")
	}
	if after := upstreams(2); shared(second, after) != 2 {
		t.Errorf("%d upstreams are kept after a refused reload, expected 2", shared(second, after))
	}
	writeCertificate(t, dir)
	if err := s.load(load(route("/b") + route("/c"))); err != nil {
		t.Fatal(err)
	}
	if after := upstreams(2); shared(second, after) != 0 {
		t.Errorf("%d upstreams are kept after their CA changed, expected 0", shared(second, after))
	}
}
