package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestBehindNginx checks that a gate behind a TLS proxy uses Secure cookies with the __Host- prefix and an https redirect_uri.
func TestBehindNginx(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{trusted: true, routes: []route{{upstream: up}}})
	origin := startNginx(t, g.url)
	john := newPerson(t, g)
	tab := john.newPage()
	tab.open(origin + deepLink)
	at, err := url.Parse(tab.url())
	if err != nil {
		t.Fatal(err)
	}
	if got := at.Query().Get("redirect_uri"); got != origin+"/oauth2/callback" {
		t.Errorf("redirect_uri is %q, want %s/oauth2/callback", got, origin)
	}
	if got := cookiesOfGate(john); len(got) != 1 || !got[0].Secure || !strings.HasPrefix(got[0].Name, "__Host-authorization") {
		t.Errorf("during the login the gate's cookies are %+v, want one Secure __Host-authorization...", got)
	}
	tab.submit("john", "doe")
	tab.waitURL(origin + deepLink)
	if got := tab.text("#user"); got != "john" {
		t.Errorf("the upstream says hello to %q, want john", got)
	}
	if got := cookiesOfGate(john); len(got) != 1 || !got[0].Secure || !got[0].HTTPOnly ||
		!strings.HasPrefix(got[0].Name, "__Host-session_") {
		t.Errorf("after the login the gate's cookies are %+v, want one Secure, HttpOnly __Host-session_...", got)
	}
	a := up.mustArrival(t, deepLink)
	if got := a.header.Get("X-Forwarded-Proto"); got != "https" {
		t.Errorf("the upstream hears of %q, want https", got)
	}
	if strings.Contains(a.header.Get("Cookie"), "__Host-") {
		t.Error("a cookie of the gate reached the upstream")
	}

	tab.open(origin + "/oauth2/logout")
	tab.open(origin + "/")
	tab.waitFor("#kc-login")
}

// TestForwardedHeadersOfStrangers checks that X-Forwarded headers have no effect unless they come from a trusted proxy.
func TestForwardedHeadersOfStrangers(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	v := newVisitor(t, g)
	begun := v.must(v.request(http.MethodGet, g.url+"/", "", append([]string{
		"X-Forwarded-Proto", "https", "X-Forwarded-Host", "evil.example", "X-Forwarded-For", "203.0.113.9",
		"Forwarded", "for=203.0.113.9;proto=https;host=evil.example",
	}, navigation...)...))
	to, err := url.Parse(begun.location())
	if err != nil {
		t.Fatal(err)
	}
	if got := to.Query().Get("redirect_uri"); got != g.url+"/oauth2/callback" {
		t.Errorf("a stranger's headers made redirect_uri %q", got)
	}
	for _, line := range begun.header.Values("Set-Cookie") {
		if strings.Contains(line, "__Host-") || strings.Contains(line, "Secure") {
			t.Errorf("a stranger's headers made the cookie %q", line)
		}
	}
	v.call(g.url+"/public/f", "X-Forwarded-For", "203.0.113.9", "Forwarded", "for=203.0.113.9", "X-Forwarded-Host", "evil.example")
	a := up.mustArrival(t, "/public/f")
	got := a.header.Get("X-Forwarded-For") + a.header.Get("Forwarded") + a.header.Get("X-Forwarded-Host")
	if strings.Contains(got, "203.0.113.9") || strings.Contains(got, "evil") {
		t.Errorf("a stranger's headers reached the upstream: %q", got)
	}
}

// cookiesOfGate returns the browser's cookies that the gate has set.
func cookiesOfGate(p *person) (all []browserCookie) {
	p.t.Helper()
	for _, c := range p.cookies() {
		if strings.HasSuffix(c.Name, "_rounds") { // counts logins for 20 s
			continue
		}
		if strings.Contains(c.Name, "session_") || strings.Contains(c.Name, "authorization_") {
			all = append(all, c)
		}
	}
	return all
}
