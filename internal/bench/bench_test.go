package main

import (
	"bufio"
	"context"
	"io"
	"math"
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

	"sallyport/internal/config"
	"sallyport/internal/provider"
)

func TestReadAnswer(t *testing.T) {
	for _, tt := range []struct {
		name, response string
		want           answer
		fails          bool
	}{
		{"body", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", answer{200, 3}, false},
		{"lower case", "HTTP/1.1 401 Unauthorized\r\ncontent-length:3\r\nDate: now\r\n\r\nabc", answer{401, 3}, false},
		{"empty body", "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", answer{302, 0}, false},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", answer{}, true},
		{"cut off", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc", answer{}, true},
		{"another protocol", "220 ready for mail\r\n", answer{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := bufio.NewReader(strings.NewReader(tt.response))
			got, err := readAnswer(r)
			if tt.fails != (err != nil) {
				t.Fatalf("got error %v", err)
			}
			if err != nil {
				return
			}
			if got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if rest, _ := io.ReadAll(r); len(rest) > 0 {
				t.Errorf("left %q unread before the next response", rest)
			}
		})
	}
}

// TestMeasure measures a ReverseProxy in front of the bench's upstream.
func TestMeasure(t *testing.T) {
	address := mustProxy(t)
	requests := [][]byte{[]byte("GET /a HTTP/1.1\r\nHost: a\r\n\r\n"), []byte("GET /b HTTP/1.1\r\nHost: b\r\n\r\n")}
	clients, err := (&load{address: address, requests: requests, want: passed}).open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer clients.close()
	// On a busy machine a tenth of a second may be too short for a response.
	for lasting := 100 * time.Millisecond; lasting < time.Minute; lasting *= 4 {
		var clock time.Duration
		cpu := func() (time.Duration, error) { clock += time.Second; return clock, nil }
		s, err := clients.measure(t.Context(), 0, lasting, cpu)
		if err != nil {
			t.Fatal(err)
		}
		if s.cpu != time.Second {
			t.Fatalf("got %s of CPU time, want 1s", s.cpu)
		}
		if s.requests > 0 {
			return
		}
	}
	t.Error("no request was counted")
}

// TestMeasureRefusesWrongAnswers checks that an unexpected response fails the measurement, because error responses are fast.
func TestMeasureRefusesWrongAnswers(t *testing.T) {
	for name, want := range map[string]answer{"status": {http.StatusUnauthorized, anySize}, "size": {http.StatusOK, answerSize + 1}} {
		t.Run(name, func(t *testing.T) {
			requests := [][]byte{[]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n")}
			clients, err := (&load{address: mustProxy(t), requests: requests, want: want}).open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer clients.close()
			_, err = clients.measure(t.Context(), 0, time.Hour, func() (time.Duration, error) { return 0, nil })
			if err == nil || !strings.Contains(err.Error(), "expected status") {
				t.Errorf("got error %v, want one about the answer", err)
			}
		})
	}
}

// mustProxy serves the bare proxy in front of the upstream until the test ends.
func mustProxy(t *testing.T) (address string) {
	t.Helper()
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { upstream.Close() })
	go serveUpstream(upstream)
	h, err := bareProxy("http://" + upstream.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestCPUTime(t *testing.T) {
	if _, rest, err := cores(); err != nil || rest < 0 {
		t.Fatalf("cores: %d, %v", rest, err)
	}
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	for x := 0.0; time.Since(start) < 20*time.Millisecond; x++ {
		math.Sqrt(x)
	}
	after, err := cpuTime(os.Getpid())
	if spent := after - before; err != nil || spent <= 0 || spent > time.Minute {
		t.Errorf("20 ms of work cost %s, %v", spent, err)
	}
}

// TestProcess checks that a process runs on its core, and that the error of ready contains its output.
func TestProcess(t *testing.T) {
	proxy, _, err := cores()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := &process{name: "shell", command: []string{"sh", "-c", "grep Cpus_allowed_list /proc/self/status; exit 3"}}
	if err := p.start(ctx, proxy); err != nil {
		t.Fatal(err)
	}
	err = p.ready(ctx, func() error { return io.ErrNoProgress })
	if err == nil || !strings.Contains(err.Error(), "ended before it was ready") {
		t.Fatalf("got error %v", err)
	}
	if fields := strings.Fields(p.output.String()); len(fields) != 2 || fields[1] != strconv.Itoa(proxy) {
		t.Errorf("got %q, want the process on core %d alone", p.output.String(), proxy)
	}
}

// TestStop checks that stop kills a process.
func TestStop(t *testing.T) {
	_, rest, err := cores()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{name: "sleeper", command: []string{"sleep", "3600"}}
	if err := p.start(t.Context(), rest); err != nil {
		t.Fatal(err)
	}
	p.stop()
	if p.cmd.ProcessState == nil || p.cmd.ProcessState.Success() {
		t.Errorf("got state %v, want a killed process", p.cmd.ProcessState)
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{2: {9, 1, 2}, 2.5: {3, 2, 9, 1}, 7: {7}} {
		if got := median(values); got != want {
			t.Errorf("median of %v: got %v, want %v", values, got, want)
		}
	}
}

// TestTokenSize checks that tokens have 1.2 KB, for which the goals are defined.
func TestTokenSize(t *testing.T) {
	issuer, err := startIssuer()
	if err != nil {
		t.Fatal(err)
	}
	token := issuer.AccessToken(username, clientID, map[string]any{"jti": "0"})
	if n := len(token); n < 1150 || n > 1280 {
		t.Errorf("a token has %d bytes, want 1.2 KB", n)
	}
}

// TestBench runs the program with the cell bare.
func TestBench(t *testing.T) {
	binary := t.TempDir() + "/bench"
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), binary, "-cell", "bare", "-rounds", "1", "-seconds", "0.2").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if last := lines[len(lines)-1]; !strings.HasPrefix(last, "bare ") {
		t.Errorf("got:\n%s\nwant a table with one line", out)
	}
}

// TestGateConfig checks that the gate's configuration loads without a warning.
func TestGateConfig(t *testing.T) {
	r := &rig{issuer: provider.Start(t, provider.Config{}), upstream: "http://127.0.0.1:1"}
	name := filepath.Join(t.TempDir(), "sallyport.yaml")
	if err := os.WriteFile(name, r.config("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := config.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	if w := file.Warnings(); len(w) > 0 {
		t.Errorf("it warns: %q", w)
	}
}
