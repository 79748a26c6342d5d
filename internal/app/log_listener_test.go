package app

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/provider"
)

// hostileGate runs a gate that accepts headers of 1 MB and trusts its clients as proxies, and returns its address.
func hostileGate(t *testing.T, format string, log *output) string {
	t.Helper()
	upstream := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(upstream.Close)
	p := provider.Start(t, provider.Config{Clients: []provider.Client{{ID: "app", Secret: "app-secret"}}})
	name := filepath.Join(t.TempDir(), "gate.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:0\nadmin: {listen: off}\nlog: {level: debug, format: %s}\nlimits: {max_header_bytes: 1048576}\n"+
		"trusted_proxies: [127.0.0.1]\nroutes: [{route: {upstream: %q}, oidc: {issuer: %q, client_id: app, client_secret: app-secret,\n"+
		"  auth_methods: [authorization_code, session, bearer, introspection], bearer_token_param_type: [header, query]}}]\n",
		format, upstream.URL, p.URL)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	running(t, func(ctx context.Context) error { return Run(ctx, Options{Config: config.FromFile(name), Log: log}) })
	return log.await(t, `"?for"?[:=]"?clients"?.*address"?[:=]"?([0-9.:]+)`)
}

// answered sends a request and returns its ID in the gate's response, or "" if net/http refused it.
func answered(t *testing.T, address, head string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	go c.Write([]byte(head + "Connection: close\r\n\r\n")) // the response may come before the whole request is sent
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return ""
	}
	res.Body.Close()
	return res.Header.Get("X-Request-Id")
}

// TestAClientCantFillTheLog checks that a request with a part of 100 KB makes no long line in the log, and that every request that reaches
// the gate has a line.
func TestAClientCantFillTheLog(t *testing.T) {
	huge := strings.Repeat("x", 100_000)
	control := strings.Repeat("%01", 33_000) // six times as long in JSON
	requests := map[string]string{
		"host":          "GET / HTTP/1.1\r\nHost: " + huge + "\r\n",
		"method":        huge + " / HTTP/1.1\r\nHost: gate\r\n",
		"METHOD":        strings.ToUpper(huge) + " / HTTP/1.1\r\nHost: gate\r\n",
		"path":          "GET /" + huge + " HTTP/1.1\r\nHost: gate\r\n",
		"escapes":       "GET /" + control + " HTTP/1.1\r\nHost: gate\r\n",
		"query":         "GET /?access_token=" + huge + " HTTP/1.1\r\nHost: gate\r\n",
		"absolute form": "GET http://" + huge + "/ HTTP/1.1\r\nHost: gate\r\n",
		"cookie":        "GET / HTTP/1.1\r\nHost: gate\r\nCookie: session=" + huge + "\r\n",
		"cookie's name": "GET / HTTP/1.1\r\nHost: gate\r\nCookie: " + huge + "=1\r\n",
		"header's name": "GET / HTTP/1.1\r\nHost: gate\r\n" + huge + ": 1\r\n",
		"state": "GET /oauth2/callback?code=" + huge + "&state=" + huge + "&error=" + huge + "&iss=" + huge +
			" HTTP/1.1\r\nHost: gate\r\n",
	}
	for _, name := range []string{
		"Authorization", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Request-Id", "Content-Type", "Origin", "Upgrade",
		"Sec-Fetch-Site", "User-Agent", "Referer", "X-HTTP-Method-Override",
	} {
		requests[name] = "GET / HTTP/1.1\r\nHost: gate\r\n" + name + ": " + huge + "\r\n"
	}
	for _, token := range []string{"Bearer " + huge, "Basic " + huge, "Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6I" + huge + ".e30.AAAA"} {
		requests[token[:20]] = "GET / HTTP/1.1\r\nHost: gate\r\nAuthorization: " + token + "\r\n"
	}
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			var log output
			address, judged := hostileGate(t, format, &log), 0
			for name, head := range requests {
				id := answered(t, address, head)
				if len(id) > 100 {
					t.Errorf("%s: the request's ID has %d bytes", name, len(id))
				} else if id != "" {
					judged++
					log.await(t, `"?msg"?[:=]"?request"?[ ,]"?request_id"?[:=]"?(`+regexp.QuoteMeta(id)+`)`)
				}
			}
			if judged < 20 {
				t.Errorf("%d of %d requests reached the gate", judged, len(requests))
			}
			checkLines(t, format, log.String())
		})
	}
}

// checkLines checks that each line is short, and in JSON each text in it.
func checkLines(t *testing.T, format, log string) {
	t.Helper()
	for line := range strings.Lines(log) {
		if len(line) > 4*maxLogged {
			t.Errorf("a line of %d bytes: %.300s", len(line), line)
		}
		var all map[string]any
		if format == "json" && json.Unmarshal([]byte(line), &all) != nil {
			t.Errorf("a line that isn't JSON: %.300s", line)
		}
		for name, v := range all {
			if text, _ := v.(string); len(text) > maxLogged+len("…") {
				t.Errorf("%s has %d bytes", name, len(text))
			}
		}
	}
}
