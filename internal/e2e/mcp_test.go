package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMCPClients checks that the MCP clients of each SDK find the gate's authorization server, log in with consent of the user, and use
// a server behind the gate: tools, progress, silence, notifications, and the end of the session.
func TestMCPClients(t *testing.T) {
	t.Parallel()
	server := startMCPServer(t)
	g := startMCPGate(t, server.url)
	for _, kind := range mcpKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			g.mustWork(t, server, kind, 3)
		})
	}
}

// TestMCPRefresh checks that clients refresh their tokens and keep their session.
func TestMCPRefresh(t *testing.T) {
	t.Parallel()
	server := startMCPServer(t)
	g := startMCPGate(t, server.url)
	for _, kind := range mcpKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			c := startMCPClient(t, kind, g.gate, g.resource, mcpRegistration{clientID: "fixed"})
			g.connect(t, c)
			session := g.mustKnowJohn(t, c)
			c.mustRefresh()
			if again := g.mustKnowJohn(t, c); again != session {
				t.Errorf("the session was %s before the refresh, and is %s", session, again)
			}
			c.begin("end", nil)(nil)
			server.check(t, c, session)
		})
	}
}

// TestMCPRegistration checks that the clients of each SDK register themselves, or are known by their metadata document.
func TestMCPRegistration(t *testing.T) {
	t.Parallel()
	server := startMCPServer(t)
	g := startMCPGate(t, server.url)
	document := startClientDocument(t)
	for _, kind := range mcpKinds {
		for name, r := range map[string]mcpRegistration{"registration": {}, "document": {metadataURL: document}} {
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				c := startMCPClient(t, kind, g.gate, g.resource, r)
				g.connect(t, c)
				id := c.clientID()
				if id == "" || r.metadataURL != "" && id != r.metadataURL || r.metadataURL == "" && id == document {
					t.Errorf("the client's ID is %q", id)
				}
				server.check(t, c, g.mustKnowJohn(t, c))
				c.begin("end", nil)(nil)
			})
		}
	}
}

// TestMCPStateless checks clients of MCP 2026-07-28, which has no sessions. They ask the server for its versions first.
func TestMCPStateless(t *testing.T) {
	t.Parallel()
	g := startMCPGate(t, startEverythingServer(t, true))
	for _, kind := range []mcpKind{mcpStateless, mcpPython, mcpGo} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			c := startMCPClient(t, kind, g.gate, g.resource, mcpRegistration{clientID: "lasting"})
			if got := g.connect(t, c); got != "2026-07-28" {
				t.Errorf("the client and the server speak %s", got)
			}
			if got := c.call("test_simple_text", nil); got != "This is a simple text response for testing." {
				t.Errorf("the server answers %q", got)
			}
			if kind.sdk == mcpStateless.sdk {
				c.begin("listen", nil)(nil)
				c.call("test_trigger_tool_change", nil)
				c.mustEvent("list_changed", 1)
			}
			c.begin("end", nil)(nil)
		})
	}
}

// TestMCPStepUp checks clients that call a tool for which their token has too few scopes. They ask for those that the gate names, and the
// user allows these, too.
func TestMCPStepUp(t *testing.T) {
	t.Parallel()
	g := startMCPGate(t, startEverythingServer(t, true), "{mcp_tools: [test_simple_text], scopes_required: [tools more]}")
	for _, kind := range []mcpKind{mcpStateless, mcpPython, mcpGo} {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			c := startMCPClient(t, kind, g.gate, g.resource, mcpRegistration{})
			g.connect(t, c)
			called := c.begin("call", object{"tool": "test_simple_text"})
			request := member(c.mustEvent("authorize", 2), "url")
			scopes := strings.Fields(mustQuery(t, request).Get("scope"))
			if slices.Sort(scopes); !slices.Equal(scopes, []string{"more", "tools"}) { // the Go SDK has no order
				t.Errorf("the client asks for the scopes %v", scopes)
			}
			g.consent(t, request)
			var text string
			called(&text)
			if text != "This is a simple text response for testing." {
				t.Errorf("the server answers %q", text)
			}
			c.begin("end", nil)(nil)
		})
	}
}

// TestMCPProvider checks clients that get their tokens at the OpenID Provider, where they register.
func TestMCPProvider(t *testing.T) {
	t.Parallel()
	server := startMCPServer(t)
	g, p := startMCPGateOfProvider(t, server.url)
	for _, kind := range mcpKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			c := startMCPClient(t, kind, g.gate, g.resource, mcpRegistration{})
			connected := c.begin("connect", nil)
			v := newVisitor(t, g.gate)
			v.browse(p.authorize(v, member(c.mustEvent("authorize", 1), "url"), "john"))
			connected(nil)
			server.check(t, c, g.mustKnowJohn(t, c))
			c.begin("end", nil)(nil)
		})
	}
}

