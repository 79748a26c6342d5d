package kubernetes

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	core "k8s.io/api/core/v1"

	"sallyport/internal/freeport"
	"sallyport/internal/provider"
	"sallyport/internal/testlog"
)

// TestKubelet runs the binary as a kubelet runs the rendered pod: as its user, with its arguments, environment and volumes. It probes the
// gate, changes the ConfigMap, and stops the pod while a request is in flight.
func TestKubelet(t *testing.T) {
	t.Parallel()
	app := newApp(t)
	p := startPod(t, mustRenderText(t, valuesFor(t, app.url)))
	p.probe(p.gate.StartupProbe)
	p.probe(p.gate.ReadinessProbe)
	p.probe(p.gate.LivenessProbe)
	p.expect("/open", http.StatusOK)
	p.expect("/closed", http.StatusUnauthorized)
	p.changeConfig("paths: [/open]", "paths: [/open, /closed]")
	p.expect("/closed", http.StatusOK)
	p.changeConfig("rules:", "rulez:")
	p.await("the metric of a refused configuration", func() bool {
		return strings.Contains(p.get(p.admin()+"/metrics"), "\nsallyport_config_last_reload_successful 0\n")
	})
	p.expect("/closed", http.StatusOK)
	p.stopsGracefully(app)
}

// valuesFor returns values with an issuer that runs, and free ports.
func valuesFor(t *testing.T, upstream string) string {
	t.Helper()
	issuer := provider.Start(t, provider.Config{Clients: []provider.Client{{ID: "app", Secret: "the-client-secret-of-a-test"}}})
	return fmt.Sprintf(`
image: {repository: registry.example.com/sallyport}
ports: {http: %d, admin: %d}
routes:
  app.yaml: |
    route: {upstream: %q}
    oidc:
      issuer: %s
      client_id: app
      client_secret: ${file:/run/secrets/sallyport/client_secret}
      auth_methods: [bearer, introspection]
    rules: [{paths: [/open], auth: off}]
config: |
  routes: routes/*.yaml
secret: {client_secret: the-client-secret-of-a-test}
preStopSeconds: 1
`, freeport.Port(), freeport.Port(), upstream, issuer.Issuer())
}

// An app is an upstream. A request for /open/slow arrives, and is answered when the test says so.
type app struct {
	url     string
	arrived chan struct{}
	answer  chan struct{}
}

func newApp(t *testing.T) *app {
	a := &app{arrived: make(chan struct{}, 1), answer: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/open/slow" {
			a.arrived <- struct{}{}
			select {
			case <-a.answer:
			case <-r.Context().Done():
			}
		}
		io.WriteString(w, "hello")
	}))
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// A pod is a running container of the gate.
type pod struct {
	*node
	log   testlog.Buffer
	cmd   *exec.Cmd
	ended chan error
}

func startPod(t *testing.T, o *objects) *pod {
	t.Helper()
	p := &pod{node: newNode(t, o), ended: make(chan error, 1)}
	p.cmd = exec.Command(binary, "run", "-c", p.relocate())
	p.cmd.Env = append(p.env(), "HOME=/nonexistent")
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	if s := p.pod.SecurityContext; os.Geteuid() == 0 {
		user := &syscall.Credential{Uid: uint32(*s.RunAsUser), Gid: uint32(*s.RunAsGroup)}
		if s.FSGroup != nil {
			user.Groups = []uint32{uint32(*s.FSGroup)}
		}
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		if t.Failed() {
			t.Logf("the gate wrote:\n%s", p.log.String())
		}
	})
	return p
}

func (p *pod) admin() string { return fmt.Sprintf("http://127.0.0.1:%d", portNamed(p.gate, "admin")) }

// client doesn't keep connections, which would outlive a pod.
var client = http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// status returns the status of a response, or 0.
func status(url string) int {
	res, err := client.Get(url)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

func (p *pod) get(url string) string {
	p.t.Helper()
	res, err := client.Get(url)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(body)
}

// await calls ok until it returns true, at most for 30 seconds, and fails the test if it doesn't.
func (p *pod) await(what string, ok func() bool) {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// probe asks as the kubelet does, until the answer is 200.
func (p *pod) probe(probe *core.Probe) {
	p.t.Helper()
	url := fmt.Sprintf("http://127.0.0.1:%d%s", portNamed(p.gate, probe.HTTPGet.Port.String()), probe.HTTPGet.Path)
	p.await(url, func() bool { return status(url) == http.StatusOK })
}

// expect asks the gate for a path until the answer has a status.
func (p *pod) expect(path string, expected int) {
	p.t.Helper()
	url := fmt.Sprintf("http://127.0.0.1:%d%s", portNamed(p.gate, "http"), path)
	p.await(fmt.Sprintf("%s with %d", path, expected), func() bool { return status(url) == expected })
}

// changeConfig changes the ConfigMap, and the volume as the kubelet does. Nothing signals the process.
func (p *pod) changeConfig(from, to string) {
	p.t.Helper()
	c := of[*core.ConfigMap](p.o)[0]
	before := c.Data["routes.app.yaml"]
	c.Data["routes.app.yaml"] = p.local(strings.Replace(before, from, to, 1))
	if c.Data["routes.app.yaml"] == p.local(before) {
		p.t.Fatalf("the configuration has no %q", from)
	}
	p.mount(&p.gate.VolumeMounts[0])
}

// stopsGracefully sends SIGTERM while a request is in flight. The gate isn't ready any more, answers the request, and ends in time.
func (p *pod) stopsGracefully(a *app) {
	p.t.Helper()
	answered := make(chan int, 1)
	go func() { answered <- status(fmt.Sprintf("http://127.0.0.1:%d/open/slow", portNamed(p.gate, "http"))) }()
	<-a.arrived
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	sleep := p.gate.Lifecycle.PreStop.Sleep.Seconds
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Duration(*p.pod.TerminationGracePeriodSeconds-sleep)*time.Second)
	defer cancel()
	p.await("no readiness", func() bool { return status(p.admin()+"/readyz") != http.StatusOK })
	select {
	case err := <-p.ended:
		p.t.Fatalf("the gate has ended with a request in flight: %v", err)
	default:
		close(a.answer)
	}
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("the gate ended with %v", err)
		}
	case <-ctx.Done():
		p.t.Error("the gate hasn't ended when the kubelet kills the pod")
	}
	if got := <-answered; got != http.StatusOK {
		p.t.Errorf("the request in flight was answered %d", got)
	}
}
