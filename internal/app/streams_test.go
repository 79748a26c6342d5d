package app

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sallyport/internal/config"
	"sallyport/internal/freeport"
	"sallyport/internal/provider"
	"sallyport/internal/redis/redistest"
)

// A cluster is two replicas of the gate with one Redis, which are one site to a browser.
type cluster struct {
	*testing.T
	redis    *redistest.Server
	provider *provider.Provider
	replicas []*httptest.Server
	logs     []*output
	servers  []*server
}

// endless is an upstream whose answers go on until the client leaves: a WebSocket (any Upgrade), or bytes.
func endless(left chan<- string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			return
		}
		if r.Header.Get("Upgrade") != "" {
			c, b, _ := http.NewResponseController(w).Hijack()
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello\n")
			io.Copy(c, b)
		} else {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "hello\n")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
		left <- r.URL.Path
	}
}

// startCluster starts two replicas whose oidc block has further settings.
func startCluster(t *testing.T, upstream http.Handler, settings string) *cluster {
	t.Helper()
	back := httptest.NewServer(upstream)
	t.Cleanup(back.Close)
	site := freeport.Port()
	p := provider.Start(t, provider.Config{
		Clients: []provider.Client{{
			ID: "app", Secret: "secret", RedirectURIs: []string{fmt.Sprintf("http://127.0.0.1:%d/oauth2/callback", site)},
		}},
		Users: []provider.User{{Username: "john", Password: "doe"}},
	})
	c := &cluster{T: t, redis: redistest.Start(t), provider: p}
	name := filepath.Join(t.TempDir(), "gate.yaml")
	text := fmt.Sprintf("route: {upstream: %q, public_url: \"http://127.0.0.1:%d\"}\n"+
		"oidc: {issuer: %q, client_id: app, client_secret: secret, session_secret: %s, session_storage: redis, redis: {port: %d}%s}\n",
		back.URL, site, p.URL, strings.Repeat("s", 32), c.redis.Port, settings)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for n := range 2 {
		file, err := config.Load(name)
		if err != nil {
			t.Fatal(err)
		}
		log := &output{}
		s, err := newServer(file, Options{Log: log})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.state.close)
		front := httptest.NewUnstartedServer(s)
		front.Config.Protocols = new(http.Protocols)
		front.Config.Protocols.SetHTTP1(true)
		front.Config.Protocols.SetUnencryptedHTTP2(true)
		if n == 0 {
			front.Listener.Close()
			if front.Listener, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", site)); err != nil {
				t.Fatal(err)
			}
		}
		front.Start()
		t.Cleanup(front.Close)
		c.replicas, c.logs, c.servers = append(c.replicas, front), append(c.logs, log), append(c.servers, s)
	}
	return c
}

// logIn logs in at the first replica and returns the Cookie header.
func (c *cluster) logIn() string {
	c.Helper()
	jar, _ := cookiejar.New(nil)
	res, err := c.provider.LogIn(&http.Client{Jar: jar}, c.replicas[0].URL, "john", "doe")
	if err != nil || res.StatusCode != http.StatusOK {
		c.Fatal(res, err)
	}
	var cookies []string
	for _, cookie := range jar.Cookies(res.Request.URL) {
		cookies = append(cookies, cookie.Name+"="+cookie.Value)
	}
	return strings.Join(cookies, "; ")
}

// send sends a request to a replica.
func (c *cluster) send(replica int, method, path, cookie string, over http.RoundTripper) *http.Response {
	c.Helper()
	r, err := http.NewRequestWithContext(c.Context(), method, c.replicas[replica].URL+path, nil)
	if err != nil {
		c.Fatal(err)
	}
	r.Header = http.Header{"Cookie": {cookie}, "Origin": {c.replicas[0].URL}, "Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Mode": {"cors"}}
	res, err := over.RoundTrip(r)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { res.Body.Close() })
	return res
}

