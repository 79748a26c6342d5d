package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// Two routes on one host with an issuer each: a browser is logged in to both at once, and neither session or token is good
// for the other.
func TestTwoIssuersOnOneHost(t *testing.T) {
	t.Parallel()
	up, otherUp := startUpstream(t), startUpstream(t)
	g := startGate(t, config{routes: []route{
		{upstream: up},
		{upstream: otherUp, path: "/other", issuer: keycloak.issuer("other"), secret: otherAppSecret},
	}})
	both := newPerson(t, g)
	tab := both.newPage()
	tab.logIn(g.url+"/mine", "john")
	tab.open(g.url + "/other/page")
	if !keycloak.isLogin(tab.url(), "other") {
		t.Fatalf("john's session is good for the other route: the browser is at %s", tab.url())
	}
	tab.submit("olga", "doe")
	tab.waitURL(g.url + "/other/page")
	if got := tab.text("#user"); got != "olga" {
		t.Errorf("/other/page says hello to %q, want olga", got)
	}
	tab.open(g.url + "/mine/again")
	if got := tab.text("#user"); got != "john" {
		t.Errorf("/mine/again says hello to %q, want john", got)
	}
	if got := mustBearer(t, otherUp.mustArrival(t, "/other/page")).claim("iss"); got != keycloak.issuer("other") {
		t.Errorf("the other route's upstream got a token of %s", got)
	}
	for _, a := range append(up.all(), otherUp.all()...) {
		if strings.Contains(a.header.Get("Cookie"), "session_") {
			t.Errorf("a session's cookie reached an upstream at %s: %s", a.uri, cookieNames(a.header))
		}
	}

	// The end of one session leaves the other alone.
	tab.open(g.url + "/other/oauth2/logout")
	tab.open(g.url + "/mine/still")
	if got := tab.text("#user"); got != "john" {
		t.Errorf("after the other route's logout, /mine/still says hello to %q", got)
	}
	tab.open(g.url + "/other/page")
	tab.waitFor("#kc-login")
}

func TestTokensStayWithTheirIssuer(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{
		{upstream: up},
		{upstream: up, path: "/other", issuer: keycloak.issuer("other"), secret: otherAppSecret},
	}})
	v := newVisitor(t, g)
	mine, other := keycloak.mustServiceToken(t, "sallyport"), keycloak.mustServiceToken(t, "other")
	g.plant(mine, other)
	for _, c := range []struct {
		path, token string
		status      int
	}{
		{"/api", mine, http.StatusOK}, {"/other/api", other, http.StatusOK},
		{"/api", other, http.StatusUnauthorized}, {"/other/api", mine, http.StatusUnauthorized},
	} {
		if a := v.call(g.url+c.path, "Authorization", "Bearer "+c.token); a.status != c.status {
			t.Errorf("%s: answered %d, want %d", c.path, a.status, c.status)
		}
	}
}

func cookieNames(h http.Header) (names []string) {
	for _, c := range (&http.Request{Header: h}).Cookies() {
		names = append(names, c.Name)
	}
	return names
}
