package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/freeport"
)

// A reloading is a gate in front of an upstream, whose process settings a test changes.
type reloading struct {
	t        *testing.T
	name     string // of the configuration file
	upstream string
	log      output
	signal   chan struct{}
	slow     chan struct{} // receives a value when the upstream has a request for /slow
	reloads  int
}

func newReloading(t *testing.T, process string) *reloading {
	t.Helper()
	slow := make(chan struct{})
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			slow <- struct{}{}
			<-slow
		}
		io.WriteString(w, r.Header.Get("X-Forwarded-For"))
	}))
	t.Cleanup(back.Close)
	r := &reloading{t: t, name: filepath.Join(t.TempDir(), "gate.yaml"), upstream: back.URL, signal: make(chan struct{}), slow: slow}
	r.write(process)
	running(t, func(ctx context.Context) error {
		return Run(ctx, Options{Config: config.FromFile(r.name), Reload: r.signal, Log: &r.log})
	})
	r.log.await(t, `"for":"clients"`)
	return r
}

func (r *reloading) write(process string) {
	r.t.Helper()
	text := fmt.Sprintf("%s\nwatch: false\nroutes: [{route: {upstream: %q}, rules: [{auth: off}]}]\n", process, r.upstream)
	if err := os.WriteFile(r.name, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// reload gives the gate other settings, and waits until it uses or refuses them.
func (r *reloading) reload(process string) {
	r.t.Helper()
	r.write(process)
	r.signal <- struct{}{}
	r.reloads++
	r.log.await(r.t, strings.Repeat(`(?s)"msg":"reload(?:ed"| refused).*`, r.reloads))
}

// get returns the body of a response, or the error.
func get(url string) string {
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // the certificate of a test
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get(url)
	if err != nil {
		return "error: " + err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return fmt.Sprint(res.StatusCode, " ", string(body), err)
}

const fine = "200 127.0.0.1<nil>"

func mustGet(t *testing.T, url, want string) {
	t.Helper()
	if got := get(url); !strings.Contains(got, want) {
		t.Errorf("%s: %s, expected %s", url, got, want)
	}
}

// TestListenersChange checks that a reload opens and closes listeners, adds and removes their TLS, and that a request in flight at a
// listener that ends is answered.
func TestListenersChange(t *testing.T) {
	dir := t.TempDir()
	writeCertificate(t, dir)
	first, second, admin := freeAddress(), freeAddress(), freeAddress()
	secure := fmt.Sprintf("{address: %s, tls: {cert_file: %s/cert.pem, key_file: %[2]s/key.pem}}", first, dir)
	r := newReloading(t, fmt.Sprintf("listen: %s\nadmin: {listen: %s}", first, admin))
	mustGet(t, "http://"+first, fine)
	slow := make(chan string)
	go func() { slow <- get("http://" + first + "/slow") }()
	<-r.slow

	r.reload(fmt.Sprintf("listen: [%s, %s]\nadmin: {listen: off}", secure, second))
	mustGet(t, "https://"+first, fine)
	mustGet(t, "http://"+first, "400 ") // net/http says so to a client without TLS
	mustGet(t, "http://"+second, fine)
	mustGet(t, "http://"+admin+"/healthz", "connection refused")
	r.slow <- struct{}{}
	if got := <-slow; got != fine {
		t.Errorf("a request in flight at the listener before: %s", got)
	}

	r.reload(fmt.Sprintf("listen: %s\nadmin: {listen: %s}\nlimits: {max_header_bytes: 4096}", first, second))
	mustGet(t, "http://"+first, fine)
	mustGet(t, "http://"+second+"/healthz", "ok")
	mustGet(t, "http://"+first+"/?"+strings.Repeat("x", 9000), "431")
}

// TestAListenerThatCantBeOpened checks that a reload is refused as a whole if one of its addresses is taken, that readiness says so
// without the reason, and that the next reload works.
func TestAListenerThatCantBeOpened(t *testing.T) {
	address, admin, other := freeAddress(), freeAddress(), freeAddress()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	r := newReloading(t, fmt.Sprintf("listen: %s\nadmin: {listen: %s, token: t}", address, admin))
	r.reload(fmt.Sprintf("listen: [%s, %s]\nadmin: {listen: off}", other, taken.Addr()))
	r.log.await(t, `reload refused.*listen: `+taken.Addr().String()+` is in use`)
	mustGet(t, "http://"+address, fine)
	mustGet(t, "http://"+other, "connection refused")
	mustGet(t, "http://"+admin+"/readyz", "200 ready\nconfiguration: ")
	mustGet(t, "http://"+admin+"/readyz", "\nreload refused: listeners\n<nil>")

	r.reload("listen: [" + address)
	mustGet(t, "http://"+admin+"/readyz", "\nreload refused: configuration\n<nil>")
	r.reload(fmt.Sprintf("listen: [%s, ':%s']\nadmin: {listen: %s}", address, address[len("127.0.0.1:"):], admin))
	r.log.await(t, `reload refused.*this process itself listens on the port`)
	r.reload(fmt.Sprintf("listen: [%s, %s]\nadmin: {listen: %s}", address, other, admin))
	mustGet(t, "http://"+other, fine)
	if got := get("http://" + admin + "/readyz"); strings.Contains(got, "refused") {
		t.Errorf("/readyz after a reload: %s", got)
	}
}

// TestReloadOfFixedSettings checks that each reload warns of the settings that need a restart.
func TestReloadOfFixedSettings(t *testing.T) {
	r := newReloading(t, "listen: 127.0.0.1:0\nadmin: {listen: off}")
	for range 2 { // compared with what runs, not with the last file
		r.reload("listen: 127.0.0.1:0\nadmin: {listen: off}\nlog: {format: text, audit: stderr}")
	}
	r.reload("listen: 127.0.0.1:0\nadmin: {listen: off}")
	const warning = `"msg":"these settings can't change on reload: restart for that","settings":"log.format, log.audit"`
	if got := strings.Count(r.log.String(), warning); got != 2 {
		t.Errorf("%d warnings, expected 2:\n%s", got, &r.log)
	}
}

func freeAddress() string { return fmt.Sprintf("127.0.0.1:%d", freeport.Port()) }

// TestADoorCloses checks that a door without requests closes without an error, however far its server is.
func TestADoorCloses(t *testing.T) {
	for range 5000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		d := &door{doorSettings: doorSettings{name: "clients"}, socket: l.(*net.TCPListener)}
		d.accept, d.http = &acceptor{TCPListener: d.socket}, d.newHTTP(http.NotFoundHandler(), slog.New(slog.DiscardHandler))
		d.start(d.accept, func(err error) { t.Error(err) })
		runtime.Gosched()
		if err := d.shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		<-d.served
	}
}
