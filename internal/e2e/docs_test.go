package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// TestPages checks that the commands on the pages of configs/flows print what the pages show. It runs them with the page's
// example in configs. In the shown output, "..." matches anything: lines if it is alone on a line, or a part of a line.
func TestPages(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(filepath.Join(root, "configs/flows/*.md"))
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range append(pages, filepath.Join(root, "configs/mcp.md")) {
		for _, e := range mustReadPage(t, page) {
			t.Run(filepath.Base(page)+"/"+e.file, func(t *testing.T) {
				t.Parallel()
				e.run(t)
			})
		}
	}
}

// An example is a configuration file in configs/flows with the commands that a page shows for it.
type example struct {
	page     string
	file     string
	commands []command
}

// A command is a shell command with its shown output.
type command struct {
	line   int // line number in the page
	typed  string
	output []string
}

var exampleLine = regexp.MustCompile(`^Example: \[([a-z0-9_]+\.yaml)\]\(`)

const (
	prompt = "$ "
	more   = "> " // continues a command
)

// mustReadPage returns the examples of a page. A console block belongs to the last example before it.
func mustReadPage(t *testing.T, page string) (all []*example) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	inside, last := false, (*command)(nil)
	for n, line := range strings.Split(string(text), "\n") {
		where := fmt.Sprintf("%s:%d", filepath.Base(page), n+1)
		switch m := exampleLine.FindStringSubmatch(line); {
		case m != nil:
			all = append(all, &example{page: page, file: m[1]})
		case line == "```console":
			inside, last = true, nil
			if len(all) == 0 {
				t.Fatalf("%s: no example is named before these commands", where)
			}
		case !inside:
		case line == "```":
			inside = false
		case strings.HasPrefix(line, prompt):
			e := all[len(all)-1]
			e.commands = append(e.commands, command{line: n + 1, typed: strings.TrimPrefix(line, prompt)})
			last = &e.commands[len(e.commands)-1]
		case last == nil:
			t.Fatalf("%s: output without a command", where)
		case strings.HasPrefix(line, more) && last.output == nil:
			last.typed += "\n" + strings.TrimPrefix(line, more)
		default:
			last.output = append(last.output, line)
		}
	}
	shown := slices.DeleteFunc(slices.Clone(all), func(e *example) bool { return len(e.commands) == 0 })
	if len(all) > 0 && len(shown) == 0 {
		t.Errorf("%s shows no commands", filepath.Base(page))
	}
	return shown
}

// pageTime is the maximum duration of all commands of an example.
const pageTime = 90 * time.Second

func (e *example) run(t *testing.T) {
	env := e.mustStart(t)
	printed := mustType(t, env, e.commands)
	for n, c := range e.commands {
		if got := printed[n]; !matches(c.output, got) {
			t.Errorf("%s:%d: %s\nthe page shows\n%s\nand this came back\n%s", filepath.Base(e.page), c.line, c.typed,
				strings.Join(c.output, "\n"), got)
		}
	}
}

// matches reports whether printed output matches the lines that a page shows.
func matches(shown []string, printed string) bool {
	pattern := "^"
	for _, line := range shown {
		if strings.TrimSpace(line) == "..." {
			pattern += `(?:[^\n]*\n)*?`
			continue
		}
		pattern += strings.ReplaceAll(regexp.QuoteMeta(line), `\.\.\.`, `[^\n]*`) + `\n`
	}
	return regexp.MustCompile(pattern + "$").MatchString(printed)
}

// mustType runs the commands in one shell and returns the output of each, without carriage returns and trailing spaces, and with a
// newline at the end of each line.
func mustType(t *testing.T, env []string, commands []command) []string {
	t.Helper()
	const mark = "\x1e"
	var script strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&script, "%s\nprintf '\\n\\036'\n", c.typed)
	}
	ctx, cancel := context.WithTimeout(t.Context(), pageTime)
	defer cancel()
	dir, out := t.TempDir(), &logBuffer{}
	shell, err := startProcess(out, append(env, "HOME="+dir, "no_proxy=*", "LC_ALL=C"), "bash", "-c", "cd "+dir+"\n"+script.String())
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-shell.ended:
	case <-ctx.Done():
		shell.kill()
		t.Errorf("the commands took longer than %v", pageTime)
	}
	printed := strings.Split(out.String(), mark)
	for n := range printed {
		printed[n] = tidy(printed[n])
	}
	for len(printed) < len(commands) {
		printed = append(printed, "")
	}
	return printed
}

