package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestRulesInChromium checks the decisions of rules in a browser: forwarded requests, pages and logins.
func TestRulesInChromium(t *testing.T) {
	t.Parallel()
	up, redis := startUpstream(t), startRedis(t)
	r := ruled(up)
	r.oidc = withRedis(redis, "search_user_info: true")
	r.rules = append([]string{
		`{paths: [/userinfo], allow: 'userinfo.email == claims.preferred_username + "@example.com" && "/staff" in claims.groups'}`,
		`{paths: [/proved], allow: 'session.present && session.sid == id_token.sid && session.acr == "1" && token.flow == "session"'}`,
	}, r.rules...)
	g := startGate(t, config{routes: []route{r}})

	// Requests without a credential.
	nobody := newPerson(t, g)
	tab := nobody.newPage()
	for path, status := range map[string]int{"/public": 200, "/maybe": 200, "/api": 401} {
		tab.open(g.url + path)
		if tab.url() != g.url+path || tab.status() != status {
			t.Errorf("nobody at %s: %d at %s, want %d", path, tab.status(), tab.url(), status)
		}
	}
	for _, path := range []string{"/", "/admin", "/always"} {
		tab.open(g.url + path)
		tab.waitFor("#kc-login")
	}

	passes := map[string]struct{ john, jane bool }{
		"/docs/open": {true, true}, "/docs/secret": {true, false}, "/admin": {true, false}, "/roles": {true, false},
		"/groups": {true, false}, "/scopes": {true, true}, "/audience": {true, true}, "/elsewhere": {false, false},
		"/claims": {true, false}, "/missing": {false, false}, "/token": {false, false}, // the credential of a session isn't an access token
		"/id_token": {true, false}, "/session": {true, true}, "/proved": {true, true}, "/userinfo": {true, false},
		"/request?x=1": {false, false}, "/runaway": {false, false}, "/age": {true, true}, "/trial": {true, true}, "/with": {true, true},
	}
	for _, user := range []string{"john", "jane"} {
		person := newPerson(t, g)
		tab := person.newPage()
		tab.logIn(g.url+"/", user)
		cookies := cookieHeader(person)
		for path, may := range passes {
			want := may.john && user == "john" || may.jane && user == "jane"
			tab.open(g.url + path)
			if tab.url() != g.url+path || tab.status() != map[bool]int{true: 200, false: 403}[want] {
				t.Errorf("%s at %s: %d at %s, want that they pass: %v", user, path, tab.status(), tab.url(), want)
				continue
			}
			if want != (tab.text("h1") == "Hello "+user) || want == (tab.text("h1") == "Forbidden") {
				t.Errorf("%s at %s reads %q", user, path, tab.text("h1"))
			}
			if !want {
				checkReason(t, g, tab, path, cookies)
			}
		}
	}
	if _, found := g.lineOf(reportOnly, up.mustArrival(t, "/trial").header.Get("X-Request-Id")); !found {
		t.Error("jane at /trial wasn't reported")
	}
	if got := up.mustArrival(t, "/with").header.Get("X-Name"); got != "Jane" {
		t.Errorf("X-Name is %q, want Jane", got)
	}
}

// checkReason compares the reason in the log for the page in the browser with that of sallyport explain.
func checkReason(t *testing.T, g *gate, tab *page, path, cookies string) {
	t.Helper()
	_, id, _ := strings.Cut(tab.text("body"), "Request ")
	if id = strings.TrimSpace(id); len(strings.Fields(id)) != 1 {
		t.Fatalf("the page's request ID isn't its last word: %q", tab.text("body"))
	}
	logged := g.mustLineOf(t, "request", id).text("reason")
	x := g.mustExplain(t, http.MethodGet, g.url+path, []string{"Cookie", cookies}, "")
	if x.passes || x.reason != logged {
		t.Errorf("%s: the log's reason is %q, and explain says:\n%s", path, logged, x.text)
	}
}

func cookieHeader(p *person) string {
	var all []string
	for _, c := range p.cookies() {
		if strings.HasPrefix(c.Name, "session_") {
			all = append(all, c.Name+"="+c.Value)
		}
	}
	return strings.Join(all, "; ")
}
