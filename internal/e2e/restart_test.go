package e2e

import (
	"net/http"
	"testing"
)

// TestRestartWithGeneratedSecret checks a route without session_secret, with sessions in memory. After a restart the browser logs
// in again, with two redirects, because it has a session at Keycloak.
func TestRestartWithGeneratedSecret(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	c := config{routes: []route{{upstream: up}}}
	g := startGate(t, c)
	john := newPerson(t, g)
	tab := john.newPage()
	tab.logIn(g.url+"/", "john")
	old := thief(t, john, g)

	g.terminate(t)
	g.start(t)
	if a := old.browse(g.url + deepLink); a.status != http.StatusFound || !keycloak.isLogin(a.location(), "sallyport") {
		t.Errorf("a browser with the old cookie gets %d to %q, want 302 to the login", a.status, a.location())
	}
	if a := newVisitor(t, g).call(g.url + "/"); a.status != http.StatusUnauthorized {
		t.Errorf("a program gets %d, want 401", a.status)
	}
	tab.open(g.url + deepLink)
	tab.waitURL(g.url + deepLink)
	if got := tab.text("#user"); got != "john" {
		t.Errorf("after the restart the upstream says hello to %q, want john", got)
	}
}

// TestRestartWithRedis checks that with a configured secret and Redis, sessions survive a restart.
func TestRestartWithRedis(t *testing.T) {
	t.Parallel()
	up, redis := startUpstream(t), startRedis(t)
	g := startGate(t, config{routes: []route{{upstream: up, oidc: withRedis(redis)}}})
	v := newVisitor(t, g)
	v.logIn(g.url+"/", "john")
	g.terminate(t)
	g.start(t)
	if a := v.browse(g.url + "/after"); a.status != http.StatusOK || a.user() != "john" {
		t.Errorf("after the restart john gets %d to %q", a.status, a.location())
	}
}
