package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
)

// startGate starts the gate with its issuer and its Redis.
func (r *rig) startGate(ctx context.Context) (*process, error) {
	var err error
	if r.issuer, err = startIssuer(); err != nil {
		return nil, err
	}
	if r.redis, err = r.startRedis(ctx); err != nil {
		return nil, err
	}
	if r.binary, err = r.build(ctx); err != nil {
		return nil, err
	}
	return r.runGate(ctx, "gate", "")
}

// runGate starts a gate. Its configuration has more settings of the process.
func (r *rig) runGate(ctx context.Context, name, more string) (*process, error) {
	address, err1 := freeAddress()
	admin, err2 := freeAddress()
	file := filepath.Join(r.dir, name+".yaml")
	err3 := os.WriteFile(file, append(r.config(address, admin, r.redis.address), more...), 0o600)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	p := &process{name: name, address: address, command: []string{r.binary, "run", "-c", file}, env: []string{"GOMAXPROCS=1"}}
	return r.start(ctx, r.proxyCore, p, func() error { return answering(ctx, "http://"+admin+"/readyz") })
}

// build builds the gate as `make build` does.
func (r *rig) build(ctx context.Context) (string, error) {
	binary := filepath.Join(r.dir, "sallyport")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "sallyport/cmd/sallyport")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return binary, nil
}

// manyRules is the number of rules of the route /many.
const manyRules = 1000

// config returns the gate's configuration for these listen addresses.
func (r *rig) config(address, admin, redis string) []byte {
	_, redisPort, _ := net.SplitHostPort(redis)
	out := fmt.Appendf(nil, `listen: %s
admin: {listen: %s}
log: {access: false, level: warn}
trusted_proxies: [127.0.0.0/8]
oidc:
  issuer: %s
  client_id: %s
  client_secret: %s
  session: {secret: the bench's session secret is long enough}
routes:
  - route: {paths: [/], upstream: %[6]s}
    oidc: {session: {storage: redis, cookie_name: session_redis}, redis: {port: %[7]s}}
    rules:
      - paths: [/off]
        auth: off
  - route: {paths: [/memory], upstream: %[6]s}
  - route: {paths: [/cookie], upstream: %[6]s}
    # The load sends the cookie of its login again and again. With an idling timeout, each request after a minute would get a new cookie.
    oidc: {session: {storage: cookie, cookie_name: session_cookie, idling_timeout: 0}}
  - route: {paths: [/cert], upstream: %[6]s}
    oidc:
      auth_methods: [bearer]
      proof_of_possession_mtls: strict
      proof_of_possession_mtls_from_header: {certificate_header_name: Client-Cert, certificate_header_format: rfc9440}
  - route: {paths: [/asked], upstream: %[6]s}
    oidc: {auth_methods: [introspection]}
  - route: {paths: [/one], upstream: %[6]s}
    rules:
      - {paths: [/one/page/500], methods: [GET], groups_required: [/staff]}
  - route: {paths: [/many], upstream: %[6]s}
    rules:
`, address, admin, r.issuer.Issuer(), clientID, clientSecret, r.upstream, redisPort)
	for n := range manyRules {
		out = fmt.Appendf(out, "      - {paths: [/many/page/%d], methods: [GET], groups_required: [/staff]}\n", n)
	}
	return out
}

// answering checks that a GET of url has the status 200.
func answering(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: expected status 200, got %s", url, res.Status)
	}
	return nil
}
