package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// A fault is the handler of a failing endpoint of the issuer. It is nil for a working endpoint.
type fault func(w http.ResponseWriter, r *http.Request)

// refuses stands for an endpoint without a listener.
func refuses(http.ResponseWriter, *http.Request) {}

const slowness = 30 * time.Second

func slow(_ http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(slowness):
	case <-r.Context().Done():
	}
}

func htmlPage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprint(w, "<!doctype html><title>Welcome</title><h1>It works!</h1>")
}

// truncated sends the beginning of a JSON object.
func truncated(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"active":true,"sub":"john","preferred_username":"john","access_token":"an-access-token-that-ends-amid`)
}

const hugeSize = 100 << 20

// huge sends 100 MB of JSON that every endpoint could send.
func huge(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"active":true,"sub":"john","preferred_username":"john","padding":"`)
	block := bytes.Repeat([]byte("x"), 1<<20)
	for range hugeSize / len(block) {
		if _, err := w.Write(block); err != nil {
			return // the client has closed the connection
		}
	}
	fmt.Fprint(w, `"}`)
}

// A door is a reverse proxy for one endpoint of an issuer, with its own port, which can be made to fail.
type door struct {
	url    string
	port   int
	next   http.Handler
	fault  atomic.Pointer[fault]
	server *http.Server // nil while it is closed
}

func newDoor(t *testing.T, host string) *door {
	t.Helper()
	target, err := url.Parse(keycloak.url)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{port: freeport.Port()}
	d.url = urlOf(d.port)
	if host == "" {
		host = d.host()
	}
	d.next = &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = host },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	t.Cleanup(d.close)
	d.open(t)
	return d
}

func (d *door) host() string { return fmt.Sprintf("127.0.0.1:%d", d.port) }

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := d.fault.Load(); f != nil {
		io.Copy(io.Discard, r.Body) // so that the server detects that the client disconnects
		(*f)(w, r)
		return
	}
	d.next.ServeHTTP(w, r)
}

func (d *door) open(t *testing.T) {
	t.Helper()
	var l net.Listener
	var err error
	// A child process that starts at this moment may have inherited the previous listener.
	await(5*time.Second, func() bool { l, err = net.Listen("tcp", d.host()); return err == nil })
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: d}
	d.server = server
	go server.Serve(l)
}

func (d *door) close() {
	if d.server != nil {
		d.server.Close() // also closes connections
		d.server = nil
	}
}

// fail makes the endpoint fail until lift. kind is a key of faults.
func (d *door) fail(kind string) {
	if kind == "refused" {
		d.close()
		return
	}
	f := faults[kind]
	d.fault.Store(&f)
}

func (d *door) lift(t *testing.T) {
	t.Helper()
	d.fault.Store(nil)
	if d.server == nil {
		d.open(t)
	}
}

var faults = map[string]fault{"refused": refuses, "slow": slow, "html": htmlPage, "truncated": truncated, "huge": huge}

// A faultyIssuer is a realm of Keycloak whose endpoints have separate addresses. Other paths, such as the login form, are at the
// address of the discovery document.
type faultyIssuer struct {
	issuer string
	front  *door
	doors  map[string]*door // by name of the endpoint
}

var doorPaths = map[string]string{"jwks": "/certs", "token": "/token", "introspection": "/token/introspect", "userinfo": "/userinfo"}

func startFaultyIssuer(t *testing.T) *faultyIssuer {
	t.Helper()
	f := &faultyIssuer{front: newDoor(t, ""), doors: map[string]*door{}}
	f.issuer = issuerAt(f.front.url, "sallyport")
	f.doors["discovery"] = f.front
	for name := range doorPaths {
		f.doors[name] = newDoor(t, f.front.host())
	}
	return f
}

func (f *faultyIssuer) endpoint(name string) string {
	return issuerAt(f.doors[name].url, "sallyport") + "/protocol/openid-connect" + doorPaths[name]
}

// oidc returns the settings of a gate that uses the doors.
func (f *faultyIssuer) oidc(more ...string) []string {
	lines := []string{"timeout: " + strconv.FormatInt(outageTimeout.Milliseconds(), 10)}
	for name := range doorPaths {
		lines = append(lines, name+"_endpoint: "+f.endpoint(name))
	}
	return append(lines, more...)
}

// ask posts a form to the token endpoint.
func (f *faultyIssuer) ask(v *visitor, as clientAuth, form url.Values) answer {
	v.t.Helper()
	return v.ask(f.endpoint("token"), as, form)
}

// peakMemory returns the maximum memory of a process so far, in bytes.
func peakMemory(t *testing.T, p *process) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(after + " none")[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// attempt sends a request with a timeout and returns the response and its duration.
func attempt(v *visitor, r *http.Request) (a answer, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), slowness)
	defer cancel()
	begun := time.Now()
	a, err = v.do(r.WithContext(ctx))
	return a, time.Since(begun), err
}
