package proxy

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/authz"
)

// startUpstream starts a gate with an upstream of the settings.
func startUpstream(t *testing.T, s UpstreamSettings) *httptest.Server {
	t.Helper()
	s.ConnectTimeout, s.ResponseHeaderTimeout, s.IdleTimeout, s.Reuse = time.Second, 5*time.Second, time.Second, true
	up, err := NewUpstream(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { up.Close() })
	front, _ := start(t, nil, func(r *Route, _ *Config) { r.Upstream = up })
	return front
}

// TestNoContentTypeIsGuessed checks that no Content-Type is added to a response without one, over every protocol on both sides.
func TestNoContentTypeIsGuessed(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = nil
		if r.URL.Path == "/off/empty" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		io.WriteString(w, "<html>looks like a page")
	})
	plain := httptest.NewServer(handler)
	defer plain.Close()
	secure := httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	for name, s := range map[string]UpstreamSettings{
		"HTTP/1.1": {URL: plain.URL}, "HTTP/2": {URL: secure.URL}, "HTTP/1.1 over TLS": {URL: secure.URL, Protocol: "http1"},
	} {
		front := startUpstream(t, s)
		h2c := &http.Transport{Protocols: new(http.Protocols)}
		h2c.Protocols.SetUnencryptedHTTP2(true)
		for protocol, client := range map[string]*http.Client{"HTTP/1.1": front.Client(), "h2c": {Transport: h2c}} {
			for _, path := range []string{"/off/page", "/off/empty"} {
				res, err := client.Get(front.URL + path)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(res.Body)
				res.Body.Close()
				if values, there := res.Header["Content-Type"]; there || err != nil || res.StatusCode >= 300 {
					t.Errorf("%s to the upstream, %s to the client, %s: %d with Content-Type %q, %q, %v",
						name, protocol, path, res.StatusCode, values, body, err)
				}
			}
		}
		h2c.CloseIdleConnections()
	}
}

// TestUpgradeToAnUpstreamWithHTTP2 checks that a request with Upgrade is sent over HTTP/1.1, as kubectl's SPDY/3.1 requires.
func TestUpgradeToAnUpstreamWithHTTP2(t *testing.T) {
	back := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			fmt.Fprint(w, r.Proto)
			return
		}
		c, b, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+r.Header.Get("Upgrade")+"\r\n\r\n")
		line, _ := b.ReadString('\n')
		io.WriteString(c, strings.ToUpper(line))
	}))
	back.EnableHTTP2 = true
	back.StartTLS()
	defer back.Close()
	front := startUpstream(t, UpstreamSettings{URL: back.URL})
	res, err := front.Client().Get(front.URL + "/off")
	if err != nil {
		t.Fatal(err)
	}
	if body, _ := io.ReadAll(res.Body); string(body) != "HTTP/2.0" {
		t.Fatalf("other requests are sent over %s, expected HTTP/2.0", body)
	}
	res.Body.Close()
	for _, protocol := range []string{"SPDY/3.1", "websocket", "echo"} {
		c, err := net.Dial("tcp", front.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, "GET /off HTTP/1.1\r\nHost: gate\r\nConnection: Upgrade\r\nUpgrade: "+protocol+"\r\n\r\n")
		b := bufio.NewReader(c)
		if res, err := http.ReadResponse(b, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("%s: %+v, %v", protocol, res, err)
			continue
		}
		io.WriteString(c, "hello\n")
		if line, err := b.ReadString('\n'); line != "HELLO\n" {
			t.Errorf("%s: got %q, %v", protocol, line, err)
		}
	}
}

// TestUpstreamProtocol checks the setting protocol, with TLS and without.
func TestUpstreamProtocol(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) })
	plain, secure := httptest.NewUnstartedServer(handler), httptest.NewUnstartedServer(handler)
	plain.Config.Protocols = new(http.Protocols)
	plain.Config.Protocols.SetHTTP1(true)
	plain.Config.Protocols.SetUnencryptedHTTP2(true)
	plain.Start()
	defer plain.Close()
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer secure.Close()
	for _, c := range []struct{ url, protocol, want string }{
		{plain.URL, "auto", "HTTP/1.1"}, {plain.URL, "http1", "HTTP/1.1"}, {plain.URL, "http2", "HTTP/2.0"},
		{secure.URL, "auto", "HTTP/2.0"}, {secure.URL, "http1", "HTTP/1.1"}, {secure.URL, "http2", "HTTP/2.0"},
	} {
		front := startUpstream(t, UpstreamSettings{URL: c.url, Protocol: c.protocol})
		res, err := front.Client().Get(front.URL + "/off")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if string(body) != c.want || err != nil {
			t.Errorf("%s to %s: %q, %v, expected %s", c.protocol, c.url, body, err, c.want)
		}
	}
}

