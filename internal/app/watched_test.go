package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/config"
)

// swap replaces the files of a volume as Kubernetes does: they are links into ..data, a link to a folder, which is replaced as a whole.
func swap(t *testing.T, volume, generation string, files map[string]string) {
	t.Helper()
	folder := filepath.Join(volume, ".."+generation)
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(volume, name)); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(".."+generation, filepath.Join(volume, "..new")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(volume, "..new"), filepath.Join(volume, "..data")); err != nil {
		t.Fatal(err)
	}
}

// named returns an upstream that says its name and a header.
func named(t *testing.T, name string) string {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, name)
	}))
	t.Cleanup(up.Close)
	return up.URL
}

// TestASwapUnderLoad checks that a new generation of a volume takes effect by itself and as a whole, and a bad one doesn't, while no
// request fails, over kept and over new connections.
func TestASwapUnderLoad(t *testing.T) {
	volume, address := t.TempDir(), freeAddress()
	generation := func(upstream string) map[string]string {
		return map[string]string{
			"gate.yaml": fmt.Sprintf("listen: %s\nadmin: {listen: off}\nlog: {access: false}\n"+
				"routes: [{route: {upstream: %q}, rules: [{auth: off}]}]\n", address, upstream),
		}
	}
	swap(t, volume, "0", generation(named(t, "0")))
	var log output
	running(t, func(ctx context.Context) error {
		return Run(ctx, Options{Config: config.FromFile(filepath.Join(volume, "gate.yaml")), Log: &log})
	})
	log.await(t, `"for":"clients"`)
	ctx, stop := context.WithCancel(t.Context())
	var workers sync.WaitGroup
	var answers, failed atomic.Int64
	last := new(atomic.Value)
	for n := range 4 {
		transport := &http.Transport{DisableKeepAlives: n%2 == 0}
		workers.Go(func() {
			defer transport.CloseIdleConnections()
			for ctx.Err() == nil {
				res, err := (&http.Client{Transport: transport}).Get("http://" + address)
				if err != nil {
					failed.Add(1)
					t.Errorf("a request failed: %v", err)
					return
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK {
					failed.Add(1)
				}
				answers.Add(1)
				last.Store(string(body))
			}
		})
	}
	for n := 1; n <= 3; n++ {
		name := fmt.Sprint(n)
		swap(t, volume, name, generation(named(t, name)))
		log.await(t, strings.Repeat(`(?s)"msg":"reloaded".*`, n))
		if !awaited(func() bool { return last.Load() == name }) {
			t.Errorf("generation %d has no effect", n)
		}
	}
	swap(t, volume, "bad", map[string]string{"gate.yaml": "listen: [" + address})
	log.await(t, `reload refused`)
	seen := answers.Load()
	awaited(func() bool { return answers.Load() > seen+100 })
	if got := last.Load(); got != "3" {
		t.Errorf("after a bad generation %v answers, expected 3", got)
	}
	stop()
	workers.Wait()
	if failed.Load() > 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), answers.Load())
	}
	t.Logf("%d answers over three swaps", answers.Load())
}

// TestWatchedFiles checks that a change of each kind of file that a configuration names takes effect without a signal: a new route file,
// one that is removed, a secret, a page, a certificate and an authority of upstreams.
func TestWatchedFiles(t *testing.T) {
	dir, address := t.TempDir(), freeAddress()
	write := func(name, text string) {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file+"~", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(file+"~", file); err != nil {
			t.Fatal(err)
		}
	}
	write("name", "a.example")
	first := writeCertificate(t, dir)
	write("pages/404.html", "<h1>{{.RequestID}} page one</h1>")
	write("routes/a.yaml", fmt.Sprintf("route: {upstream: %q, hosts: ['${file:../name}']}\nrules: [{auth: off}]\n", named(t, "a")))
	write("gate.yaml", fmt.Sprintf("listen: {address: %s, tls: {cert_file: cert.pem, key_file: key.pem}}\n"+
		"admin: {listen: off}\npages: pages\nroutes: routes/*.yaml\n", address))
	var log output
	running(t, func(ctx context.Context) error {
		return Run(ctx, Options{Config: config.FromFile(filepath.Join(dir, "gate.yaml")), Log: &log})
	})
	log.await(t, `"for":"clients"`)
	ask := func(host string) string { return getHost(t, address, host) }
	if got := ask("a.example"); got != "a" {
		t.Fatalf("a.example: %s", got)
	}
	for _, c := range []struct {
		name   string
		change func()
		seen   func() bool
	}{
		{
			"a new route file", func() {
				write("routes/b.yaml", fmt.Sprintf("route: {upstream: %q, hosts: [b.example]}\nrules: [{auth: off}]\n", named(t, "b")))
			},
			func() bool { return ask("b.example") == "b" },
		},
		{"a value in a file", func() { write("name", "c.example") }, func() bool { return ask("c.example") == "a" }},
		{
			"a page", func() { write("pages/404.html", "<h1>{{.RequestID}} page two</h1>") },
			func() bool { return strings.Contains(ask("z.example"), "page two") },
		},
		{
			"a removed route file", func() { os.Remove(filepath.Join(dir, "routes/b.yaml")) },
			func() bool { return strings.Contains(ask("b.example"), "page two") },
		},
		{
			"a certificate", func() { writeCertificate(t, dir) }, func() bool {
				c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) // the certificate of a test
				if err != nil {
					return false
				}
				defer c.Close()
				return !c.ConnectionState().PeerCertificates[0].Equal(first)
			},
		},
	} {
		c.change()
		if !awaited(c.seen) {
			t.Errorf("%s has no effect:\n%s", c.name, &log)
		}
	}
}

// TestNotWatched checks that with watch: false only a signal makes the gate read its files. Another gate shows when a change is seen.
func TestNotWatched(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "secret")
	gate := func(watch bool, n int) *output {
		file, log := filepath.Join(dir, fmt.Sprint(n, ".yaml")), new(output)
		text := fmt.Sprintf("listen: 127.0.0.1:0\nadmin: {listen: off, token: '${file:%s}'}\nwatch: %t\n"+
			"routes: [{route: {upstream: 'http://127.0.0.1:1'}, rules: [{auth: off}]}]\n", secret, watch)
		if err := errors.Join(os.WriteFile(secret, []byte("one"), 0o600), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
		running(t, func(ctx context.Context) error { return Run(ctx, Options{Config: config.FromFile(file), Log: log}) })
		log.await(t, `"for":"clients"`)
		return log
	}
	without, first, second := gate(false, 1), gate(true, 2), gate(true, 3)
	if err := os.WriteFile(secret, []byte("two"), 0o600); err != nil {
		t.Fatal(err)
	}
	first.await(t, `"msg":"reloaded"`)
	second.await(t, `"msg":"reloaded"`)
	if strings.Contains(without.String(), "reloaded") {
		t.Errorf("the gate with watch: false has read its files:\n%s", without)
	}
}

// getHost returns the body of the answer to a request for a host over TLS.
func getHost(t *testing.T, address, host string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	r.Header.Set("Accept", "text/html")
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // the certificate of a test
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(r)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	return string(body)
}

// awaited reports whether a condition holds within 10 s.
func awaited(condition func() bool) bool {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if condition() {
			return true
		}
	}
	return false
}
