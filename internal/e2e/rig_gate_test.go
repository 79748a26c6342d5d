package e2e

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// sessionSecret is the configured session_secret, which must not appear in logs.
const sessionSecret = "a-session-secret-that-no-log-may-hold-0006"

// A config is a gate's configuration without listeners.
type config struct {
	trusted bool     // the peer at 127.0.0.1 is a trusted proxy
	tls     bool     // the listener has TLS 1.3 with a certificate of the test CA, and asks for client certificates
	asks    string   // the kind of proxy that asks at the listener (forward_auth), or ""
	token   string   // admin.token, or ""
	process []string // more top-level lines
	routes  []route
}

// A route is an entry of routes. By default it is at / and uses the client app of the realm sallyport.
type route struct {
	path     string
	more     string // more members of the route block, such as "hosts: [a.example.com]"
	mcp      string // the value of mcp, or ""
	acl      string // the value of acl, or ""
	issuer   string
	counting *countingProxy // the proxy in front of the issuer, or nil
	client   string
	secret   string
	upstream *upstream // nil: the route has none
	oidc     []string  // more lines of the oidc block; if they have issuers, the block has no settings of a single issuer
	rules    []string  // additional rules, before those of every route
	rulesOff bool      // the route has only the additional rules
}

func (r route) yaml() string {
	var b strings.Builder
	path := cmp.Or(r.path, "/")
	below := strings.TrimSuffix(path, "/")
	has := func(key string) bool {
		return slices.ContainsFunc(r.oidc, func(own string) bool { return strings.HasPrefix(own, key+":") })
	}
	more := ""
	if r.more != "" {
		more = ", " + r.more
	}
	if r.upstream != nil {
		more += fmt.Sprintf(", upstream: %q", r.upstream.url)
	}
	fmt.Fprintf(&b, "  - route: {paths: [%s], acl: %s%s}\n    oidc:\n", path, cmp.Or(r.acl, "{}"), more)
	byDefault := []string{
		"upstream_headers: [{header: X-User, path: [preferred_username]}]",
		"roles_claim: [realm_access, roles]",
	}
	if !has("issuers") {
		byDefault = append(byDefault, "issuer: "+cmp.Or(r.issuer, keycloak.issuer("sallyport")), "client_id: "+cmp.Or(r.client, "app"),
			"client_secret: "+cmp.Or(r.secret, appSecret), // or none
			"scopes: [openid, profile, email]")
	}
	for _, line := range byDefault {
		if key, _, _ := strings.Cut(line, ":"); line != "client_secret: none" && !has(key) {
			fmt.Fprintf(&b, "      %s\n", line)
		}
	}
	for _, line := range r.oidc {
		fmt.Fprintf(&b, "      %s\n", line)
	}
	if r.mcp != "" {
		fmt.Fprintf(&b, "    mcp: %s\n", r.mcp)
	}
	rules := r.rules
	if !r.rulesOff {
		rules = append(rules,
			"{paths: ["+below+"/public], auth: off}",
			"{paths: ["+below+"/maybe], auth: optional}",
			"{paths: ["+below+"/admin], roles_required: [admin]}")
	}
	if len(rules) > 0 {
		b.WriteString("    rules:\n")
	}
	for _, rule := range rules {
		fmt.Fprintf(&b, "      - %s\n", rule)
	}
	return b.String()
}

// withRedis returns lines of an oidc block with sessions in Redis and sessionSecret.
func withRedis(r *redisServer, more ...string) []string {
	return append([]string{
		fmt.Sprintf("session: {storage: redis, secret: %q}", sessionSecret),
		fmt.Sprintf("redis: {port: %d}", r.port),
	}, more...)
}

// A gate is a sallyport process. It trusts the test CA, so issuers and upstreams may use HTTPS.
type gate struct {
	url   string // http://127.0.0.1:PORT, or https
	admin string
	file  string
	log   *logBuffer
	proc  *process

	listen  string // the first lines of the configuration
	mu      sync.Mutex
	planted map[string]bool
}

// startGate runs the binary until the test ends. Then it checks that the log, at level debug, contains no registered secret.
func startGate(t *testing.T, c config) *gate {
	t.Helper()
	return startGateAt(t, freeport.Port(), c)
}

