package app

import (
	"net/http/httptest"
	"testing"
)

// TestIsLocal checks which requests count as those of this machine: not those of web pages, by a name (DNS rebinding), or through a proxy,
// such as a route of this gate.
func TestIsLocal(t *testing.T) {
	for what, c := range map[string]struct {
		peer, host, header string
		want               bool
	}{
		"loopback":      {"127.0.0.1:5", "127.0.0.1:9000", "", true},
		"IPv6":          {"[::1]:5", "[::1]:9000", "", true},
		"localhost":     {"[::ffff:127.0.0.1]:5", "localhost:9000", "", true},
		"another peer":  {"192.0.2.1:5", "localhost:9000", "", false},
		"another host":  {"127.0.0.1:5", "gate.example.com", "", false},
		"a web page":    {"127.0.0.1:5", "localhost", "Origin", false},
		"X-Forwarded":   {"127.0.0.1:5", "localhost", "X-Forwarded-For", false},
		"its host":      {"127.0.0.1:5", "localhost", "X-Forwarded-Host", false},
		"Forwarded":     {"127.0.0.1:5", "localhost", "Forwarded", false},
		"Via":           {"127.0.0.1:5", "localhost", "Via", false},
		"nginx":         {"127.0.0.1:5", "localhost", "X-Real-IP", false},
		"no peer known": {"", "localhost", "", false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Host = c.peer, c.host
		if c.header != "" {
			r.Header.Set(c.header, "x")
		}
		if got := isLocal(r); got != c.want {
			t.Errorf("%s: %t, want %t", what, got, c.want)
		}
	}
}