// open opens a stream at the first replica, and returns it after its first line.
func (c *cluster) open(kind, cookie string) io.Reader {
	c.Helper()
	var body io.Reader
	switch kind {
	case "websocket":
		conn, err := net.Dial("tcp", c.replicas[0].Listener.Addr().String())
		if err != nil {
			c.Fatal(err)
		}
		c.Cleanup(func() { conn.Close() })
		fmt.Fprintf(conn, "GET /websocket HTTP/1.1\r\nHost: %s\r\nOrigin: %s\r\nCookie: %s\r\n"+
			"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
			conn.RemoteAddr(), c.replicas[0].URL, cookie)
		b := bufio.NewReader(conn)
		if res, err := http.ReadResponse(b, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			c.Fatal(res, err)
		}
		body = b
	case "http1":
		body = c.send(0, "GET", "/http1", cookie, http.DefaultTransport).Body
	case "http2":
		h2 := &http.Transport{Protocols: new(http.Protocols)}
		h2.Protocols.SetUnencryptedHTTP2(true)
		body = c.send(0, "GET", "/http2", cookie, h2).Body
	}
	b := bufio.NewReader(body)
	if line, err := b.ReadString('\n'); line != "hello\n" {
		c.Fatalf("%s: got %q, %v", kind, line, err)
	}
	return b
}

func (c *cluster) logOut(replica int, cookie string) {
	c.Helper()
	if res := c.send(replica, "POST", "/oauth2/logout", cookie, http.DefaultTransport); res.StatusCode >= 400 {
		c.Fatal(res)
	}
}

// patience is much less than the 30 s after which a replica looks by itself.
const patience = 10 * time.Second

func TestStreamsEndAtALogoutElsewhere(t *testing.T) {
	left := make(chan string, 10)
	c := startCluster(t, endless(left), "")
	for _, kind := range []string{"websocket", "http1", "http2"} {
		cookie := c.logIn()
		stream := c.open(kind, cookie)
		c.logOut(1, cookie)
		began := time.Now()
		if rest, err := io.ReadAll(stream); len(rest) > 0 || err == nil && kind != "websocket" {
			t.Errorf("%s: then %q, %v, expected an error", kind, rest, err)
		}
		select {
		case path := <-left:
			t.Logf("%s: ended after %s", path, time.Since(began))
		case <-time.After(patience):
			t.Fatalf("%s: the upstream's side is still open", kind)
		}
		if took := time.Since(began); took > patience {
			t.Errorf("%s: it took %s", kind, took)
		}
		c.logs[0].await(t, `"path":"/`+kind+`".*"reason":"session_ended"`)
	}

	open := startCluster(t, endless(left), ", session_close_streams: false")
	cookie := open.logIn()
	stream := open.open("websocket", cookie)
	open.logOut(1, cookie)
	time.Sleep(2 * time.Second) // longer than a message takes
	go io.ReadAll(stream)
	select {
	case <-left:
		t.Error("with session_close_streams: false the stream ended")
	default:
	}
}

// TestStreamsAreCounted checks that the metrics count streams that are open, and no requests that are over.
func TestStreamsAreCounted(t *testing.T) {
	c := startCluster(t, endless(make(chan string, 10)), "")
	cookie := c.logIn()
	awaitStreams := func(n int) {
		t.Helper()
		want := fmt.Sprintf("\nsallyport_streams{route=\"gate\"} %d\n", n)
		var text string
		for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
			w := httptest.NewRecorder()
			c.servers[0].admin().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
			if text = w.Body.String(); strings.Contains(text, want) {
				return
			}
		}
		t.Fatalf("expected %s in %s", want, text)
	}
	awaitStreams(0)
	c.open("websocket", cookie)
	awaitStreams(1)
	c.open("http1", cookie)
	awaitStreams(2)
	c.logOut(1, cookie)
	awaitStreams(0)
}

// With session_near_cache: 0 each request asks Redis, and a logout is effective everywhere at once. By default a second request doesn't
// ask.
func TestNearCacheSetting(t *testing.T) {
	for settings, asks := range map[string]bool{"": false, ", session_near_cache: 0": true} {
		c := startCluster(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), settings)
		cookie := c.logIn()
		get := func() int { return c.send(1, "GET", "/", cookie, http.DefaultTransport).StatusCode }
		for range 20 { // until the replica has subscribed
			get()
		}
		const requests = 200
		before := c.redis.Calls(t, "get")
		for range requests {
			if status := get(); status != http.StatusOK {
				t.Fatal(status)
			}
		}
		if n := c.redis.Calls(t, "get") - before; (n == requests) != asks {
			t.Errorf("%q: %d requests made %d GETs", settings, requests, n)
		}
		c.logOut(0, cookie)
		if asks && get() == http.StatusOK {
			t.Error("the logout at one replica isn't effective at the other")
		}
	}
}
