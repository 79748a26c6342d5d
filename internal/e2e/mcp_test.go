package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// mcpTokenLife is the lifetime of access tokens in these tests.
const mcpTokenLife = 12 * time.Second

// An mcpGate is a gate in front of an MCP server. Its built-in authorization server issues the tokens, after a login at a provider.
type mcpGate struct {
	*gate
	resource string // the URL of the MCP server at the gate
	server   *mcpServer
	user     string                                              // the sub of john, if it is known
	logIn    func(v *visitor) func(address string) (back string) // logs john in at the provider
}

const mcpGateSecret = "a-secret-of-32-bytes-for-the-mcp-gate-0021"

// startMCPGate starts a gate whose users log in at a provider of their own.
func startMCPGate(t *testing.T) *mcpGate {
	t.Helper()
	p := startOIDCProvider(t, oidcProviderConfig{
		clients:       []object{nativeClient("gate", mcpGateSecret, "/mcp/oauth2/callback")},
		configuration: object{"conformIdTokenClaims": false},
	})
	g := startMCPGateAt(t, p.issuer, "gate", mcpGateSecret)
	g.registerSecrets(mcpGateSecret)
	g.user = "john"
	g.logIn = func(v *visitor) func(string) string {
		return func(address string) string { return p.authorize(v, address, "john") }
	}
	return g
}

// startMCPGateAt starts a gate whose users log in at an issuer.
func startMCPGateAt(t *testing.T, issuer, client, secret string) *mcpGate {
	t.Helper()
	g := &mcpGate{server: startMCPServer(t)}
	port := freeport.Port()
	g.resource = urlOf(port) + "/mcp"
	authorizationServer := fmt.Sprintf(`oauth2:
  scopes: [tools]
  secret: %q
  clients:
    - client_id: fixed
      public: true
      name: The fixed client
      grants: [authorization_code, refresh_token]
      redirect_uris: [http://127.0.0.1/cb]
      scopes: [tools]
      access_token_lifetime: %d`, sessionSecret, int(mcpTokenLife.Seconds()))
	g.gate = startGateAt(t, port, config{process: []string{authorizationServer}, routes: []route{{
		path: "/mcp", upstream: &upstream{url: g.server.url}, issuer: issuer, client: client, secret: secret, rulesOff: true,
		oidc: []string{
			"auth_methods: [authorization_code, session, kong_oauth2]",
			"upstream_access_token_header: null",
			fmt.Sprintf("protected_resource_metadata: {resource: %q, authorization_servers: [%q], scopes_supported: [tools]}",
				g.resource, g.resource),
		},
	}}})
	return g
}

// TestMCPClients checks that the MCP clients of each SDK find the gate's authorization server, log in with consent of the user, and use
// a server behind the gate: tools, progress, silence, notifications, refresh, and the end of the session.
func TestMCPClients(t *testing.T) {
	t.Parallel()
	g := startMCPGate(t)
	for _, kind := range mcpKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			g.mustWork(t, kind, mcpRegistration{clientID: "fixed"})
		})
	}
}

// TestMCPKeycloak checks the login at Keycloak.
func TestMCPKeycloak(t *testing.T) {
	t.Parallel()
	g := startMCPGateAt(t, keycloak.issuer("sallyport"), "app", appSecret)
	g.logIn = func(v *visitor) func(string) string {
		return func(address string) string {
			form := v.browse(address)
			found := loginForm.FindStringSubmatch(form.body)
			if found == nil {
				v.t.Fatalf("no login form at %s: %d %s", address, form.status, form.body)
			}
			return v.submit(strings.ReplaceAll(found[1], "&amp;", "&"), "john")
		}
	}
	g.mustWork(t, mcpTypeScript1, mcpRegistration{clientID: "fixed"})
}

// mustWork uses the MCP server with a client that has to log in.
func (g *mcpGate) mustWork(t *testing.T, kind mcpKind, r mcpRegistration) {
	t.Helper()
	c := startMCPClient(t, kind, g.gate, g.resource, r)
	g.connect(t, c)
	var tools []string
	c.begin("tools", nil)(&tools)
	if !slices.Contains(tools, "echo") || !slices.Contains(tools, "whoami") {
		t.Errorf("the tools are %v", tools)
	}
	if got := c.call("echo", object{"text": "hello"}); got != "hello" {
		t.Errorf("echo answers %q", got)
	}
	c.mustStream()
	if got := c.call("idle", object{"seconds": 3}); got != "idle for 3 s" {
		t.Errorf("a silent call is answered %q", got)
	}
	c.call("announce", nil)
	c.mustEvent("list_changed", 1)
	session := g.whoami(t, c)
	g.refresh(t, c)
	if again := g.whoami(t, c); again != session {
		t.Errorf("the session was %s before the refresh, and is %s", session, again)
	}
	c.begin("end", nil)(nil)
	if !kind.noDelete {
		g.mustHaveEnded(t, session)
	}
	g.checkArrivals(t, c, session)
}

