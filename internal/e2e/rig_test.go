package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// All tests of a run share the binary, one Keycloak and one Chromium. Each test has its own gates, upstreams and stores.
var (
	root        string // of the checkout
	binary      string // sallyport
	keycloak    *keycloakServer
	chromium    *driver
	screenshots string // a folder that isn't deleted
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
	if err := startReaper(); err != nil {
		return 1, err
	}
	if out, err := exec.Command("./parts.sh", "check").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("%s", out)
	}
	if err := testCA.keep(dir); err != nil {
		return 1, err
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

// await calls ok until it returns true, at most for limit, and returns the last result.
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

// mustAwait is like await, but fails the test if ok doesn't return true.
func mustAwait(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	if !await(limit, ok) {
		t.Fatalf("waited %v in vain: %s", limit, what)
	}
}

// until waits for a time, such as an expiry.
func until(t *testing.T, moment time.Time) {
	t.Helper()
	select {
	case <-time.After(time.Until(moment)):
	case <-t.Context().Done():
		t.Fatal("the test ended before its time")
	}
}

// answers reports whether a GET of url has this status.
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
