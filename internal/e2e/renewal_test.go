package e2e

import (
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

// TestRenewedCookieAfterEarlyHints checks that a session gets a new ID after three quarters of its rolling timeout. The final
// response has the new cookie, but a preceding 103 doesn't. Requests in flight with the old cookie still pass.
func TestRenewedCookieAfterEarlyHints(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up, oidc: []string{"session: {rolling_timeout: 8}"}}}})
	v := newVisitor(t, g)
	v.logIn(g.url+"/", "john")
	before := sessionCookie(v, g)
	until(t, time.Now().Add(6*time.Second))

	var hints []http.Header
	r := v.request(http.MethodGet, g.url+"/hints", "", navigation...)
	a := v.must(r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(status int, h textproto.MIMEHeader) error { hints = append(hints, http.Header(h)); return nil },
	})))
	after := sessionCookie(v, g)
	if a.status != http.StatusOK || a.user() != "john" {
		t.Fatalf("answered %d to %q", a.status, a.location())
	}
	if len(hints) != 1 || hints[0].Get("Link") == "" || len(hints[0].Values("Set-Cookie")) != 0 {
		t.Errorf("the early hints are %v, want one with Link and no cookie", hints)
	}
	if after.Value == before.Value || len(a.header.Values("Set-Cookie")) != 2 {
		t.Errorf("the session's cookie wasn't renewed: %d cookies came, the upstream's among them", len(a.header.Values("Set-Cookie")))
	}
	if got := a.header.Get("Cache-Control"); got != "private, no-store" {
		t.Errorf("an answer with a cookie of the gate has Cache-Control %q", got)
	}
	late := newVisitor(t, g).call(g.url+"/late", "Cookie", before.Name+"="+before.Value)
	if late.status != http.StatusOK || late.user() != "john" {
		t.Errorf("a request with the old cookie right after the renewal gets %d", late.status)
	}
}

// sessionCookie returns the gate's session cookie in the visitor's jar.
func sessionCookie(v *visitor, g *gate) *http.Cookie {
	v.t.Helper()
	for _, c := range v.http.Jar.Cookies(v.request(http.MethodGet, g.url+"/", "").URL) {
		if strings.Contains(c.Name, "session_") {
			return c
		}
	}
	v.t.Fatal("the visitor has no session cookie")
	return nil
}
