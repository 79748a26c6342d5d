package e2e

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// shortRoute returns a route whose access tokens expire after ten seconds, with Keycloak behind a counting proxy.
func shortRoute(up *upstream, c *countingProxy, oidc ...string) route {
	return route{upstream: up, client: "app-short", secret: appShortSecret, issuer: issuerAt(c.url, "sallyport"), counting: c, oidc: oidc}
}

func TestRefreshAfterExpiry(t *testing.T) {
	t.Parallel()
	up, issuer := startUpstream(t), startCountingProxy(t)
	g := startGate(t, config{routes: []route{shortRoute(up, issuer)}})
	tab := newPerson(t, g).newPage()
	tab.logIn(g.url+"/before", "john")
	before := mustBearer(t, up.mustArrival(t, "/before"))

	until(t, before.expiry().Add(time.Second))
	tab.open(g.url + "/after")
	if got := tab.url(); got != g.url+"/after" {
		t.Fatalf("the session was lost: the browser is at %s", got)
	}
	after := mustBearer(t, up.mustArrival(t, "/after"))
	if !after.expiry().After(time.Now()) || after.raw == before.raw {
		t.Errorf("the upstream got a token that ends at %v, it is %v", after.expiry(), time.Now())
	}
	if got := after.claim("preferred_username"); got != "john" {
		t.Errorf("the new token is %q's, want john's", got)
	}
	if got := issuer.refreshes.Load(); got != 1 {
		t.Errorf("Keycloak was asked for %d refreshes, want 1", got)
	}
}

// TestOneRefreshForAll sends fifty requests when the access token expires to two replicas with one Redis. Only one may refresh,
// because Keycloak ends the session at the second use of a refresh token.
func TestOneRefreshForAll(t *testing.T) {
	t.Parallel()
	up, issuer, redis := startUpstream(t), startCountingProxy(t), startRedis(t)
	c := config{routes: []route{shortRoute(up, issuer, withRedis(redis)...)}}
	replicas := []*gate{startGate(t, c), startGate(t, c)}
	v := newVisitor(t, replicas...)
	v.logIn(replicas[0].url+"/before", "john")
	before := mustBearer(t, up.mustArrival(t, "/before"))
	refreshed := issuer.refreshes.Load()

	until(t, before.expiry())
	start, done := make(chan struct{}), make(chan answer, 50)
	var all sync.WaitGroup
	for i := range cap(done) {
		r := v.request(http.MethodGet, replicas[i%2].url+"/burst", "", navigation...)
		all.Go(func() {
			<-start
			if a, err := v.do(r); err != nil {
				t.Error(err)
			} else {
				done <- a
			}
		})
	}
	close(start)
	all.Wait()
	close(done)
	for a := range done {
		if a.status != http.StatusOK || a.user() != "john" {
			t.Errorf("answered %d to %q for %q, want 200 for john", a.status, a.location(), a.user())
		}
	}
	if got := issuer.refreshes.Load() - refreshed; got != 1 || issuer.refused.Load() != 0 {
		t.Errorf("Keycloak was asked for %d refreshes and refused %d, want 1 and 0", got, issuer.refused.Load())
	}
	for _, a := range up.all() {
		if a.uri == "/burst" && mustBearer(t, a).raw == before.raw {
			t.Fatal("the upstream got the expired token")
		}
	}
}