// clientID returns the client_id of the client's authorization request.
func (c *mcpClient) clientID() string {
	c.t.Helper()
	return mustQuery(c.t, member(c.mustEvent("authorize", 1), "url")).Get("client_id")
}

func mustQuery(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

// TestMCPStaleRegistration checks that mcp-remote registers anew when the gate doesn't know its registration any more.
func TestMCPStaleRegistration(t *testing.T) {
	t.Parallel()
	g := startMCPGate(t, startMCPServer(t).url)
	home := t.TempDir()
	first := startMCPClientAt(t, home, mcpRemote, g.gate, g.resource, mcpRegistration{})
	g.connect(t, first)
	first.begin("end", nil)(nil)
	first.stop()
	g.replaceSecret(t)
	second := startMCPClientAt(t, home, mcpRemote, g.gate, g.resource, mcpRegistration{})
	g.connect(t, second)
	if second.clientID() == first.clientID() {
		t.Error("the client didn't register anew")
	}
	second.begin("end", nil)(nil)
}

// replaceSecret restarts the gate with another secret of the authorization server.
func (g *mcpGate) replaceSecret(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile(g.file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(text), sessionSecret, strings.ToUpper(sessionSecret))
	if err := os.WriteFile(g.file, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	g.terminate(t)
	g.start(t)
}

// TestMCPKeycloak checks the login at Keycloak.
func TestMCPKeycloak(t *testing.T) {
	t.Parallel()
	server := startMCPServer(t)
	startMCPGateAtKeycloak(t, server.url).mustWork(t, server, mcpTypeScript1, 61) // longer than the timeouts of many proxies
}

// mustWork uses the MCP server with a client that has to log in. One call is silent for some seconds.
func (g *mcpGate) mustWork(t *testing.T, server *mcpServer, kind mcpKind, silent int) {
	t.Helper()
	c := startMCPClient(t, kind, g.gate, g.resource, mcpRegistration{clientID: "lasting"})
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
	if got := c.call("idle", object{"seconds": silent}); got != fmt.Sprintf("idle for %d s", silent) {
		t.Errorf("a silent call is answered %q", got)
	}
	c.call("announce", nil)
	c.mustEvent("list_changed", 1)
	session := g.mustKnowJohn(t, c)
	c.begin("end", nil)(nil)
	if !kind.noDelete {
		server.mustHaveEnded(t, session)
	}
	server.check(t, c, session)
}

// connect connects the client and returns the version of MCP. john logs in and allows it.
func (g *mcpGate) connect(t *testing.T, c *mcpClient) (protocol string) {
	t.Helper()
	connected := c.begin("connect", nil)
	request := member(c.mustEvent("authorize", 1), "url")
	if q := mustQuery(t, request); q.Get("resource") != g.resource || q.Get("scope") != "tools" || q.Get("code_challenge_method") != "S256" {
		t.Errorf("the client's authorization request is %v", q)
	}
	g.consent(t, request)
	var result struct{ Protocol string }
	connected(&result)
	tokens := c.tokens()
	if len(tokens) == 0 || tokens[0]["scope"] != "tools" || tokens[0]["refresh_token"] == nil {
		t.Errorf("the client has %d tokens", len(tokens))
	}
	return result.Protocol
}

// mustStream checks that notifications arrive while their call is unanswered: after each, the server waits for another call, which is sent
// only when the client has the notification.
func (c *mcpClient) mustStream() {
	c.t.Helper()
	called := c.begin("call", object{"tool": "progress"})
	for n := 1; n <= 2; n++ {
		if e := c.mustEvent("progress", n); e["progress"] != float64(n) {
			c.t.Errorf("notification %d is %v", n, e)
		}
		if got := c.call("proceed", nil); got != "proceeding" {
			c.t.Errorf("the server answers %q", got)
		}
	}
	var text string
	called(&text)
	if text != "done" {
		c.t.Errorf("the result after the notifications is %q", text)
	}
}

// mustKnowJohn checks that the MCP server receives the user of the client, and returns the session's ID.
func (g *mcpGate) mustKnowJohn(t *testing.T, c *mcpClient) (session string) {
	t.Helper()
	text := c.call("whoami", nil)
	var headers map[string]string
	if err := json.Unmarshal([]byte(text), &headers); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if user := headers["x-credential-identifier"]; user == "" || g.john != "" && user != g.john {
		t.Errorf("the server doesn't know the user: %s", text)
	}
	if headers["mcp-session-id"] == "" {
		t.Fatalf("the request has no session: %s", text)
	}
	return headers["mcp-session-id"]
}

// mustRefresh waits until the access token has expired, and checks that the client gets another one without the user when many calls find
// out at the same moment. If it used its refresh token twice, its authorization would end.
func (c *mcpClient) mustRefresh() {
	c.t.Helper()
	before := len(c.tokens())
	until(c.t, time.Now().Add(mcpTokenLife+time.Second))
	var finish []func(any)
	for range 8 {
		finish = append(finish, c.begin("call", object{"tool": "echo", "arguments": object{"text": "later"}}))
	}
	for _, f := range finish {
		f(nil)
	}
	tokens := c.tokens()
	if len(tokens) <= before || tokens[before]["access_token"] == tokens[before-1]["access_token"] {
		c.t.Error("the client didn't refresh its expired token")
	}
	if asked := len(c.named("authorize")); asked != 1 {
		c.t.Errorf("the user was asked %d times", asked)
	}
}

// TestMCPStreams checks that a stream ends within 30 seconds after its token was revoked.
func TestMCPStreams(t *testing.T) {
	t.Parallel()
	server := startMCPServer(t)
	g := startMCPGate(t, server.url)
	c := startMCPClient(t, mcpTypeScript1, g.gate, g.resource, mcpRegistration{clientID: "lasting"})
	g.connect(t, c)
	session, tokens := g.mustKnowJohn(t, c), c.tokens()[0]
	v := newVisitor(t, g.gate)
	call := `{"jsonrpc":"2.0","id":99,"method":"tools/call","params":{"name":"idle","arguments":{"seconds":120}}}`
	r := v.request(http.MethodPost, g.resource, call, "Authorization", "Bearer "+member(tokens, "access_token"), "Mcp-Session-Id", session,
		"Accept", "application/json, text/event-stream", "Content-Type", "application/json", "Mcp-Protocol-Version", "2025-11-25")
	stream, err := v.http.Transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	ended := make(chan time.Time, 1)
	go func() {
		io.Copy(io.Discard, stream.Body)
		ended <- time.Now()
	}()
	revoked := v.ask(g.resource+"/oauth2/revoke", clientNone("lasting"), url.Values{"token": {member(tokens, "refresh_token")}})
	if revoked.status != http.StatusOK || stream.StatusCode != http.StatusOK {
		t.Fatalf("the stream is answered %d, the revocation %d", stream.StatusCode, revoked.status)
	}
	begin := time.Now()
	select {
	case at := <-ended:
		if at.Before(begin) {
			t.Error("the stream ended before the token was revoked")
		}
	case <-time.After(30 * time.Second):
		t.Error("the stream goes on")
	}
}

// TestMCPCallOutlivesToken checks that a call is answered although its token expires meanwhile. Its result would be lost although the
// server has done what it was asked, and the clients of the TypeScript SDK wait until their own time limit.
func TestMCPCallOutlivesToken(t *testing.T) {
	t.Parallel()
	g := startMCPGate(t, startMCPServer(t).url)
	for _, kind := range mcpKinds {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			c := startMCPClient(t, kind, g.gate, g.resource, mcpRegistration{clientID: "fixed"})
			g.connect(t, c)
			called := c.begin("call", object{"tool": "idle", "arguments": object{"seconds": 6}})
			until(t, time.Now().Add(mcpTokenLife+4*time.Second))
			var text string
			called(&text)
			if text != "idle for 6 s" {
				t.Errorf("the server answers %q", text)
			}
		})
	}
}

