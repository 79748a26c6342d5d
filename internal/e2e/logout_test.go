package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A link of another origin doesn't log anybody out: it shows a page with a button. The button ends the session here and at
// Keycloak.
func TestLogout(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<a id="link" href="%s/oauth2/logout">log out</a>`, g.url)
	}))
	t.Cleanup(elsewhere.Close)
	john := newPerson(t, g)
	tab := john.newPage()
	tab.logIn(g.url+"/", "john")
	stolen := thief(t, john, g)
	if a := stolen.browse(g.url + "/"); a.user() != "john" {
		t.Fatalf("the copied cookie doesn't work before the logout: %d", a.status)
	}

	tab.open(elsewhere.URL)
	tab.click("#link")
	tab.waitFor("form button")
	if got := tab.url(); got != g.url+"/oauth2/logout" || tab.status() != http.StatusOK {
		t.Errorf("the page with the button is %s with %d", got, tab.status())
	}
	tab.shoot("logout")
	if a := stolen.browse(g.url + "/"); a.user() != "john" {
		t.Errorf("the link alone ended the session: %d", a.status)
	}

	tab.click("form button")
	tab.waitFor("text=You are logged out")
	tab.open(g.url + "/")
	tab.waitFor("#kc-login") // Keycloak's session is over too, or it would have sent us back
	if a := stolen.browse(g.url + "/"); a.status != http.StatusFound || !keycloak.isLogin(a.location(), "sallyport") {
		t.Errorf("a copy of the cookie from before the logout: %d to %q, want a new login", a.status, a.location())
	}
}

// With logout_redirect_uri the person comes back from Keycloak; an address typed by the person needs no button.
func TestLogoutComesBack(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up, oidc: []string{"logout_redirect_uri: /public/bye"}}}})
	tab := newPerson(t, g).newPage()
	tab.logIn(g.url+"/", "john")
	tab.open(g.url + "/oauth2/logout")
	tab.waitURL(g.url + "/public/bye")
	tab.open(g.url + "/")
	tab.waitFor("#kc-login")
}

// thief is a visitor with a copy of a person's cookies.
func thief(t *testing.T, p *person, g *gate) *visitor {
	t.Helper()
	v := newVisitor(t, g)
	for _, c := range p.cookies() {
		r := v.request(http.MethodGet, g.url+"/", "")
		v.http.Jar.SetCookies(r.URL, []*http.Cookie{{Name: c.Name, Value: c.Value, Path: c.Path}})
	}
	return v
}
