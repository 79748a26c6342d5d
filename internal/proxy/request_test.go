package proxy

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
)

// TestHosts checks that a host which can be parsed as two hosts is refused.
func TestHosts(t *testing.T) {
	for host, name := range map[string]string{
		"app.example.com": "app.example.com", "app.example.com.": "app.example.com", "app.example.com:8443": "app.example.com",
		"a_b.test": "a_b.test", "127.0.0.1:80": "127.0.0.1", "[::1]": "::1", "[2001:db8::1]:8443": "2001:db8::1", "localhost": "localhost",
	} {
		if _, got := authority("http://" + host); !validHost(host) || got != name {
			t.Errorf("%q: valid is %v, and its name %q, expected %q", host, validHost(host), got, name)
		}
	}
	for _, host := range []string{
		"", ":", ":80", "localhost:", "[::1]:",
		"app.example.com:evil.example.com", "app.example.com:80:80", "xapp.example.com]", "[app.example.com]", "[app.example.com",
		"[::1", "[::1]x", "[::1].example.com", "[::1]:x", "[127.0.0.1]", "[fe80::1%25eth0]", "::1", "a[b]", "a@b", "a b", "a/b",
		"a,b", "a;b", "A",
	} {
		if validHost(host) {
			t.Errorf("%q is a valid host", host)
		}
	}
	for origin, want := range map[string]string{
		"http://app.example.com.": "app.example.com", "https://app.example.com.:8443": "app.example.com:8443",
		"http://[::1]:8080": "[::1]:8080", "http://app.example.com:8080": "app.example.com:8080",
	} {
		if got, _ := authority(origin); got != want {
			t.Errorf("%s is sent as %q, expected %q", origin, got, want)
		}
	}
}

