package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// conformance returns a command of MCP's conformance suite. Its working directory is of the test.
func conformance(ctx context.Context, t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	packages := filepath.Join(root, ".cache/mcp")
	program := filepath.Join(packages, "node_modules/@modelcontextprotocol/conformance/dist/index.js")
	argv := []string{"--import=" + mcpProgram("token.mjs"), program}
	if len(env) == 0 {
		argv = []string{program}
	}
	cmd := exec.CommandContext(ctx, nodeForMCP(), append(argv, args...)...)
	cmd.Env = append(append(os.Environ(), "MCP_PACKAGES="+packages), env...)
	cmd.Dir = t.TempDir()
	return cmd
}

var scenarioLine = regexp.MustCompile(`(?m)^[✓✗] ([a-z0-9-]+): (\d+ passed, \d+ failed)`)

// scenarioResults returns the result of each scenario, such as "2 passed, 0 failed", from the output of the suite.
func scenarioResults(out string) map[string]string {
	results := map[string]string{}
	for _, m := range scenarioLine.FindAllStringSubmatch(out, -1) {
		results[m[1]] = m[2]
	}
	return results
}

// runServerSuite runs the scenarios that a revision of MCP requires of a server, and returns the result of each.
func runServerSuite(t *testing.T, url, revision string, env ...string) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := conformance(ctx, t, env, "server", "--url", url, "--requirements", revision).CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("the conformance suite doesn't end: %v\n%s", err, out)
	}
	results := scenarioResults(string(out))
	if len(results) < 20 {
		t.Fatalf("the conformance suite ran %d scenarios: %v\n%s", len(results), err, out)
	}
	return results
}

// startEverythingServer runs the server of the Go SDK that has everything for which the conformance suite looks, until the test ends.
func startEverythingServer(t *testing.T, stateless bool) (url string) {
	t.Helper()
	port, log := freeport.Port(), &logBuffer{}
	proc, err := startProcess(log, nil, filepath.Join(root, ".cache/bin/mcp-everything-server"),
		"-http", fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("-stateless=%t", stateless))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proc.kill)
	url = urlOf(port)
	mustAwait(t, time.Minute, "the server of the Go SDK", func() bool { return strings.Contains(log.String(), "listening") })
	return url
}

// TestMCPServerConformance checks that the conformance suite finds the same of a server behind the gate as of the server itself, for
// MCP with sessions and without.
func TestMCPServerConformance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		revision  string
		stateless bool
	}{{"2025-11-25", false}, {"2026-07-28", true}} {
		t.Run(c.revision, func(t *testing.T) {
			t.Parallel()
			up := startEverythingServer(t, c.stateless)
			g := startMCPGate(t, up)
			client := startMCPClient(t, mcpTypeScript1, g.gate, g.resource, mcpRegistration{clientID: "lasting"})
			g.connect(t, client)
			token := member(client.tokens()[0], "access_token")

			direct := runServerSuite(t, up+"/mcp", c.revision)
			through := runServerSuite(t, g.resource, c.revision, "MCP_ORIGIN="+g.url, "MCP_TOKEN="+token)
			without := runServerSuite(t, g.resource, c.revision)
			if direct["tools-call-simple-text"] != "2 passed, 0 failed" {
				t.Fatalf("the server itself doesn't pass: %v", direct)
			}
			for scenario, result := range direct {
				if through[scenario] != result {
					t.Errorf("%s: %s; through the gate %s", scenario, result, through[scenario])
				}
			}
			if without["tools-call-simple-text"] == direct["tools-call-simple-text"] {
				t.Error("the suite passes the gate without a token")
			}
		})
	}
}

var authorizationURL = regexp.MustCompile(`(?m)^.*(http://\S+[?&]response_type=code\S*)`)

// TestMCPAuthorizationConformance runs the conformance suite for authorization servers against the gate's.
func TestMCPAuthorizationConformance(t *testing.T) {
	t.Parallel()
	g := startMCPGate(t, startUpstream(t).url)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := conformance(ctx, t, nil, "authorization", "--url", g.resource, "--client-id", "lasting", "--resource", g.resource,
		"--port", fmt.Sprint(freeport.Port()))
	out := &logBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	proc, err := begin(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proc.kill)
	mustAwait(t, time.Minute, "the authorization request", func() bool {
		return authorizationURL.MatchString(out.String()) || !proc.running()
	})
	found := authorizationURL.FindStringSubmatch(out.String())
	if found == nil {
		t.Fatalf("there is no authorization request: %s", out)
	}
	g.consent(t, found[1])
	<-proc.ended
	results := scenarioResults(out.String())
	if strings.Contains(strings.ToLower(out.String()), "warning") {
		t.Errorf("the suite warns: %s", out)
	}
	for _, scenario := range []string{"authorization-server-metadata-endpoint", "authorization-code-grant"} {
		if r := results[scenario]; proc.status != nil || !strings.HasSuffix(r, " passed, 0 failed") || strings.HasPrefix(r, "0 ") {
			t.Errorf("%s: %s, %v:\n%s", scenario, r, proc.status, out)
		}
	}
}
