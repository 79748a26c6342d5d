package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sallyport/internal/freeport"
)

// TestLogout checks that a link of another origin shows a page with a button instead of logging the user out. The button ends the
// sessions at the gate and at Keycloak.
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
	tab.waitFor("#kc-login") // with a session, Keycloak would have redirected back
	if a := stolen.browse(g.url + "/"); a.status != http.StatusFound || !keycloak.isLogin(a.location(), "sallyport") {
		t.Errorf("a copy of the cookie from before the logout: %d to %q, want a new login", a.status, a.location())
	}
}

// TestLogoutComesBack checks that Keycloak redirects to logout_redirect_uri, and that typing the address needs no button.
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

// TestLogoutByForm checks that an ID token that is too long for a URL is sent to Keycloak in a form, which a script submits, or the
// user without scripts. A logout by a script gets the URL as JSON.
func TestLogoutByForm(t *testing.T) {
	t.Parallel()
	client := keycloak.admin.mustCopy(t, "sallyport", "app", nil)
	id := keycloak.admin.mustFindClient(t, "sallyport", client)["id"].(string)
	keycloak.admin.mustDo(t, http.MethodPost, "/sallyport/clients/"+id+"/protocol-mappers/models", object{
		"name": "long", "protocol": "openid-connect", "protocolMapper": "oidc-hardcoded-claim-mapper",
		"config": object{"claim.name": "long", "claim.value": strings.Repeat("x", 2500), "jsonType.label": "String",
			"id.token.claim": "true"},
	}, nil)
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up, client: client, oidc: []string{"logout_redirect_uri: /public/bye"}}}})
	for name, scripts := range map[string]bool{"scripts": true, "no scripts": false} {
		tab := newPersonWith(t, args{"script": scripts}, g).newPage()
		tab.logIn(g.url+"/", "john")
		tab.open(g.url + "/oauth2/logout")
		if !scripts {
			tab.mustLook("logout-by-form", http.StatusOK, "Logging out")
			tab.click("form button")
		}
		tab.waitURL(g.url + "/public/bye")
		tab.open(g.url + "/")
		tab.waitFor("#kc-login")
		if t.Failed() {
			t.Errorf("with %s", name)
		}
	}
	john := newPerson(t, g)
	john.newPage().logIn(g.url+"/", "john")
	script := thief(t, john, g)
	r := script.request(http.MethodPost, g.url+"/oauth2/logout", "")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Origin", g.url)
	if a := script.must(r); a.status != http.StatusOK || !strings.Contains(a.body, "/protocol/openid-connect/logout?") {
		t.Errorf("a script's logout is answered %d %s", a.status, a.body)
	}
}

// thief returns a visitor with a copy of a browser's cookies.
func thief(t *testing.T, p *person, g *gate) *visitor {
	t.Helper()
	v := newVisitor(t, g)
	for _, c := range p.cookies() {
		r := v.request(http.MethodGet, g.url+"/", "")
		v.http.Jar.SetCookies(r.URL, []*http.Cookie{{Name: c.Name, Value: c.Value, Path: c.Path}})
	}
	return v
}

// TestLogoutByKeycloak checks that Keycloak, when an administrator ends a session, sends a logout token to the gate, which ends the login of
// this session alone.
func TestLogoutByKeycloak(t *testing.T) {
	t.Parallel()
	const realm = "sallyport"
	port := freeport.Port()
	client := keycloak.admin.mustCopy(t, realm, "app", map[string]string{
		"backchannel.logout.url": urlOf(port) + "/oauth2/backchannel-logout", "backchannel.logout.session.required": "true",
	})
	g := startGateAt(t, port, config{routes: []route{{upstream: startUpstream(t), client: client, oidc: []string{
		"downstream_headers: [{header: X-Sid, path: [sid]}]",
	}}}})
	user := keycloak.admin.mustUser(t, realm, "user")
	laptop, phone := newVisitor(t, g), newVisitor(t, g)
	a := laptop.logIn(g.url+"/", user)
	phone.logIn(g.url+"/", user)
	sid := a.header.Get("X-Sid")
	if a.user() != user || sid == "" {
		t.Fatalf("the login is answered %d, sid %q", a.status, sid)
	}
	keycloak.admin.mustEndSession(t, realm, sid)
	if a := laptop.browse(g.url + "/"); a.status != http.StatusFound || !keycloak.isLogin(a.location(), realm) {
		t.Errorf("after the end of its session: %d to %q; the log:\n%s", a.status, a.location(), g.log)
	}
	if a := phone.browse(g.url + "/"); a.user() != user {
		t.Errorf("the other session: %d", a.status)
	}
	keycloak.admin.mustLogOut(t, realm, user)
	if a := phone.browse(g.url + "/"); a.status != http.StatusFound {
		t.Errorf("after the end of all sessions of the user: %d; the log:\n%s", a.status, g.log)
	}
}
