package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"sallyport/internal/freeport"
)

// An askingProxy is a kind of proxy that asks the gate whether a request may pass, with the configuration that sallyport snippet prints.
type askingProxy struct {
	name      string // of the test
	kind      string // of forward_auth
	oneCookie bool   // it passes on no more
	// configure returns the command that runs the proxy at a port, in front of an upstream. dir is an empty folder.
	configure func(t *testing.T, snippet, dir string, port int, upstream string) []string
}

var askingProxies = []askingProxy{
	{"nginx", "nginx", true, nginxAsking}, {"caddy", "caddy", false, caddyAsking}, {"haproxy", "haproxy", false, haproxyAsking},
	{"envoy", "envoy", false, envoyAsking}, {"envoy_grpc", "envoy_grpc", false, envoyAsking},
	{"envoy_gateway", "envoy_grpc", false, envoyGatewayAsking("routes: [{name: app, namespace: team-a}]")},
	{"envoy_gateway_whole", "envoy_grpc", false, envoyGatewayAsking("wholeGateway: true")},
}

// start runs the proxy in front of an upstream until the test ends, and returns its origin.
func (p *askingProxy) start(t *testing.T, g *gate, upstream string) (origin string) {
	t.Helper()
	snippet, err := exec.Command(binary, "snippet", p.kind, "-c", g.file).Output()
	if err != nil {
		t.Fatalf("sallyport snippet %s: %v", p.kind, err)
	}
	dir, port, log := t.TempDir(), freeport.Port(), &logBuffer{}
	command := p.configure(t, string(snippet), dir, port, upstream)
	process, err := startProcess(log, []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}, command[0], command[1:]...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.kill()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", p.name, log)
		}
	})
	origin = urlOf(port)
	if !await(30*time.Second, func() bool { return answers(origin+"/public/up", http.StatusOK) || !process.running() }) {
		t.Fatalf("%s doesn't answer; it wrote:\n%s", p.name, log)
	}
	return origin
}

func mustWrite(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func nginxAsking(t *testing.T, snippet, dir string, port int, upstream string) []string {
	once, inServer, found := strings.Cut(snippet, "# In each server { }")
	if !found {
		t.Fatalf("the snippet has no part for server { }:\n%s", snippet)
	}
	return nginxCommand(t, dir, fmt.Sprintf("%s\n\tserver {\n\t\tlisten 127.0.0.1:%d;\n\t\t# %s\n\t}", once, port,
		strings.ReplaceAll(inServer, "http://UPSTREAM", upstream)))
}

func caddyAsking(t *testing.T, snippet, dir string, port int, upstream string) []string {
	snippet = strings.NewReplacer("SITE {", fmt.Sprintf("http://127.0.0.1:%d {", port), "UPSTREAM", upstream).Replace(
		strings.ReplaceAll(snippet, "SITE and UPSTREAM", "the examples"))
	file := mustWrite(t, filepath.Join(dir, "Caddyfile"), "{\n\tadmin off\n\tauto_https off\n\tpersist_config off\n}\n"+snippet)
	return []string{cached(t, "bin/caddy"), "run", "--config", file, "--adapter", "caddyfile"}
}

// cached returns the path of a program in .cache.
func cached(t *testing.T, program string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../.cache", program))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func haproxyAsking(t *testing.T, snippet, dir string, port int, upstream string) []string {
	lua, err := filepath.Abs("../../deploy/haproxy/sallyport.lua")
	if err != nil {
		t.Fatal(err)
	}
	_, address, _ := strings.Cut(upstream, "://")
	snippet = strings.NewReplacer("/etc/haproxy/sallyport.lua", lua, "frontend FRONTEND", fmt.Sprintf(`defaults
	mode http
	timeout client 30s
	timeout server 30s
	timeout connect 5s
frontend tested
	bind 127.0.0.1:%d
	default_backend app`, port)).Replace(snippet)
	file := mustWrite(t, filepath.Join(dir, "haproxy.cfg"), snippet+"\nbackend app\n\tserver app "+address+"\n")
	return []string{"haproxy", "-db", "-f", file}
}

// envoyAsking makes a bootstrap of the parts in the snippet.
func envoyAsking(t *testing.T, snippet, dir string, port int, upstream string) []string {
	var parts map[string]any
	if err := yaml.Unmarshal([]byte(snippet), &parts); err != nil {
		t.Fatalf("the snippet isn't YAML: %v\n%s", err, snippet)
	}
	host, upstreamPort, _ := strings.Cut(strings.TrimPrefix(upstream, "http://"), ":")
	number, err := strconv.Atoi(upstreamPort)
	if err != nil {
		t.Fatal(err)
	}
	address := func(host string, port int) map[string]any {
		return map[string]any{"socket_address": map[string]any{"address": host, "port_value": port}}
	}
	clusters := append(parts["clusters"].([]any), map[string]any{
		"name": "app", "type": "STATIC", "load_assignment": map[string]any{"cluster_name": "app", "endpoints": []any{
			map[string]any{"lb_endpoints": []any{map[string]any{"endpoint": map[string]any{"address": address(host, number)}}}},
		}},
	})
	routes := append(parts["routes"].([]any), map[string]any{
		"match": map[string]any{"prefix": "/"}, "route": map[string]any{"cluster": "app"},
	})
	manager := map[string]any{
		"@type":       "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
		"stat_prefix": "tested", "route_config": map[string]any{"virtual_hosts": []any{
			map[string]any{"name": "all", "domains": []any{"*"}, "routes": routes},
		}},
	}
	for key, value := range parts {
		if key != "routes" && key != "clusters" {
			manager[key] = value
		}
	}
	bootstrap := map[string]any{"static_resources": map[string]any{
		"clusters": clusters,
		"listeners": []any{map[string]any{"address": address("127.0.0.1", port), "filter_chains": []any{
			map[string]any{"filters": []any{
				map[string]any{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager},
			}},
		}}},
	}}
	var b bytes.Buffer
	if err := yaml.NewEncoder(&b).Encode(bootstrap); err != nil {
		t.Fatal(err)
	}
	file := mustWrite(t, filepath.Join(dir, "envoy.yaml"), b.String())
	return []string{cached(t, "envoy/envoy"), "-c", file, "--disable-hot-restart", "--concurrency", "1", "-l", "warning"}
}

// startUpgradingUpstream is startUpstream with WebSockets, which are accepted and sent nothing.
func startUpgradingUpstream(t *testing.T) *upstream {
	t.Helper()
	up := startUpstream(t)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			up.ServeHTTP(w, r)
			return
		}
		acceptUpgrade(t, w, r)
	}))
	t.Cleanup(front.Close)
	up.url = front.URL
	return up
}

// acceptUpgrade accepts an Upgrade, sends nothing, and returns when the other side closes the connection.
func acceptUpgrade(t *testing.T, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", r.Header.Get("Upgrade"))
	accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 §4.2.2
	w.Header().Set("Sec-WebSocket-Accept", base64.StdEncoding.EncodeToString(accept[:]))
	w.WriteHeader(http.StatusSwitchingProtocols)
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	c.Read(make([]byte, 1))
}

// exchangeRaw sends bytes and returns the status of the answer.
func exchangeRaw(address, text string) (status int, err error) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, text); err != nil {
		return 0, err
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}