// mustHaveEnded waits until a DELETE request has ended the session.
func (g *mcpGate) mustHaveEnded(t *testing.T, session string) {
	t.Helper()
	mustAwait(t, 10*time.Second, "the end of the session", func() bool {
		return slices.ContainsFunc(g.server.arrivals(), func(a mcpArrival) bool { return a.Ended == session })
	})
}

// connect connects the client. The user logs in and allows it.
func (g *mcpGate) connect(t *testing.T, c *mcpClient) {
	t.Helper()
	connected := c.begin("connect", nil)
	request := member(c.mustEvent("authorize", 1), "url")
	u, err := url.Parse(request)
	if err != nil {
		t.Fatal(err)
	}
	if q := u.Query(); q.Get("resource") != g.resource || q.Get("scope") != "tools" || q.Get("code_challenge_method") != "S256" {
		t.Errorf("the client's authorization request is %v", q)
	}
	v := newVisitor(t, g.gate)
	v.consent(request, g.logIn(v))
	connected(nil)
	tokens := c.tokens()
	if len(tokens) == 0 || tokens[0]["scope"] != "tools" || tokens[0]["refresh_token"] == nil {
		t.Errorf("the client has %d tokens", len(tokens))
	}
}

// mustStream checks that a notification arrives while its call is unanswered: the server waits for another call, which is sent only after
// the notification.
func (c *mcpClient) mustStream() {
	c.t.Helper()
	called := c.begin("call", object{"tool": "progress"})
	if e := c.mustEvent("progress", 1); e["progress"] != 1.0 {
		c.t.Errorf("the first notification is %v", e)
	}
	if got := c.call("proceed", nil); got != "proceeding" {
		c.t.Errorf("the server answers %q", got)
	}
	var text string
	called(&text)
	if e := c.mustEvent("progress", 2); e["progress"] != 2.0 || text != "done" {
		c.t.Errorf("the second notification is %v, and the result %q", e, text)
	}
}

// whoami checks the header fields that the MCP server received, and returns the session's ID.
func (g *mcpGate) whoami(t *testing.T, c *mcpClient) (session string) {
	t.Helper()
	text := c.call("whoami", nil)
	var headers map[string]string
	if err := json.Unmarshal([]byte(text), &headers); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if user := headers["x-authenticated-userid"]; user != "john" && g.user == "john" || user == "" {
		t.Errorf("the server doesn't know the user: %s", text)
	}
	if headers["mcp-session-id"] == "" {
		t.Fatalf("the request has no session: %s", text)
	}
	return headers["mcp-session-id"]
}

// refresh waits until the access token has expired and checks that the client gets another one without the user.
func (g *mcpGate) refresh(t *testing.T, c *mcpClient) {
	t.Helper()
	before := len(c.tokens())
	last := c.tokens()[before-1]
	until(t, time.Now().Add(mcpTokenLife+time.Second))
	c.call("echo", object{"text": "later"})
	tokens := c.tokens()
	if len(tokens) <= before || tokens[len(tokens)-1]["access_token"] == last["access_token"] {
		t.Error("the client didn't refresh its expired token")
	}
	if asked := len(c.named("authorize")); asked != 1 {
		t.Errorf("the user was asked %d times", asked)
	}
}

// checkArrivals checks what the MCP server received in a session: every request has the user, and none has a credential.
func (g *mcpGate) checkArrivals(t *testing.T, c *mcpClient, session string) {
	t.Helper()
	methods := map[string]bool{}
	for _, a := range g.server.arrivals() {
		if a.Headers["mcp-session-id"] != session {
			continue
		}
		methods[a.Method] = true
		if a.Headers["x-authenticated-userid"] == "" {
			t.Errorf("the server doesn't know the user of %s %v", a.Method, a.Calls)
		}
		for name, value := range a.Headers {
			if name == "authorization" || name == "cookie" || c.isToken(value) {
				t.Errorf("the server received the credential %s with %s %v", name, a.Method, a.Calls)
			}
		}
	}
	if !methods["GET"] || !methods["POST"] {
		t.Errorf("the server received only %v", methods)
	}
}

// isToken reports whether a value contains one of the client's tokens.
func (c *mcpClient) isToken(value string) bool {
	return slices.ContainsFunc(c.tokens(), func(tokens object) bool { return strings.Contains(value, member(tokens, "access_token")) })
}
