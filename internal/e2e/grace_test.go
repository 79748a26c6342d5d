package e2e

import (
	"net/http"
	"testing"
	"time"
)

// TestBackButton checks that a user who goes back to the provider's form after a login, and submits it again, ends at a page with the same
// session.
func TestBackButton(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	tab := newPerson(t, g).newPage()
	tab.logIn(g.url+deepLink, "john")
	tab.must("back", nil, nil)
	tab.shoot("back-button-provider")
	if keycloak.isLogin(tab.url(), "sallyport") {
		tab.submit("john", "doe")
	}
	tab.waitFor("#user")
	if got := tab.text("#user"); got != "john" || tab.status() != http.StatusOK {
		t.Errorf("after the back button the browser shows %d for %q at %s", tab.status(), got, tab.url())
	}
	tab.shoot("back-button")
}

// TestDoubleSubmit checks that an authorization response that arrives twice at the same time begins one session, and the browser ends at
// the page of the login.
func TestDoubleSubmit(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	tab := newPerson(t, g).newPage()
	tab.open(g.url + deepLink)
	tab.fill("#username", "john")
	tab.fill("#password", "doe")
	tab.must("doubleClick", args{"selector": "#kc-login"}, nil)
	tab.waitURL(g.url + deepLink)
	tab.waitFor("#user")
	tab.shoot("double-submit")
}

// TestPreservePost checks with a browser that a form that meets a session that has timed out is sent once, after the login.
func TestPreservePost(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up, oidc: []string{"preserve_post: true", "session_absolute_timeout: 4"}}}})
	tab := newPerson(t, g).newPage()
	tab.logIn(g.url+"/page", "john")
	begun := time.Now()
	tab.must("form", args{"action": "/save?draft=1", "name": "text", "value": "what I wrote"}, nil)
	until(t, begun.Add(5*time.Second))
	sent := up.count()
	tab.click("#send")
	tab.waitURL(g.url + "/oauth2/resume")
	if got := tab.text("h1"); got != "Send your form?" {
		t.Fatalf("the browser shows %q", got)
	}
	if up.count() != sent {
		t.Error("the form was sent without a question")
	}
	for _, fault := range tab.look("resume") {
		t.Error(fault)
	}
	tab.click("#go")
	mustAwait(t, 10*time.Second, "the upstream receives the form", func() bool { return up.count() > sent })
	if q := up.mustArrival(t, "/save?draft=1"); q.method != http.MethodPost || q.body != "text=what+I+wrote" {
		t.Errorf("the upstream received %s %s %q", q.method, q.uri, q.body)
	}
}

// TestRemember checks with a browser that a remembered session goes on after its end without a login, and that a logout ends it: Keycloak
// asks for the password again.
func TestRemember(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up, oidc: []string{"session_remember: true", "session_absolute_timeout: 4"}}}})
	john := newPerson(t, g)
	tab := john.newPage()
	tab.logIn(g.url+"/page", "john")
	begun, before := time.Now(), len(john.requested())
	until(t, begun.Add(5*time.Second))
	tab.open(g.url + "/again")
	for _, address := range john.requested()[before:] {
		if keycloak.isLogin(address, "sallyport") {
			t.Errorf("after the session's end the browser logs in at %s", address)
		}
	}
	if got := tab.text("#user"); got != "john" || tab.url() != g.url+"/again" {
		t.Errorf("after the session's end the browser shows %q at %s", got, tab.url())
	}
	tab.shoot("remember")
	tab.open(g.url + "/oauth2/logout")
	tab.waitFor("text=You are logged out")
	tab.shoot("remember-logged-out")
	tab.open(g.url + "/again")
	tab.waitFor("#kc-login")
}
