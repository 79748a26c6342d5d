package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// startInspector runs MCP's Inspector, a web application that is an MCP client, until the test ends.
func startInspector(t *testing.T, serverURL string) (url string) {
	t.Helper()
	port, log := freeport.Port(), &logBuffer{}
	home := t.TempDir()
	env := []string{
		"HOME=" + home, "MCP_STORAGE_DIR=" + home, "MCP_INSPECTOR_SECRET_STORE=memory", "MCP_AUTO_OPEN_ENABLED=false",
		"DANGEROUSLY_OMIT_AUTH=true", "HOST=127.0.0.1", fmt.Sprintf("CLIENT_PORT=%d", port),
		fmt.Sprintf("MCP_SANDBOX_PORT=%d", freeport.Port()), fmt.Sprintf("MCP_APP_ORIGIN_PORT=%d", freeport.Port()),
	}
	program := filepath.Join(root, ".cache/mcp-inspector/node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js")
	proc, err := startProcess(log, env, nodeForMCP(), program, "--web", "--server-url", serverURL, "--transport", "http")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		proc.kill()
		if t.Failed() {
			t.Logf("the Inspector wrote:\n%s", log)
		}
	})
	url = urlOf(port)
	mustAwait(t, time.Minute, "the Inspector", func() bool { return answers(url, http.StatusOK) || !proc.running() })
	return url
}

// TestMCPInspector connects MCP's Inspector in Chromium. It registers as a client; john logs in at Keycloak, and allows it.
func TestMCPInspector(t *testing.T) {
	t.Parallel()
	server := startMCPServer(t)
	g := startMCPGateAtKeycloak(t, server.url)
	inspector := startInspector(t, g.resource)
	tab := newPerson(t, g.gate).newPage()
	tab.open(inspector)
	tab.click(".mantine-Switch-track") // connects
	tab.waitFor("#kc-login")
	tab.submit("john", "doe")
	tab.waitFor("#refuse")
	tab.click("#go")
	tab.click(`label:has-text("Tools")`)
	tab.click(`button:has-text("whoami")`)
	tab.click(`button:has-text("Execute Tool")`)
	tab.waitFor("text=x-credential-identifier")
	if !slices.ContainsFunc(server.arrivals(), func(a mcpArrival) bool {
		return slices.Contains(a.Calls, "tools/call") && a.Headers["x-credential-identifier"] != "" && a.Headers["authorization"] == ""
	}) {
		t.Error("the server didn't receive the call of the user")
	}
}