// TestAnswerBeforeTheRequestEnds checks that over HTTP/1.1 a client gets the upstream's response while it still sends the body.
func TestAnswerBeforeTheRequestEnds(t *testing.T) {
	front, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		c.EnableFullDuplex()
		lines := bufio.NewReader(r.Body)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			io.WriteString(w, strings.ToUpper(line))
			c.Flush()
		}
	}, nil)
	c, err := net.Dial("tcp", front.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, "POST /off HTTP/1.1\r\nHost: gate\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nfirst\n\r\n")
	b := bufio.NewReader(c)
	res, err := http.ReadResponse(b, nil)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%+v, %v", res, err)
	}
	answer := bufio.NewReader(res.Body)
	if line, err := answer.ReadString('\n'); line != "FIRST\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	io.WriteString(c, "7\r\nsecond\n\r\n0\r\n\r\n")
	if line, err := answer.ReadString('\n'); line != "SECOND\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	if rest, err := io.ReadAll(answer); len(rest) > 0 || err != nil {
		t.Errorf("then %q, %v", rest, err)
	}
}

// TestLinksLeadBack checks that the link for another attempt has the path as it is forwarded.
func TestLinksLeadBack(t *testing.T) {
	front, _ := start(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, func(r *Route, _ *Config) {
		r.Allow = []string{"encoded_slash"}
	})
	res := raw(t, front, "GET /off/a%2Fb|%3a?q=%3a HTTP/1.1\r\nHost: gate\r\nAccept: text/html\r\n\r\n")
	if body, _ := io.ReadAll(res.Body); !strings.Contains(string(body), `href="http://gate/off/a%2Fb%7C%3A?q=%3a"`) {
		t.Errorf("%s\n%s", res.Status, body)
	}
}

func TestUpstreamTrouble(t *testing.T) {
	front, _ := start(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/off/hang" {
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	}, func(r *Route, _ *Config) {
		r.Upstream.targets[0].conns.For("").transport.ResponseHeaderTimeout = 50 * time.Millisecond
	})
	for path, status := range map[string]int{"/off/hang": 504, "/off/abort": 502} {
		if res, body := get(t, front, path); res.StatusCode != status {
			t.Errorf("%s: %s %s, expected %d", path, res.Status, body, status)
		}
	}
}

func TestUpstreamTLSAndPrefix(t *testing.T) {
	back := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	back.TLS = &tls.Config{}
	back.StartTLS()
	defer back.Close()
	change := func(verify bool) func(*Route, *Config) {
		return func(r *Route, _ *Config) {
			r.Upstream, _ = NewUpstream(UpstreamSettings{URL: back.URL + "/base/", ConnectTimeout: time.Second, SSLVerify: verify})
			r.Paths, r.StripPath = []string{"/", "/off"}, true
		}
	}
	front, _ := start(t, nil, change(true))
	if res, _ := get(t, front, "/off/x"); res.StatusCode != 502 {
		t.Errorf("an unknown CA: %s, expected 502", res.Status)
	}
	front, _ = start(t, nil, change(false))
	for path, want := range map[string]string{"/off": "/base/", "/off/x%20y": "/base/x%20y", "/off/": "/base/"} {
		if _, body := get(t, front, path); !strings.HasPrefix(body, "GET "+want+"\n") {
			t.Errorf("%s became %q, expected %q", path, strings.SplitN(body, "\n", 2)[0], want)
		}
	}
}

// TestRouteWithoutUpstream checks that a route without an upstream authorizes requests, and refuses those that it would forward.
func TestRouteWithoutUpstream(t *testing.T) {
	tokens := flowFunc(func(r *auth.Request) (*auth.Result, error) {
		if r.Header.Get("Authorization") == "" {
			return nil, auth.ErrNoCredential
		}
		return &auth.Result{Identity: &auth.Identity{Subject: "john", Tokens: auth.Tokens{AccessToken: "at"}}}, nil
	})
	route := &Route{
		Name: "judge", Paths: []string{"/"}, Chain: auth.Chain{{Flow: tokens}},
		Policy: authz.NewPolicy(authz.Settings{}, authz.ACLSettings{}, authz.NewDirectory(nil), nil),
	}
	g, err := New(Config{Routes: []*Route{route}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for credential, want := range map[string]int{"": http.StatusUnauthorized, "Bearer at": http.StatusInternalServerError} {
		r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
		if credential != "" {
			r.Header.Set("Authorization", credential)
		}
		if g.ServeHTTP(w, r); w.Code != want {
			t.Errorf("with %q: %d, expected %d", credential, w.Code, want)
		}
	}
}