// TestClientAddr checks that the client's address is the one in a trusted proxy's X-Forwarded-For, or unknown, and never the proxy's.
func TestClientAddr(t *testing.T) {
	long := strings.Repeat("10.0.0.9, ", 10_000)
	for _, c := range []struct {
		peer  string
		lines []string
		want  string // empty: unknown
	}{
		{"10.0.0.1:1", []string{"203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:1", []string{" \t203.0.113.7\t "}, "203.0.113.7"},
		{"10.0.0.1:1", []string{"2001:db8::1"}, "2001:db8::1"},
		{"[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.7"}, "203.0.113.7"},
		// with a port, or brackets
		{"10.0.0.1:1", []string{"203.0.113.7:4711"}, "203.0.113.7"},
		{"10.0.0.1:1", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{"10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"10.0.0.1:1", []string{"[::ffff:203.0.113.7]:4711"}, "203.0.113.7"},
		{"10.0.0.1:1", []string{"203.0.113.7:4711, 10.0.0.2:4712"}, "203.0.113.7"},
		{"10.0.0.1:1", []string{"203.0.113.7:"}, ""},
		{"10.0.0.1:1", []string{"203.0.113.7:99999"}, ""},
		{"10.0.0.1:1", []string{"203.0.113.7:80:80"}, ""},
		{"10.0.0.1:1", []string{"[203.0.113.7]:80"}, ""},
		{"10.0.0.1:1", []string{"[203.0.113.7]"}, ""},
		{"10.0.0.1:1", []string{"[2001:db8::1"}, ""},
		{"10.0.0.1:1", []string{"2001:db8::1]"}, ""},
		{"10.0.0.1:1", []string{"[2001:db8::1]x"}, ""},
		{"10.0.0.1:1", []string{"[[2001:db8::1]]"}, ""},
		// not an address
		{"10.0.0.1:1", nil, ""},
		{"10.0.0.1:1", []string{""}, ""},
		{"10.0.0.1:1", []string{","}, ""},
		{"10.0.0.1:1", []string{"203.0.113.7,"}, ""},
		{"10.0.0.1:1", []string{"203.0.113.7", ""}, ""},
		{"10.0.0.1:1", []string{"203.0.113.7,,10.0.0.2"}, ""},
		{"10.0.0.1:1", []string{"unknown"}, ""},
		{"10.0.0.1:1", []string{"_hidden"}, ""},
		{"10.0.0.1:1", []string{"localhost"}, ""},
		{"10.0.0.1:1", []string{"fe80::1%eth0"}, ""},
		{"10.0.0.1:1", []string{"[fe80::1%eth0]:80"}, ""},
		{"10.0.0.1:1", []string{"0.0.0.0"}, ""},
		{"10.0.0.1:1", []string{"[::]:80"}, ""},
		{"10.0.0.1:1", []string{"010.0.0.1"}, ""},
		{"10.0.0.1:1", []string{"10.1"}, ""},
		{"10.0.0.1:1", []string{"10.0.0.0/8"}, ""},
		{"10.0.0.1:1", []string{`"203.0.113.7"`}, ""},
		{"10.0.0.1:1", []string{"for=203.0.113.7"}, ""},
		{"10.0.0.1:1", []string{"203.0.113.7;10.0.0.2"}, ""},
		{"10.0.0.1:1", []string{"203.0.113.7 10.0.0.2"}, ""},
		{"10.0.0.1:1", []string{"203.0.113.7, unknown, 10.0.0.2"}, ""},
		// the addresses that the client wrote itself
		{"10.0.0.1:1", []string{"10.0.0.5, 203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:1", []string{"unknown, 203.0.113.7, 10.0.0.3"}, "203.0.113.7"},
		{"10.0.0.1:1", []string{"10.0.0.5", "203.0.113.7"}, "203.0.113.7"},
		{"10.0.0.1:1", []string{"203.0.113.7", "10.0.0.3, 10.0.0.2"}, "203.0.113.7"},
		// a whole chain of trusted proxies
		{"10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"10.0.0.1:1", []string{"10.0.0.3", "10.0.0.2"}, "10.0.0.3"},
		{"10.0.0.1:1", []string{"unknown, 10.0.0.2"}, ""},
		// 100 kB
		{"10.0.0.1:1", []string{"10.0.0.7," + strings.TrimSuffix(long, ", ")}, "10.0.0.7"},
		{"10.0.0.1:1", []string{"203.0.113.7, " + strings.TrimSuffix(long, ", ")}, "203.0.113.7"},
		{"10.0.0.1:1", []string{strings.Repeat(",", 100_000)}, ""},
		{"10.0.0.1:1", []string{strings.Repeat("[", 100_000)}, ""},
		// untrusted peers
		{"203.0.113.1:1", []string{"10.0.0.5"}, "203.0.113.1"},
		{"203.0.113.1:1", []string{"unknown"}, "203.0.113.1"},
		{"203.0.113.1:1", nil, "203.0.113.1"},
		{"@", []string{"10.0.0.5"}, ""},
	} {
		want, _ := netip.ParseAddr(c.want)
		e := &entrance{trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, log: slog.New(slog.DiscardHandler)}
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = c.peer, c.lines
		var d Decision
		if err := e.enter(r, &d); err != nil || d.ClientAddr != want {
			t.Errorf("%s sends %.200q: the client is %s, expected %s: %v", c.peer, c.lines, d.ClientAddr, want, err)
		}
	}
}

// TestAnUnknownClientIsLoggedOnce checks that a misconfigured proxy is logged at its first request only.
func TestAnUnknownClientIsLoggedOnce(t *testing.T) {
	var log bytes.Buffer
	front, _ := start(t, echo, func(_ *Route, c *Config) {
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		c.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})
	for _, line := range []string{"203.0.113.7", "unknown", "", "_hidden"} {
		want := "X-Forwarded-For: unknown\r"
		if line == "203.0.113.7" {
			want = "X-Forwarded-For: 203.0.113.7\r"
		}
		if _, body := get(t, front, "/off", "X-Forwarded-For", line); !strings.Contains(body, want) {
			t.Errorf("%q: expected %q in\n%s", line, want, body)
		}
	}
	got := log.String()
	if strings.Count(got, "its address is unknown") != 1 || !strings.Contains(got, `proxy=127.0.0.1`) ||
		!strings.Contains(got, `got \"unknown\"`) {
		t.Errorf("the log is %s", got)
	}
}

// TestSpacesAreEscaped checks that spaces in a path and a query, which HTTP/2 can transfer, don't end the target in HTTP/1.1's request
// line.
func TestSpacesAreEscaped(t *testing.T) {
	front, _ := start(t, echo, nil)
	client := h2c()
	defer client.CloseIdleConnections()
	r, _ := http.NewRequest("GET", front.URL+"/off", nil)
	r.URL.Opaque, r.URL.RawQuery = "/off/a b", "x HTTP/1.0"
	res, err := client.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); !strings.HasPrefix(string(body), "GET /off/a%20b?x%20HTTP/1.0\n") {
		t.Errorf("%s: %.80s", res.Status, body)
	}
}