// TestMCPRecheck checks that a refresh asks Keycloak whether the user is still there, and that all tokens end when the user is locked out.
func TestMCPRecheck(t *testing.T) {
	t.Parallel()
	user := keycloak.admin.mustUser(t, "sallyport")
	g := startMCPGateFor(t, startMCPServer(t).url, user)
	c := startMCPClient(t, mcpTypeScript1, g.gate, g.resource, mcpRegistration{clientID: "lasting"})
	g.connect(t, c)
	v, tokens := newVisitor(t, g.gate), c.tokens()[0]
	refresh := func(token string) answer {
		until(t, time.Now().Add(1100*time.Millisecond)) // recheck is a second
		return v.ask(g.resource+"/oauth2/token", clientNone("lasting"), grant("refresh_token", "", "refresh_token", token))
	}
	next := refresh(member(tokens, "refresh_token"))
	access := next.mustMember(t, "access_token")
	call := func() int {
		return v.call(g.resource, "Authorization", "Bearer "+access, "Accept", "text/event-stream").status
	}
	if status := call(); status == http.StatusUnauthorized {
		t.Errorf("a call is answered %d after the refresh", status)
	}
	keycloak.admin.mustDisable(t, "sallyport", user)
	if last := refresh(next.mustMember(t, "refresh_token")); last.refusal() != "invalid_grant" {
		t.Errorf("the refresh of a user who is locked out is answered %d %s", last.status, last.body)
	}
	if status := call(); status != http.StatusUnauthorized {
		t.Errorf("a call is answered %d after that", status)
	}
}
