package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"sallyport/internal/freeport"
)

// startBalancer forwards each connection to the next of the addresses that takes it, until the test ends. It returns its port.
func startBalancer(t *testing.T, port int, addresses ...string) {
	t.Helper()
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var next atomic.Uint32
	dial := func() net.Conn {
		for range addresses {
			if c, err := net.Dial("tcp", addresses[next.Add(1)%uint32(len(addresses))]); err == nil {
				return c
			}
		}
		return nil
	}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer in.Close()
				out := dial()
				if out == nil {
					return
				}
				defer out.Close()
				var both sync.WaitGroup
				for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
					both.Go(func() {
						io.Copy(pair[0], pair[1])
						pair[0].(*net.TCPConn).CloseWrite()
					})
				}
				both.Wait()
			}()
		}
	}()
}

// TestMCPReplicas checks two MCP servers on one host, behind two replicas of the gate that share Redis: clients register at one, log in,
// call and refresh at any, and go on when a replica is restarted. A token of one server is refused at the other.
func TestMCPReplicas(t *testing.T) {
	t.Parallel()
	server, redis, port := startMCPServer(t), startRedis(t), freeport.Port()
	p := startOIDCProvider(t, oidcProviderConfig{clients: []object{
		nativeClient("gate", mcpGateSecret, "/mcp/oauth2/callback"),
	}})
	process := fmt.Sprintf("oauth2: {storage: redis, redis: {port: %d}, secret: %q, token_expiration: %d}",
		redis.port, sessionSecret, int(mcpTokenLife.Seconds()))
	var routes []route
	for _, path := range []string{"/mcp", "/other"} {
		routes = append(routes, route{
			path: path, more: "hosts: [127.0.0.1]", upstream: &upstream{url: server.url}, mcp: "{scopes: [tools], registration: true}",
			issuer: p.issuer, client: "gate", secret: mcpGateSecret, rulesOff: true, oidc: withRedis(redis),
		})
	}
	replicas := []*gate{
		startGate(t, config{process: []string{process}, routes: routes}), startGate(t, config{process: []string{process}, routes: routes}),
	}
	var addresses []string
	for _, g := range replicas {
		g.registerSecrets(mcpGateSecret)
		addresses = append(addresses, strings.TrimPrefix(g.url, "http://"))
	}
	startBalancer(t, port, addresses...)
	balanced := &mcpGate{gate: replicas[0], resource: urlOf(port) + "/mcp", john: "john"}
	balanced.logIn = func(v *visitor, address string) string { return p.authorize(v, address, "john") }
	balanced.origin = urlOf(port)

	first := startMCPClient(t, mcpTypeScript1, balanced.gate, balanced.resource, mcpRegistration{})
	second := startMCPClient(t, mcpPython, balanced.gate, balanced.resource, mcpRegistration{})
	for _, c := range []*mcpClient{first, second} {
		balanced.connect(t, c)
		balanced.mustKnowJohn(t, c)
	}
	for _, g := range replicas {
		g.terminate(t)
		balanced.mustKnowJohn(t, first) // the other replica answers
		g.start(t)
		first.mustRefresh()
		balanced.mustKnowJohn(t, second)
	}
	tokens := first.tokens()
	v := newVisitor(t, balanced.gate)
	got := v.must(v.request(http.MethodPost, urlOf(port)+"/other", "{}", "Content-Type", "application/json",
		"Authorization", "Bearer "+member(tokens[len(tokens)-1], "access_token")))
	if challenge := got.header.Get("WWW-Authenticate"); got.status != http.StatusUnauthorized || !strings.Contains(challenge, "/other\"") {
		t.Errorf("a token of one server is answered %d %s at the other", got.status, challenge)
	}
	for _, c := range []*mcpClient{first, second} {
		c.begin("end", nil)(nil)
	}
}
