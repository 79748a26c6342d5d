package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestStrongerLogin checks that a user whose login is too weak for a rule logs in again at Keycloak and then passes.
func TestStrongerLogin(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	client := keycloak.admin.mustCopy(t, "sallyport", "app", nil)
	keycloak.admin.mustLevels(t, "sallyport", client)
	g := startGate(t, config{routes: []route{{upstream: up, client: client, rules: []string{
		"{paths: [/transfer], acr_values: [gold], upstream_headers: [{header: X-ACR, path: [acr]}]}",
		"{paths: [/vault], acr_values: [platinum]}", // unknown to Keycloak
	}}}})
	john := newPerson(t, g)
	tab := john.newPage()
	tab.logIn(g.url+"/", "john")
	if got := mustBearer(t, up.mustArrival(t, "/")).claim("acr"); got != "silver" {
		t.Fatalf("the first login's acr is %q, want silver", got)
	}

	// An API client with the same session gets a challenge.
	a := thief(t, john, g).call(g.url + "/transfer")
	if got := a.header.Get("WWW-Authenticate"); a.status != http.StatusUnauthorized ||
		!strings.Contains(got, `error="insufficient_user_authentication"`) || !strings.Contains(got, `acr_values="gold"`) {
		t.Errorf("a program is answered %d %q, want the challenge of RFC 9470", a.status, got)
	}
	if got := g.mustLine(t, a).text("reason"); got != "step_up_required" {
		t.Errorf("the log's reason is %q, want step_up_required", got)
	}

	tab.open(g.url + "/transfer?to=olga")
	if !keycloak.isLogin(tab.url(), "sallyport") || up.arrived("/transfer?to=olga") {
		t.Fatalf("a silver login passes where gold is needed: the browser is at %s", tab.url())
	}
	tab.fill("#password", "doe")
	tab.click("#kc-login")
	tab.waitURL(g.url + "/transfer?to=olga")
	if arrived := up.mustArrival(t, "/transfer?to=olga"); tab.text("#user") != "john" || arrived.header.Get("X-ACR") != "gold" {
		t.Errorf("after the step-up the upstream got %q with acr %q, want john with gold", tab.text("#user"), arrived.header.Get("X-ACR"))
	}
	tab.open(g.url + "/transfer?again")
	if tab.url() != g.url+"/transfer?again" {
		t.Errorf("a gold login has to be repeated: the browser is at %s", tab.url())
	}

	// A level that Keycloak doesn't support leads to a page, and the session doesn't change.
	tab.open(g.url + "/vault")
	if tab.status() != http.StatusForbidden || tab.text("h1") != "A stronger login is needed" {
		t.Errorf("/vault ends at %s with %d %q, want 403", tab.url(), tab.status(), tab.text("h1"))
	}
	tab.shoot("login-too-weak")
	tab.open(g.url + "/transfer?still")
	if tab.url() != g.url+"/transfer?still" || tab.text("#user") != "john" {
		t.Errorf("after that john is at %s", tab.url())
	}
	if up.arrived("/vault") {
		t.Error("/vault was reached")
	}
}

// TestFresherLogin checks that a user whose login is too old logs in again, despite a session at Keycloak.
func TestFresherLogin(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	const age = 15 * time.Second
	g := startGate(t, config{routes: []route{{upstream: up, rules: []string{"{paths: [/fresh], max_age: 15s}"}}}})
	john := newPerson(t, g)
	tab := john.newPage()
	tab.logIn(g.url+"/first", "john")
	first := authTime(t, up, "/first")
	until(t, first.Add(age+2*time.Second))

	a := thief(t, john, g).call(g.url + "/fresh")
	if got := a.header.Get("WWW-Authenticate"); a.status != http.StatusUnauthorized || !strings.Contains(got, `max_age="15"`) {
		t.Errorf("a program is answered %d %q, want the challenge of RFC 9470", a.status, got)
	}
	tab.open(g.url + "/second") // other rules don't require a recent login
	if tab.url() != g.url+"/second" {
		t.Fatalf("the browser is at %s", tab.url())
	}
	tab.open(g.url + "/fresh")
	if !keycloak.isLogin(tab.url(), "sallyport") {
		t.Fatalf("a login of %s ago passes: the browser is at %s", time.Since(first), tab.url())
	}
	tab.fill("#password", "doe")
	tab.click("#kc-login")
	tab.waitURL(g.url + "/fresh")
	if again := authTime(t, up, "/fresh"); tab.text("#user") != "john" || !again.After(first) {
		t.Errorf("after the second login the upstream got %q, who logged in at %s; the first was at %s", tab.text("#user"), again, first)
	}
}

// authTime returns the auth_time of the token in the last request for a request target.
func authTime(t *testing.T, up *upstream, uri string) time.Time {
	t.Helper()
	at, _ := mustBearer(t, up.mustArrival(t, uri)).claims["auth_time"].(float64)
	if at == 0 {
		t.Fatalf("the token at %s has no auth_time", uri)
	}
	return time.Unix(int64(at), 0)
}
