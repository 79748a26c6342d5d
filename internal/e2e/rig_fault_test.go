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

// A fault is what an endpoint of the issuer does instead of answering. It is nil for one that works.
type fault func(w http.ResponseWriter, r *http.Request)

// refuses is no answer of a server: nobody listens.
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

// truncated is the beginning of what would be good for every endpoint.
func truncated(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"active":true,"sub":"john","preferred_username":"john","access_token":"an-access-token-that-ends-amid`)
}

const hugeSize = 100 << 20

// huge is 100 MB of JSON that would be good for every endpoint if anybody read it to its end.
func huge(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"active":true,"sub":"john","preferred_username":"john","padding":"`)
	block := bytes.Repeat([]byte("x"), 1<<20)
	for range hugeSize / len(block) {
		if _, err := w.Write(block); err != nil {
			return // who reads has had enough
		}
	}
	fmt.Fprint(w, `"}`)
}

// A door is one endpoint of an issuer at an address of its own: a proxy before Keycloak that can be made to fail.
type door struct {
	url    string
	port   int
	next   http.Handler
	fault  atomic.Pointer[fault]
	server *http.Server // nil while nobody listens
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
		io.Copy(io.Discard, r.Body) // so that the server notices when the client goes
		(*f)(w, r)
		return
	}
	d.next.ServeHTTP(w, r)
}

func (d *door) open(t *testing.T) {
	t.Helper()
	var l net.Listener
	var err error
	await(5*time.Second, func() bool { l, err = net.Listen("tcp", d.host()); return err == nil }) // a child that is just being started may still hold the listener before
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: d}
	d.server = server
	go server.Serve(l)
}

func (d *door) close() {
	if d.server != nil {
		d.server.Close() // its connections too
		d.server = nil
	}
}

// fail makes the endpoint fail; lift makes it work again. kind is of the faults above.
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

// A faultyIssuer is a realm of Keycloak whose endpoints stand at an address each. What isn't named here, such as the login
// form, is at the front with the discovery document.
type faultyIssuer struct {
	issuer string
	front  *door
	doors  map[string]*door // by the path's end
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

// oidc are the lines that send a gate to the doors.
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

// peakMemory is the most memory that a process has had so far, in bytes.
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

// attempt is one request with a limit of its own, and how long its answer took.
func attempt(v *visitor, r *http.Request) (a answer, took time.Duration, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), slowness)
	defer cancel()
	begun := time.Now()
	a, err = v.do(r.WithContext(ctx))
	return a, time.Since(begun), err
}
