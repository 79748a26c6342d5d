package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// TestTwentyRounds sends fifty requests at the expiry of each of twenty access tokens to two replicas: five rounds for each of four
// sessions. Each round refreshes once, because Keycloak ends the session at the second use of a refresh token.
func TestTwentyRounds(t *testing.T) {
	t.Parallel()
	const rounds, requests = 5, 50
	up, issuer, redis := startUpstream(t), startCountingProxy(t), startRedis(t)
	c := config{routes: []route{shortRoute(up, issuer, withRedis(redis)...)}}
	c.routes[0].client = keycloak.admin.mustCopy(t, "sallyport", "app-short", map[string]string{"access.token.lifespan": "6"})
	replicas := []*gate{startGate(t, c), startGate(t, c)}
	users := []string{"john", "jane", "john", "jane"}
	var visitors []*visitor
	for n, user := range users {
		v := newVisitor(t, replicas...)
		v.logIn(replicas[0].url+pageOf(n), user)
		visitors = append(visitors, v)
	}
	for range rounds {
		for n := range users {
			until(t, mustBearer(t, up.mustArrival(t, pageOf(n))).expiry())
		}
		var all sync.WaitGroup
		for n, v := range visitors {
			all.Go(func() {
				for _, a := range v.burst(requests, pageOf(n), replicas) {
					if a.status != http.StatusOK || a.user() != users[n] {
						t.Errorf("%s: answered %d to %q for %q, want 200", users[n], a.status, a.location(), a.user())
					}
				}
			})
		}
		all.Wait()
	}
	if got := issuer.refreshes.Load(); got != int64(len(users)*rounds) || issuer.refused.Load() != 0 {
		t.Errorf("Keycloak was asked for %d refreshes and refused %d, want %d and 0", got, issuer.refused.Load(), len(users)*rounds)
	}
}

// pageOf returns the page of a session.
func pageOf(n int) string { return fmt.Sprint("/", n) }

// burst sends n requests for a page at once, in turn to each of the replicas, and returns the answers.
func (v *visitor) burst(n int, page string, replicas []*gate) (all []answer) {
	start, done := make(chan struct{}), make(chan answer, n)
	var sent sync.WaitGroup
	for i := range n {
		r := v.request(http.MethodGet, replicas[i%len(replicas)].url+page, "", navigation...)
		sent.Go(func() {
			<-start
			if a, err := v.do(r); err != nil {
				v.t.Error(err)
			} else {
				done <- a
			}
		})
	}
	close(start)
	sent.Wait()
	close(done)
	for a := range done {
		all = append(all, a)
	}
	return all
}

// TestKeycloakEndsSessionEverywhere checks that a session that an administrator ends at Keycloak is over on both replicas: when Keycloak's
// call is answered without a near cache, else within its time. A WebSocket at the replica that received no call is closed within a second.
func TestKeycloakEndsSessionEverywhere(t *testing.T) {
	t.Parallel()
	const realm = "sallyport"
	for name, c := range map[string]struct {
		near  string
		bound time.Duration
	}{"no near cache": {"session_near_cache: 0", 0}, "near cache": {"session_near_cache: 1", 1500 * time.Millisecond}} {
		port, redis := freeport.Port(), startRedis(t)
		client := keycloak.admin.mustCopy(t, realm, "app", map[string]string{
			"backchannel.logout.url": urlOf(port) + "/oauth2/backchannel-logout", "backchannel.logout.session.required": "true",
		})
		g := config{routes: []route{{upstream: startUpstream(t), client: client, oidc: withRedis(redis, c.near)}, {
			path: "/ws", upstream: startWebSockets(t), client: client,
			oidc: withRedis(redis, c.near, "downstream_headers: [{header: X-Sid, path: [sid]}]"),
		}}}
		hears, other := startGateAt(t, port, g), startGate(t, g)
		v := newVisitor(t, hears, other)
		v.logIn(hears.url+"/", "john")
		stream, sid := v.webSocket(other.url)
		for _, replica := range []*gate{hears, other} {
			if a := v.browse(replica.url + "/"); a.user() != "john" {
				t.Fatalf("%s: before, %s answers %d", name, replica.url, a.status)
			}
		}
		keycloak.admin.mustEndSession(t, realm, sid)
		answered := time.Now()
		time.Sleep(c.bound)
		for _, replica := range []*gate{hears, other} {
			if a := v.browse(replica.url + "/"); a.status != http.StatusFound || !keycloak.isLogin(a.location(), realm) {
				t.Errorf("%s: after %v, %s answers %d for %q", name, time.Since(answered), replica.url, a.status, a.user())
			}
		}
		if ended := <-stream; ended.Sub(answered) > time.Second {
			t.Errorf("%s: the WebSocket was closed after %v", name, ended.Sub(answered))
		}
	}
}

// startWebSockets starts an upstream that accepts each Upgrade and sends nothing.
func startWebSockets(t *testing.T) *upstream {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { acceptUpgrade(t, w, r) }))
	t.Cleanup(server.Close)
	return &upstream{url: server.URL}
}

// webSocket opens a WebSocket with the visitor's cookies. It returns a channel that receives the time when the gate closes it, and the sid
// of the session.
func (v *visitor) webSocket(gate string) (ended <-chan time.Time, sid string) {
	v.t.Helper()
	address, err := url.Parse(gate + "/ws/")
	if err != nil {
		v.t.Fatal(err)
	}
	r := v.request(http.MethodGet, address.String(), "", "Connection", "Upgrade", "Upgrade", "websocket", "Origin", gate)
	for _, c := range v.http.Jar.Cookies(address) {
		r.AddCookie(c)
	}
	c, err := net.Dial("tcp", address.Host)
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(40 * time.Second))
	if err := r.Write(c); err != nil {
		v.t.Fatal(err)
	}
	in := bufio.NewReader(c)
	answer, err := http.ReadResponse(in, r)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		v.t.Fatalf("the Upgrade is answered %+v, %v", answer, err)
	}
	closed := make(chan time.Time, 1)
	go func() {
		in.ReadByte()
		closed <- time.Now()
	}()
	return closed, answer.Header.Get("X-Sid")
}