func tidy(printed string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimSuffix(printed, "\n")) {
		b.WriteString(strings.TrimRight(line, " \r\n") + "\n")
	}
	return b.String()
}

// secretOf maps the client IDs of examples to their secrets in testdata/keycloak.
var secretOf = map[string]string{"app": appSecret, "lightweight": lightweightSecret, "client-dpop-auth": dpopSecret,
	"cert-bound": certBoundSecret}

var clientOf = regexp.MustCompile(`(?m)^  client_id: \[?([a-z-]+)`)

// mustStart starts a gate with the example and an upstream that returns the request. It returns the environment of the commands:
// that of the gate, and the gate's addresses and log.
func (e *example) mustStart(t *testing.T) (env []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "configs/flows", e.file))
	if err != nil {
		t.Fatal(err)
	}
	listen, admin := freeport.Port(), freeport.Port()
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	cert, key, _ := mustClientCert(t, "client-tls-auth")
	serverCert, serverKey := testCA.mustServerPair(t)
	gate := urlOf(listen)
	if bytes.Contains(text, []byte("\n  tls:")) {
		gate = "https" + strings.TrimPrefix(gate, "http")
	}
	env = []string{
		"ISSUER_TLS=" + keycloak.issuerTLS("sallyport"), "CERT=" + cert, "KEY=" + key,
		"SERVER_CERT=" + serverCert, "SERVER_KEY=" + serverKey,
		"SSL_CERT_FILE=" + testCA.file, "CURL_CA_BUNDLE=" + testCA.file,
		"ISSUER=" + keycloak.issuer("sallyport"), "UPSTREAM=" + startEcho(t),
		"SERVICE_SECRET=" + serviceSecret, "SECOND_SECRET=" + lightweightSecret, "SESSION_SECRET=" + sessionSecret,
		"KEYS_SECRET=" + sessionSecret,
		"KEYS_FILE=" + filepath.Join(dir, "keys"), "MACHINE_SECRET=" + machineSecret, "MACHINE_SECRET_HASH=" + mustHash(t, machineSecret),
		fmt.Sprintf("LISTEN=127.0.0.1:%d", listen), fmt.Sprintf("ADMIN_LISTEN=127.0.0.1:%d", admin),
		"GATE=" + gate, "ADMIN=" + urlOf(admin), "LOG=" + log,
	}
	if m := clientOf.FindSubmatch(text); m != nil {
		env = append(env, "CLIENT_SECRET="+secretOf[string(m[1])])
	}
	if bytes.Contains(text, []byte("\nkeys:")) { // the client uses the gate's keys
		client := keycloak.admin.mustCopy(t, "sallyport", "kong", map[string]string{"jwks.url": urlOf(listen) + "/keys"})
		env = append(env, "CLIENT_ID="+client)
	}
	file := filepath.Join(root, "configs/flows", e.file)
	if !bytes.Contains(text, []byte("\nlisten:")) {
		file = filepath.Join(dir, "sallyport.yaml")
		process := fmt.Sprintf("listen: ${env:LISTEN}\nadmin: {listen: \"${env:ADMIN_LISTEN}\"}\nroutes: [%q]\n",
			filepath.Join(root, "configs/flows", e.file))
		if err := os.WriteFile(file, []byte(process), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mustServe(t, env, file, log, urlOf(admin)+"/readyz")
	return env
}

// mustServe runs the gate until the test ends. It checks that the log contains no secret and no JWT.
func mustServe(t *testing.T, env []string, file, log, ready string) {
	t.Helper()
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	gate, err := startProcess(out, env, binary, "run", "-c", file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		gate.kill()
		text, _ := os.ReadFile(log)
		for _, secret := range append(clientSecrets, sessionSecret, machineSecret, "eyJ", "sp_") {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("the gate's log holds a secret: %s", lineWith(string(text), secret))
			}
		}
		if t.Failed() {
			t.Logf("the gate's log ends:\n%s", text[max(0, len(text)-6000):])
		}
	})
	if !await(30*time.Second, func() bool { return answers(ready, http.StatusOK) || !gate.running() }) || !gate.running() {
		text, _ := os.ReadFile(log)
		t.Fatalf("the gate isn't ready; it wrote:\n%s", text)
	}
}

// startEcho starts an upstream that responds with the request that it received.
func startEcho(t *testing.T) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "%s %s %s\nHost: %s\n", r.Method, r.RequestURI, r.Proto, r.Host)
		r.Header.Write(w)
		if len(body) > 0 {
			fmt.Fprintf(w, "\n%s\n", body)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}
