package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
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
	s, err := newServer(load(route("/a")+route("/b")), io.Discard)
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

// TestReloadOfFixedSettings checks that each reload warns of the settings that need a restart, and that the listeners go on as they are.
func TestReloadOfFixedSettings(t *testing.T) {
	upstream := httptest.NewServer(http.NotFoundHandler())
	defer upstream.Close()
	dir := t.TempDir()
	writeCertificate(t, dir)
	name := filepath.Join(dir, "gate.yaml")
	write := func(process string) {
		text := fmt.Sprintf("%s\nroutes: [{route: {upstream: %q}, rules: [{auth: off}]}]\n", process, upstream.URL)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("listen: 127.0.0.1:0\nadmin: {listen: off}")
	var log output
	reload := make(chan struct{})
	running(t, func(ctx context.Context) error {
		return Run(ctx, Options{Config: config.FromFile(name), Reload: reload, Log: &log})
	})
	address := log.await(t, `"for":"clients","address":"([^"]+)"`)
	const all = "listen, admin.listen, limits.read_header_timeout, limits.idle_timeout, limits.max_header_bytes, log.format"
	changed := fmt.Sprintf("listen: [{address: 127.0.0.1:0, tls: {cert_file: %s/cert.pem, key_file: %[1]s/key.pem}}, 127.0.0.1:1]\n"+
		"admin: {listen: 127.0.0.1:2}\nlog: {format: text}\n"+
		"limits: {read_header_timeout: 1s, idle_timeout: 1s, max_header_bytes: 4096}", dir)
	for n, step := range []struct{ process, warns string }{
		{changed, all},
		{changed, all}, // compared with what runs, not with the last file
		{
			"listen: 127.0.0.1:0\nadmin: {listen: off}\nlimits: {idle_timeout: 1s, body_timeout: 1s}\nlog: {level: debug}",
			"limits.idle_timeout",
		},
		{"listen: 127.0.0.1:0\nadmin: {listen: off}", ""},
	} {
		write(step.process)
		reload <- struct{}{}
		log.await(t, strings.Repeat(`(?s)"msg":"reloaded".*`, n+1))
		if got := warnedSettings(t, log.String(), n); got != step.warns {
			t.Errorf("reload %d: the warning names %q, expected %q", n+1, got, step.warns)
		}
	}
	res, err := http.Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
}

// warnedSettings returns the settings in the warning of the nth reload in a log, counted from 0, or "" without a warning.
func warnedSettings(t *testing.T, log string, n int) (settings string) {
	t.Helper()
	for line := range strings.Lines(log) {
		var entry struct{ Msg, Settings string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		switch entry.Msg {
		case "reloaded":
			if n--; n < 0 {
				return settings
			}
			settings = ""
		case "these settings can't change on reload: restart for that":
			settings = entry.Settings
		}
	}
	return settings
}
