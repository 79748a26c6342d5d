package e2e

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestReplayedCallback checks that a replayed authorization response leads a user who is logged in to the first page, and not to an error,
// a loop or another session.
func TestReplayedCallback(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	john := newPerson(t, g)
	tab := john.newPage()
	tab.logIn(g.url+deepLink, "john")
	callback := mustCallback(t, john, g)

	tab.open(callback)
	tab.waitFor("#user")
	if got, user := tab.url(), tab.text("#user"); got != g.url+"/" || user != "john" || tab.status() != http.StatusOK {
		t.Errorf("a used response leads %q to %s with %d, want john at the first page", user, got, tab.status())
	}
}

func TestForeignCallback(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	attacker, victim := newVisitor(t, g), newVisitor(t, g)
	callback := attacker.authorize(g.url+deepLink, "jane")

	a := victim.browse(callback)
	mustBeWayBack(t, a, g.url+"/")
	if len(a.header.Values("Set-Cookie")) != 0 {
		t.Errorf("another browser's response set a cookie: %q", a.header.Values("Set-Cookie"))
	}
	if a := victim.browse(g.url + "/"); a.status != http.StatusFound {
		t.Errorf("the victim is logged in as the attacker: %d", a.status)
	}
	// The attacker's own login still works.
	if a := attacker.browse(callback); a.status != http.StatusSeeOther || a.location() != g.url+deepLink {
		t.Errorf("the browser that began the login gets %d to %q", a.status, a.location())
	}
}

func TestStaleCallback(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up, oidc: []string{"authorization_rolling_timeout: 1"}}}})
	v := newVisitor(t, g)
	begun := time.Now()
	callback := v.authorize(g.url+deepLink, "john")
	until(t, begun.Add(3*time.Second))
	mustBeWayBack(t, v.browse(callback), g.url+deepLink)
	if a := v.browse(g.url + deepLink); a.status != http.StatusFound || !keycloak.isLogin(a.location(), "sallyport") {
		t.Errorf("the way back is answered %d to %q, want a new login", a.status, a.location())
	}
}

func TestForgedCallbacks(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	callback := g.url + "/oauth2/callback"
	for name, query := range map[string]string{
		"nothing":             "",
		"no state":            "?code=abcdef",
		"a state of nobody's": "?code=abcdef&state=" + strings.Repeat("A", 43),
		"two states":          "?code=abcdef&state=a&state=b",
		"a huge state":        "?code=abcdef&state=" + strings.Repeat("A", 5000),
		"an error of nobody's": "?error=access_denied&state=" + strings.Repeat("A", 43) +
			"&error_description=" + url.QueryEscape("<script>alert(1)</script>"),
	} {
		a := newVisitor(t, g).browse(callback + query)
		if mustBeWayBack(t, a, g.url+"/"); strings.Contains(a.body, "<script>") {
			t.Errorf("%s: the page repeats what a stranger wrote", name)
		}
	}
	if up.count() != 0 {
		t.Errorf("%d requests reached the upstream", up.count())
	}
}

// TestTamperedResponse checks that a login with a changed authorization response ends on a page, without a session.
func TestTamperedResponse(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	for name, change := range map[string]func(url.Values){
		"another code":                 func(q url.Values) { q.Set("code", reverse(q.Get("code"))) },
		"another issuer":               func(q url.Values) { q.Set("iss", keycloak.issuer("other")) },
		"no issuer":                    func(q url.Values) { q.Del("iss") },
		"two codes":                    func(q url.Values) { q.Add("code", "another") },
		"an error instead of the code": func(q url.Values) { q.Del("code"); q.Set("error", "interaction_required") },
	} {
		v := newVisitor(t, g)
		callback, err := url.Parse(v.authorize(g.url+deepLink, "john"))
		if err != nil {
			t.Fatal(err)
		}
		q := callback.Query()
		change(q)
		callback.RawQuery = q.Encode()
		a := v.browse(callback.String())
		if a.status != http.StatusBadRequest || wayBack(a) != g.url+deepLink {
			t.Errorf("%s: answered %d with a way back to %q, want 400 and %s", name, a.status, wayBack(a), g.url+deepLink)
		}
		if a := v.browse(g.url + "/"); a.status != http.StatusFound {
			t.Errorf("%s: there is a session: %d", name, a.status)
		}
	}
}

// TestDeniedLogin checks the page for the error access_denied.
func TestDeniedLogin(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	v := newVisitor(t, g)
	begun := v.browse(g.url + deepLink)
	to, err := url.Parse(begun.location())
	if err != nil {
		t.Fatal(err)
	}
	denied := url.Values{"error": {"access_denied"}, "state": {to.Query().Get("state")}, "iss": {keycloak.issuer("sallyport")}}
	a := v.browse(g.url + "/oauth2/callback?" + denied.Encode())
	if a.status != http.StatusForbidden || wayBack(a) != g.url+deepLink {
		t.Errorf("answered %d with a way back to %q, want 403 and %s", a.status, wayBack(a), g.url+deepLink)
	}
}

// mustCallback returns the URL of the redirection endpoint that the browser requested, with its query.
func mustCallback(t *testing.T, p *person, g *gate) string {
	t.Helper()
	for _, address := range p.requested() {
		if strings.HasPrefix(address, g.url+"/oauth2/callback?") {
			return address
		}
	}
	t.Fatal("the browser didn't request the redirection endpoint")
	return ""
}

var wayBackLink = regexp.MustCompile(`id="go" href="([^"]*)"`)

// wayBack returns the link of an error page, or "".
func wayBack(a answer) string {
	if m := wayBackLink.FindStringSubmatch(a.body); m != nil {
		return strings.ReplaceAll(m[1], "&amp;", "&")
	}
	return ""
}

// mustBeWayBack checks that a response is the error page for a callback without a login, with a link to an address.
func mustBeWayBack(t *testing.T, a answer, to string) {
	t.Helper()
	if a.status != http.StatusBadRequest || a.location() != "" || wayBack(a) != to {
		t.Errorf("answered %d to %q with a way back to %q, want 400 and %s", a.status, a.location(), wayBack(a), to)
	}
	if !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("it is %q with Cache-Control %q, want a page that isn't stored", a.header.Get("Content-Type"),
			a.header.Get("Cache-Control"))
	}
}