func urlOf(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", port) }

// startGateAt is like startGate, with a given port.
func startGateAt(t *testing.T, port int, c config) *gate {
	t.Helper()
	admin := freeport.Port()
	g := &gate{
		url: urlOf(port), admin: urlOf(admin),
		file: filepath.Join(t.TempDir(), "sallyport.yaml"), log: &logBuffer{}, planted: map[string]bool{},
		listen: fmt.Sprintf("listen: 127.0.0.1:%d\n", port),
	}
	if c.tls {
		certFile, keyFile := testCA.mustServerPair(t)
		g.url = "https" + strings.TrimPrefix(g.url, "http")
		g.listen = fmt.Sprintf("listen: {address: 127.0.0.1:%d, "+
			"tls: {cert_file: %s, key_file: %s, min_version: \"1.3\", client_auth: request}}\n", port, certFile, keyFile)
	}
	if c.asks != "" {
		g.listen = fmt.Sprintf("listen: {address: 127.0.0.1:%d, forward_auth: %s}\n", port, c.asks)
	}
	token := ""
	if c.token != "" {
		g.registerSecrets(c.token)
		token = ", token: " + c.token
	}
	g.listen += fmt.Sprintf("admin: {listen: 127.0.0.1:%d%s}\nlog: {format: json, level: debug}\n", admin, token)
	g.registerSecrets(sessionSecret)
	g.registerSecrets(clientSecrets...)
	g.configure(t, c)
	t.Cleanup(func() { g.end(t, c) })
	g.start(t)
	return g
}

// configure writes the configuration file, which the process reads at start and reload.
func (g *gate) configure(t *testing.T, c config) {
	t.Helper()
	var b strings.Builder
	b.WriteString(g.listen)
	if c.trusted {
		b.WriteString("trusted_proxies: [127.0.0.1/32]\n")
	}
	for _, line := range c.process {
		b.WriteString(line + "\n")
	}
	b.WriteString("routes:\n")
	for _, r := range c.routes {
		b.WriteString(r.yaml())
	}
	if err := os.WriteFile(g.file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (g *gate) start(t *testing.T) {
	t.Helper()
	var err error
	if g.proc, err = startProcess(g.log, []string{"SSL_CERT_FILE=" + testCA.file}, binary, "run", "-c", g.file); err != nil {
		t.Fatal(err)
	}
	if !await(30*time.Second, func() bool { return g.ready() || !g.proc.running() }) || !g.proc.running() {
		file, _ := os.ReadFile(g.file)
		t.Fatalf("the gate isn't ready; it wrote:\n%s\nits configuration:\n%s", g.log, file)
	}
}

func (g *gate) ready() bool { return answers(g.admin+"/readyz", http.StatusOK) }

// terminate sends SIGTERM and waits for the end of the process.
func (g *gate) terminate(t *testing.T) {
	t.Helper()
	g.proc.signal(syscall.SIGTERM)
	select {
	case <-g.proc.ended:
		if g.proc.status != nil {
			t.Errorf("the gate ended badly: %v", g.proc.status)
		}
	case <-time.After(30 * time.Second):
		t.Error("the gate doesn't stop within 30 s of SIGTERM")
		g.proc.kill()
	}
}

// hangUp sends SIGHUP, which reloads the configuration.
func (g *gate) hangUp(t *testing.T) {
	t.Helper()
	if err := g.proc.signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// end kills the process and checks its log.
func (g *gate) end(t *testing.T, c config) {
	g.proc.kill()
	for _, r := range c.routes {
		g.registerSecrets(r.counting.seen()...)
		if r.upstream == nil {
			continue
		}
		for _, a := range r.upstream.all() {
			_, token, _ := strings.Cut(a.header.Get("Authorization"), " ")
			g.registerSecrets(token)
		}
	}
	log := g.log.String()
	for value := range g.planted {
		if strings.Contains(log, value) {
			t.Errorf("the gate's log holds a secret: %s", lineWith(log, value))
		}
	}
	for _, bad := range []string{"panic:", "DATA RACE", "http: panic serving"} {
		if strings.Contains(log, bad) {
			t.Errorf("the gate's log holds %q: %s", bad, lineWith(log, bad))
		}
	}
	if t.Failed() {
		t.Logf("the gate's log ends:\n%s", log[max(0, len(log)-6000):])
	}
}

func lineWith(log, value string) string {
	for line := range strings.Lines(log) {
		if strings.Contains(line, value) {
			return line
		}
	}
	return ""
}

// registerSecrets registers values that must not appear in the log. It ignores short values, which may occur by chance.
func (g *gate) registerSecrets(values ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, v := range values {
		if len(v) >= 16 {
			g.planted[v] = true
		}
	}
}
