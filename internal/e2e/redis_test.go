package e2e

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// While Redis is away, those who hold a session get 503 with Retry-After, and nobody else notices.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	up, redis := startUpstream(t), startRedis(t)
	g := startGate(t, config{routes: []route{{upstream: up, oidc: withRedis(redis)}}})
	john := newPerson(t, g)
	tab := john.newPage()
	tab.logIn(g.url+"/", "john")
	token := keycloak.mustServiceToken(t, "sallyport")
	g.plant(token)
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
	// A login can begin; where it ends, its session can't be kept, and that is said.
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
	again := newcomer.browse(newcomer.browse(g.url + "/late").location()) // Keycloak knows jane by now
	if a := newcomer.browse(again.location()); a.status != http.StatusSeeOther || a.location() != g.url+"/late" {
		t.Errorf("with Redis back, the login ends with %d to %q", a.status, a.location())
	}
}

// Redis is killed under load, each time between a refresh at Keycloak and the saving of what it brought: every answer is
// 200 for the right person or 503, and every session is alive afterwards.
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

// verdict is "200" for the right person, "503", or what is wrong.
func verdict(a answer, err error, user string) string {
	switch {
	case err != nil:
		return err.Error()
	case a.status == http.StatusOK && a.user() == user, a.status == http.StatusServiceUnavailable:
		return fmt.Sprint(a.status)
	}
	return fmt.Sprintf("%d to %q for %q instead of %s", a.status, a.location(), a.user(), user)
}

// A load repeats requests until it is stopped and counts their verdicts.
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
			time.Sleep(time.Millisecond) // two cores carry all that runs here
		}
	})
}

func (l *load) count(verdict string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts[verdict]
}

// more returns a condition: n more of these verdicts than now.
func (l *load) more(verdict string, n int) func() bool {
	before := l.count(verdict)
	return func() bool { return l.count(verdict) >= before+n }
}

// stop ends the load and returns how often each verdict came.
func (l *load) stop() map[string]int {
	l.done.Store(true)
	l.all.Wait()
	return l.counts
}
