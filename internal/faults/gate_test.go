package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/freeport"
	"sallyport/internal/testlog"
)

// binary is the path of sallyport, which all tests share.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "sallyport-faults-")
	if err == nil {
		binary = filepath.Join(dir, "sallyport")
		build := exec.Command("go", "build", "-o", binary, "sallyport/cmd/sallyport")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		var out []byte
		if out, err = build.CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

const (
	firstSecret  = "the first session secret of this test, 32 bytes or more"
	secondSecret = "the second session secret of this test, 32 bytes or more"
)

// A gate is a sallyport process.
type gate struct {
	t     testing.TB
	url   string
	admin string
	file  string
	log   *testlog.Buffer
	cmd   *exec.Cmd
}

// newGate returns a gate that doesn't run yet.
func newGate(t testing.TB) *gate {
	return &gate{
		t: t, url: fmt.Sprintf("http://127.0.0.1:%d", freeport.Port()), admin: fmt.Sprintf("http://127.0.0.1:%d", freeport.Port()),
		file: filepath.Join(t.TempDir(), "sallyport.yaml"), log: &testlog.Buffer{},
	}
}

// startGate starts a gate with these values of session_secret.
func startGate(t testing.TB, r *rig, secrets ...string) *gate {
	t.Helper()
	g := newGate(t)
	g.configure(r, secrets...)
	g.run()
	return g
}

// run starts the process, which is killed when the test ends.
func (g *gate) run() {
	g.t.Helper()
	g.start()
	g.t.Cleanup(func() {
		g.kill()
		if log := g.log.String(); g.t.Failed() {
			g.t.Logf("the log of %s ends:\n%s", g.url, log[max(0, len(log)-3000):])
		}
	})
}

// configure writes the configuration with these values of session_secret.
func (g *gate) configure(r *rig, secrets ...string) {
	g.t.Helper()
	text := fmt.Sprintf(`
listen: %s
admin: {listen: %s}
log: {format: json, access: false}
routes:
  - route: {paths: [/], upstream: %q}
    oidc:
      issuer: %q
      client_id: app
      client_secret: %s
      auth_methods: [authorization_code, session]
      timeout: 2000
      session: {storage: redis, secret: ["%s"]}
      redis: {%s}
      upstream_headers: [{header: X-User, path: [sub]}]
`, address(g.url), address(g.admin), r.upstream.URL, r.provider.Issuer(), clientSecret, strings.Join(secrets, `", "`), r.redis)
	g.write(text)
}

// write writes the configuration file.
func (g *gate) write(text string) {
	g.t.Helper()
	if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func address(url string) string { return strings.TrimPrefix(url, "http://") }

// start runs the process until kill, and waits until it is ready.
func (g *gate) start() {
	g.t.Helper()
	g.cmd = exec.Command(binary, "run", "-c", g.file)
	g.cmd.Stdout, g.cmd.Stderr = g.log, g.log
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := g.cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	if !await(30*time.Second, g.ready) {
		g.t.Fatalf("the gate isn't ready: %s", g.log)
	}
}

func (g *gate) ready() bool {
	res, err := http.Get(g.admin + "/readyz")
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == http.StatusOK
}

// kill kills the process with SIGKILL.
func (g *gate) kill() {
	g.cmd.Process.Kill()
	var exit *exec.ExitError
	if err := g.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		g.t.Error(err)
	}
}

// reload makes the process read its configuration again, and waits until it has.
func (g *gate) reload() {
	g.t.Helper()
	before := strings.Count(g.log.String(), `"msg":"reloaded`)
	g.cmd.Process.Signal(syscall.SIGHUP)
	if !await(20*time.Second, func() bool { return strings.Count(g.log.String(), `"msg":"reloaded`) > before }) {
		g.t.Fatalf("the gate doesn't reload: %s", g.log)
	}
}

// await calls ok until it returns true, at most for limit, and returns the last result.
func await(limit time.Duration, ok func() bool) bool {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
