package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// adminToken is the admin token of the tests, which must not appear in logs.
const adminToken = "an-admin-token-that-no-log-may-hold-0007"

// lookNarrow checks the page in the narrowest window that the console is made for, besides mustLook.
func (p *page) lookNarrow(name string, status int, heading string) {
	p.t.Helper()
	p.mustLook(name, status, heading)
	var found []string
	file := filepath.Join(screenshots, fmt.Sprintf("page-%s-360.png", name))
	p.must("look", args{"path": file, "width": 360, "height": 740, "dark": false}, &found)
	for _, fault := range found {
		p.t.Errorf("%s: %s", file, fault)
	}
}

// loginsAsked returns how often the browser has been sent to Keycloak to log in.
func (p *person) loginsAsked() (n int) {
	for _, address := range p.requested() {
		if u, err := url.Parse(address); err == nil && strings.HasSuffix(u.Path, "/protocol/openid-connect/auth") {
			n++
		}
	}
	return n
}

// TestConsole reads the console of the admin listener without a login, logs in there with the admin token, ends a session, and reads why a
// request was refused. The browser runs no scripts.
func TestConsole(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{token: adminToken, routes: []route{{upstream: up}}})
	jane := newPersonWith(t, args{"script": false}, g)
	app := jane.newPage()
	app.logIn(g.url+"/", "jane")
	app.open(g.url + "/admin/secrets?code=a-secret-in-the-query")

	operator := newPersonWith(t, args{"script": false}, g)
	tab := operator.newPage()
	tab.open(g.admin + "/console")
	tab.lookNarrow("console-overview", http.StatusOK, "Overview")
	tab.open(g.admin + "/console/sessions")
	if body := tab.text("main"); !strings.Contains(body, keycloak.issuer("sallyport")) || strings.Contains(body, "This session") {
		t.Errorf("without a login the sessions are %s", body)
	}
	tab.click("#login")
	tab.lookNarrow("console-login", http.StatusOK, "Log in")
	tab.fill("#token", "a-wrong-token")
	tab.click("#go")
	tab.lookNarrow("console-login-wrong", http.StatusUnauthorized, "Log in")
	tab.fill("#token", adminToken)
	tab.click("#go")
	tab.waitURL(g.admin + "/console/")
	for _, c := range operator.cookies() {
		if c.Name != "__Host-sallyport_console" || !c.Secure || !c.HTTPOnly || c.SameSite != "Strict" || strings.Contains(c.Value, adminToken) {
			t.Errorf("the cookie of the login is %+v", c)
		}
	}
	tab.click("nav a[href=routes]")
	tab.lookNarrow("console-routes", http.StatusOK, "Routes")
	tab.click("nav a[href=keys]")
	tab.lookNarrow("console-keys", http.StatusOK, "Issuers and keys")

	tab.click("nav a[href=refusals]")
	tab.lookNarrow("console-refusals", http.StatusOK, "Recent refusals")
	tab.click("td a.button")
	tab.lookNarrow("console-refusal", http.StatusOK, "Why this request was refused")
	if got, want := tab.text("#result"), "refused: 403 roles_required"; !strings.HasPrefix(got, want) {
		t.Errorf("the result is %q, want %q", got, want)
	}
	if steps := tab.text("#steps"); !strings.Contains(steps, "✗ roles_required") {
		t.Errorf("the steps are %q", steps)
	}
	if body := tab.text("body"); strings.Contains(body, "secret-in-the-query") {
		t.Errorf("the page has the query: %q", body)
	}

	tab.click("nav a[href=sessions]")
	tab.fill("#client_id", "app")
	tab.click("#find")
	tab.lookNarrow("console-sessions", http.StatusOK, "Sessions")
	tab.click("td a.button")
	tab.lookNarrow("console-end", http.StatusOK, "End sessions?")
	asked := jane.loginsAsked()
	app.open(g.url + "/")
	if jane.loginsAsked() != asked {
		t.Error("jane is asked to log in before her session ends")
	}
	tab.click("#end")
	if got := tab.text("#ended"); got != "1 session has ended." {
		t.Errorf("the page says %q", got)
	}
	app.open(g.url + "/")
	if jane.loginsAsked() != asked+1 {
		t.Errorf("jane was asked to log in %d times, want %d", jane.loginsAsked(), asked+1)
	}

	tab.click("#logout")
	tab.waitFor("#token")
	if left := operator.cookies(); len(left) != 0 {
		t.Errorf("after the logout the browser has %+v", left)
	}
}

// TestConsoleBehindARoute uses the console as a person with a role, and shows that a person without it is refused.
func TestConsoleBehindARoute(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up},
		{path: "/ops/console", more: "console: true", oidc: []string{"roles_required: [admin]"}, rulesOff: true}}})
	jane := newPerson(t, g)
	app := jane.newPage()
	app.logIn(g.url+"/", "jane")
	app.open(g.url + "/ops/console/")
	if app.status() != http.StatusForbidden {
		t.Errorf("jane gets %d at the console, want 403", app.status())
	}

	john := newPerson(t, g).newPage()
	john.open(g.url + "/ops/console")
	john.submit("john", "doe")
	john.waitURL(g.url + "/ops/console/")
	if got := john.text("h1"); got != "Overview" {
		t.Errorf("john sees %q, want the overview", got)
	}
	john.click("nav a[href=refusals]")
	john.click("td a.button")
	if got, want := john.text("#result"), "refused: 403 roles_required"; !strings.HasPrefix(got, want) {
		t.Errorf("the result is %q, want %q", got, want)
	}
	john.click("nav a[href=sessions]")
	john.fill("#route", "route-1")
	john.click("#find")
	john.click("td a.button")
	john.click("#end")
	if got := john.text("#ended"); got != "1 session has ended." {
		t.Errorf("the page says %q", got)
	}
	asked := jane.loginsAsked()
	app.open(g.url + "/")
	if jane.loginsAsked() != asked+1 {
		t.Error("jane isn't asked to log in after her session has ended")
	}
}
