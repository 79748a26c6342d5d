package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// deepLink is a path and query that a login must restore exactly, including order and escapes.
const deepLink = "/deep/link?x=1&y=a%2Fb"

func TestLogin(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	john := newPerson(t, g)
	tab := john.newPage()

	tab.open(g.url + deepLink)
	tab.waitFor("#kc-login")
	if up.count() != 0 {
		t.Errorf("the upstream got %d requests before the login", up.count())
	}
	tab.submit("john", "doe")
	tab.waitURL(g.url + deepLink)
	if got := tab.text("#user"); got != "john" {
		t.Errorf("the upstream says hello to %q, want john", got)
	}
	a := up.mustArrival(t, deepLink)
	if got := a.header.Get("X-User"); got != "john" {
		t.Errorf("X-User is %q, want john", got)
	}
	token := mustBearer(t, a)
	if token.claim("preferred_username") != "john" || token.claim("iss") != keycloak.issuer("sallyport") {
		t.Errorf("the upstream got somebody else's access token: %v", token.claims)
	}
	tab.shoot("login-result")
}

// TestCookiesOfTheGateStayThere checks that the upstream's cookies pass in both directions, and that the gate's cookies don't reach
// the upstream.
func TestCookiesOfTheGateStayThere(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	john := newPerson(t, g)
	tab := john.newPage()
	tab.logIn(g.url+"/", "john")
	tab.open(g.url + "/again")

	if got := up.mustArrival(t, "/again").header.Get("Cookie"); got != "theme=blue" {
		t.Errorf("the upstream got the cookies %q, want theme=blue alone", got)
	}
	session := 0
	for _, c := range john.cookies() {
		if strings.HasPrefix(c.Name, "session_") {
			session++
			if !c.HTTPOnly || c.SameSite != "Lax" || c.Path != "/" {
				t.Errorf("the session cookie is %+v, want HttpOnly, Lax, /", c)
			}
		}
		if strings.HasPrefix(c.Name, "authorization") && !strings.HasSuffix(c.Name, "_rounds") { // it counts logins for 20 s
			t.Errorf("the login is over and its cookie is still there: %s", c.Name)
		}
	}
	if session != 1 {
		t.Errorf("the browser has %d session cookies, want 1", session)
	}
}

func TestWrongPasswordThenRight(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	tab := newPerson(t, g).newPage()
	tab.open(g.url + deepLink)
	tab.submit("john", "wrong")
	tab.waitFor("text=Invalid username or password.")
	tab.submit("john", "doe")
	tab.waitURL(g.url + deepLink)
	if got := tab.text("#user"); got != "john" {
		t.Errorf("the upstream says hello to %q, want john", got)
	}
}

// TestTwoTabs checks that two logins in different tabs both end on the page that the tab requested.
func TestTwoTabs(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	john := newPerson(t, g)
	first, second := john.newPage(), john.newPage()
	first.open(g.url + "/first?tab=1")
	second.open(g.url + "/second?tab=2")
	first.waitFor("#kc-login")
	second.waitFor("#kc-login")

	first.submit("john", "doe")
	first.waitURL(g.url + "/first?tab=1")
	// Keycloak's script in the second tab detects the login and continues that tab's login.
	second.waitURL(g.url + "/second?tab=2")
	for _, tab := range []*page{first, second} {
		if got := tab.text("#user"); got != "john" {
			t.Errorf("%s says hello to %q, want john", tab.url(), got)
		}
	}
}

// TestTwoFormsSent checks two logins in one browser whose forms are both submitted: each ends on its own page.
func TestTwoFormsSent(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	v := newVisitor(t, g)
	pages := []string{g.url + "/first?tab=1", g.url + "/second?tab=2"}
	first, second := v.form(pages[0]), v.form(pages[1])
	callbacks := []string{v.submit(first, "john"), v.submit(second, "john")}
	for _, i := range []int{1, 0} { // the second one finishes first
		if a := v.browse(callbacks[i]); a.status != http.StatusSeeOther || a.location() != pages[i] {
			t.Errorf("the login at %s ended with %d to %q", pages[i], a.status, a.location())
		}
	}
	if a := v.browse(pages[0]); a.user() != "john" {
		t.Errorf("after both logins %s answers %d", pages[0], a.status)
	}
}
