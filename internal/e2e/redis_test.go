package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestRedisAway checks that without Redis, requests with a session get 503 with Retry-After, and that other requests pass.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	up, redis := startUpstream(t), startRedis(t)
	g := startGate(t, config{routes: []route{{upstream: up, oidc: withRedis(redis)}}})
	john := newPerson(t, g)
	tab := john.newPage()
	tab.logIn(g.url+"/", "john")
	token := keycloak.mustServiceToken(t, "sallyport")
	g.registerSecrets(token)
	program := newVisitor(t, g)

	redis.kill()
	tab.open(g.url + "/page")
	if got := tab.status(); got != http.StatusServiceUnavailable || tab.url() != g.url+"/page" {
		t.Errorf("who holds a session gets %d at %s, want 503 where they are", got, tab.url())
	}
	tab.shoot("unavailable")
	copied := thief(t, john, g)
	if a := copied.call(g.url + "/page"); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" ||
		len(a.header.Values("Set-Cookie")) != 0 {
		t.Errorf("a session's request gets %d, Retry-After %q, cookies %q; want 503, a time, none",
			a.status, a.header.Get("Retry-After"), a.header.Values("Set-Cookie"))
	}
	if a := program.call(g.url+"/api", "Authorization", "Bearer "+token); a.status != http.StatusOK {
		t.Errorf("a bearer token gets %d, want 200", a.status)
	}
	if a := copied.call(g.url + "/public/x"); a.status != http.StatusOK {
		t.Errorf("auth: off gets %d, want 200", a.status)
	}
	if a := program.call(g.url + "/maybe"); a.status != http.StatusOK {
		t.Errorf("auth: optional without a credential gets %d, want 200", a.status)
	}
	if !g.ready() {
		t.Error("the gate isn't ready without Redis, though it can serve")
	}
	// A login can start, but ends with 503, because its session can't be stored.
	newcomer := newVisitor(t, g)
	callback := newcomer.authorize(g.url+"/late", "jane")
	if a := newcomer.browse(callback); a.status != http.StatusServiceUnavailable {
		t.Errorf("the end of a login gets %d, want 503", a.status)
	}

	redis.start(t)
	tab.open(g.url + "/page")
	if got := tab.status(); got != http.StatusOK || tab.text("#user") != "john" {
		t.Errorf("with Redis back, john's session gets %d", got)
	}
	again := newcomer.browse(newcomer.browse(g.url + "/late").location()) // jane has a session at Keycloak
	if a := newcomer.browse(again.location()); a.status != http.StatusSeeOther || a.location() != g.url+"/late" {
		t.Errorf("with Redis back, the login ends with %d to %q", a.status, a.location())
	}
}

// TestRedisKilledUnderLoad kills Redis under load between a refresh at Keycloak and the storing of the new tokens. Every response
// must be 200 for the right user or 503, and every session must survive.
func TestRedisKilledUnderLoad(t *testing.T) {
	t.Parallel()
	up, issuer, redis := startUpstream(t), startCountingProxy(t), startRedis(t)
	g := startGate(t, config{routes: []route{shortRoute(up, issuer, withRedis(redis)...)}})
	var visitors []*visitor
	users := []string{"john", "jane", "john", "jane"}
	for _, user := range users {
		v := newVisitor(t, g)
		v.logIn(g.url+"/", user)
		visitors = append(visitors, v)
	}

	l := startLoad(t)
	for i, v := range visitors {
		for range 2 {
			l.run(func() string {
				a, err := v.do(v.request(http.MethodGet, g.url+"/load", "", navigation...))
				return verdict(a, err, users[i])
			})
		}
	}
	for range 3 {
		killed := make(chan struct{})
		kill := func() { redis.kill(); close(killed) }
		issuer.granted.Store(&kill)
		select {
		case <-killed:
		case <-time.After(3 * shortLife):
			t.Fatal("no session was refreshed")
		}
		mustAwait(t, 30*time.Second, "answers of 503", l.more("503", 20))
		redis.start(t)
		mustAwait(t, 30*time.Second, "answers of 200", l.more("200", 200))
	}
	for kind, n := range l.stop() {
		if kind != "200" && kind != "503" {
			t.Errorf("%d answers were: %s", n, kind)
		}
	}
	for i, v := range visitors {
		if a := v.browse(g.url + "/alive"); a.status != http.StatusOK || a.user() != users[i] {
			t.Errorf("%s's session is lost: %d to %q", users[i], a.status, a.location())
		}
	}
	if n := issuer.refused.Load(); n != 0 {
		t.Errorf("Keycloak refused %d refreshes: a refresh token was used twice or lost", n)
	}
}

// verdict returns "200" for a response for the right user, "503", or what is wrong.
func verdict(a answer, err error, user string) string {
	switch {
	case err != nil:
		return err.Error()
	case a.status == http.StatusOK && a.user() == user, a.status == http.StatusServiceUnavailable:
		return fmt.Sprint(a.status)
	}
	return fmt.Sprintf("%d to %q for %q instead of %s", a.status, a.location(), a.user(), user)
}

// A load repeats requests until stop and counts the verdicts of their responses.
type load struct {
	done   atomic.Bool
	all    sync.WaitGroup
	mu     sync.Mutex
	counts map[string]int
}

func startLoad(t *testing.T) *load {
	l := &load{counts: map[string]int{}}
	t.Cleanup(func() { l.stop() })
	return l
}

// run repeats a request in a goroutine of its own.
func (l *load) run(request func() string) {
	l.all.Go(func() {
		for !l.done.Load() {
			verdict := request()
			l.mu.Lock()
			l.counts[verdict]++
			l.mu.Unlock()
			time.Sleep(time.Millisecond) // leaves time for the other processes
		}
	})
}

func (l *load) count(verdict string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts[verdict]
}

// more returns a function that reports whether the load has counted n more verdicts since the call of more.
func (l *load) more(verdict string, n int) func() bool {
	before := l.count(verdict)
	return func() bool { return l.count(verdict) >= before+n }
}

// stop ends the load and returns the count of each verdict.
func (l *load) stop() map[string]int {
	l.done.Store(true)
	l.all.Wait()
	return l.counts
}
