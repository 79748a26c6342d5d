package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// What one run shares: the binary, one Keycloak and one Chromium. Every test has gates, upstreams and stores of its own.
var (
	root        string // of the checkout
	binary      string // sallyport
	keycloak    *keycloakServer
	chromium    *driver
	screenshots string // a folder, which is kept
)

func TestMain(m *testing.M) {
	status, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		status = 1
	}
	os.Exit(status)
}

func runAll(m *testing.M) (status int, err error) {
	if root, err = filepath.Abs("../.."); err != nil {
		return 1, err
	}
	dir, err := os.MkdirTemp("", "sallyport-e2e-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("./parts.sh", "check").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("%s", out)
	}
	if err := prepare(dir); err != nil {
		return 1, err
	}
	defer keycloak.stop()
	defer chromium.stop()
	return m.Run(), nil
}

// prepare builds the binary while Keycloak and Chromium start.
func prepare(dir string) error {
	screenshots = filepath.Join(root, "out/screenshots")
	binary = filepath.Join(dir, "sallyport")
	errs := make(chan error, 3)
	go func() { errs <- build() }()
	go func() (err error) { defer func() { errs <- err }(); keycloak, err = startKeycloak(dir); return err }()
	go func() (err error) { defer func() { errs <- err }(); chromium, err = startDriver(dir); return err }()
	err := errors.Join(<-errs, <-errs, <-errs, os.MkdirAll(screenshots, 0o755))
	if err != nil {
		keycloak.stop()
		chromium.stop()
	}
	return err
}

func build() error {
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/sallyport")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the binary: %w\n%s", err, out)
	}
	return nil
}

// A process is a program that was started here, in a process group of its own.
type process struct {
	cmd    *exec.Cmd
	ended  chan struct{} // closed when it has ended
	status error         // of its end
}

// startProcess starts a program whose output goes to out.
func startProcess(out io.Writer, env []string, name string, args ...string) (*process, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, out
	return begin(cmd)
}

func begin(cmd *exec.Cmd) (*process, error) {
	// Pdeathsig is no help here: it follows the thread that started the child, not the test.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, ended: make(chan struct{})}
	go func() { p.status = cmd.Wait(); close(p.ended) }()
	return p, nil
}

func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// kill ends the whole process group at once and waits for it. A nil process is fine.
func (p *process) kill() {
	if p == nil {
		return
	}
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

// running reports whether the process is alive.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// A logBuffer keeps what a process writes.
type logBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b...)
	return len(b), nil
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.b)
}

var handedOut sync.Map // ports of this run

// freePort returns a loopback port below the range from which the kernel takes ports for outgoing connections, so that
// nobody takes it before a started process does.
func freePort() int {
	for {
		port := 12000 + rand.IntN(18000)
		if _, taken := handedOut.LoadOrStore(port, true); taken {
			continue
		}
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
}

// await calls ok until it is true, for limit at most.
func await(limit time.Duration, ok func() bool) bool {
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(20 * time.Millisecond)
	}
	return true
}

// mustAwait is await that fails the test.
func mustAwait(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	if !await(limit, ok) {
		t.Fatalf("waited %v in vain: %s", limit, what)
	}
}

// until waits for a moment: an expiry that nothing but time brings about.
func until(t *testing.T, moment time.Time) {
	t.Helper()
	select {
	case <-time.After(time.Until(moment)):
	case <-t.Context().Done():
		t.Fatal("the test ended before its time")
	}
}

// answers reports whether a GET is answered with this status.
func answers(url string, status int) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	res.Body.Close()
	return res.StatusCode == status
}
