package e2e

import (
	"net/http"
	"strings"
	"testing"
)

func TestRoles(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})

	john := newPerson(t, g).newPage()
	john.logIn(g.url+"/admin/panel", "john")
	if got := john.text("#user"); got != "john" {
		t.Errorf("/admin/panel says hello to %q, want john", got)
	}

	jane := newPerson(t, g).newPage()
	jane.logIn(g.url+"/administrator", "jane") // has the prefix /admin, but isn't below it
	jane.open(g.url + "/admin/secrets")
	if jane.status() != http.StatusForbidden || jane.text("h1") != "Forbidden" {
		t.Errorf("jane gets %d %q at /admin/secrets, want 403 Forbidden", jane.status(), jane.text("h1"))
	}
	if text := jane.text("body"); strings.Contains(text, "admin") || strings.Contains(text, "realm_access") {
		t.Errorf("the refusal tells what would be needed: %s", text)
	}
	if up.arrived("/admin/secrets") {
		t.Error("the refused request reached the upstream")
	}
	jane.shoot("forbidden")
}

// TestRolesOfTokens checks that API clients get problem JSON instead of a redirect.
func TestRolesOfTokens(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	for user, status := range map[string]int{"john": http.StatusOK, "jane": http.StatusForbidden} {
		token := keycloak.mustUserToken(t, "app", appSecret, user)
		g.registerSecrets(token)
		a := newVisitor(t, g).call(g.url+"/admin", "Authorization", "Bearer "+token)
		if a.status != status {
			t.Errorf("%s's token is answered %d at /admin, want %d", user, a.status, status)
		}
		if status == http.StatusForbidden && a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("the refusal is %q, want problem JSON", a.header.Get("Content-Type"))
		}
	}
}
