package flow_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/session"
)

// TestFrontchannelLogout: a frame with iss and sid ends the logins of that sid. Without both of them once, nothing ends.
func TestFrontchannelLogout(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, browserFlows)
	john, jane := g.login("john"), g.login("jane")
	_, res := g.judge(g.carries(john))
	iss, sid := url.QueryEscape(w.issuer.URL), res.Identity.IDToken.String("sid")
	for _, c := range []struct {
		name, line string
		status     int
	}{
		{"POST", "POST /oauth2/frontchannel-logout?iss=" + iss + "&sid=" + sid, 405},
		{"nothing", "GET /oauth2/frontchannel-logout", 400},
		{"no iss", "GET /oauth2/frontchannel-logout?sid=" + sid, 400},
		{"no sid", "GET /oauth2/frontchannel-logout?iss=" + iss, 400},
		{"empty sid", "GET /oauth2/frontchannel-logout?iss=" + iss + "&sid=", 400},
		{"empty iss", "GET /oauth2/frontchannel-logout?iss=&sid=" + sid, 400},
		{"two sid", "GET /oauth2/frontchannel-logout?iss=" + iss + "&sid=" + sid + "&sid=" + sid, 400},
		{"two iss", "GET /oauth2/frontchannel-logout?iss=" + iss + "&iss=" + iss + "&sid=" + sid, 400},
		{"iss of another", "GET /oauth2/frontchannel-logout?iss=https%3A%2F%2Fother.example&sid=" + sid, 400},
		{"long sid", "GET /oauth2/frontchannel-logout?iss=" + iss + "&sid=" + strings.Repeat("x", 256), 400},
		{"another sid", "GET /oauth2/frontchannel-logout?iss=" + iss + "&sid=other", 200},
	} {
		if got := g.status("frontchannel-logout", g.request(c.line)); got != c.status || !g.isLoggedIn(john) {
			t.Errorf("%s: answered %d, expected %d", c.name, got, c.status)
		}
	}
	res, err := g.endpoint("frontchannel-logout", g.request("GET /oauth2/frontchannel-logout?iss="+iss+"&sid="+sid))
	if err != nil || res.Answer.Status != 200 || g.isLoggedIn(john) || !g.isLoggedIn(jane) {
		t.Fatalf("got %+v, %v; alive: john %v, jane %v", res, err, g.isLoggedIn(john), g.isLoggedIn(jane))
	}
	h := res.Answer.Header
	if h.Get("Cache-Control") != "no-store" || h.Get("X-Frame-Options") != "" ||
		strings.Contains(h.Get("Content-Security-Policy"), "frame") {
		t.Errorf("the header is %v", h)
	}
	if strings.Contains(g.log.String(), sid) {
		t.Errorf("the log has the sid:\n%s", g.log)
	}
}

// TestFrontchannelLogoutInFlight: the logouts in flight of one client address are bounded.
func TestFrontchannelLogoutInFlight(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, browserFlows, func(g *gate) {
		g.settings.Client.CallsPerClient, g.settings.Client.Timeout = 1, 100*time.Millisecond
	})
	g.warm()
	r := g.request("GET /oauth2/frontchannel-logout?iss=" + url.QueryEscape(w.issuer.URL) + "&sid=x")
	leave, err := g.deps.Clients[0].Issuer().Admit(t.Context(), r.ClientAddr)
	if err != nil {
		t.Fatal(err)
	}
	if got := g.status("frontchannel-logout", r); got != 503 {
		t.Errorf("answered %d, expected 503", got)
	}
	leave(false)
	if got := g.status("frontchannel-logout", r); got != 200 {
		t.Errorf("answered %d, expected 200", got)
	}
}

// TestFrontchannelLogoutOfNone: logouts of sids that no session has count as failures of the client address, which then may have fewer in
// flight. Those of sessions don't.
func TestFrontchannelLogoutOfNone(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		known  bool
		status int
	}{"unknown sids": {false, 503}, "sids of sessions": {true, 200}} {
		g := w.newGate(t, browserFlows, func(g *gate) {
			g.settings.Client.CallsPerClient, g.settings.Client.Timeout = 8, 100*time.Millisecond
		})
		g.warm()
		frame := "GET /oauth2/frontchannel-logout?iss=" + url.QueryEscape(w.issuer.URL) + "&sid="
		for n := range 64 {
			sid := fmt.Sprint(name, n)
			if c.known {
				g.startSession(session.Login{Issuer: w.issuer.URL, ClientID: "app", Subject: "john", SID: sid})
			}
			if got := g.status("frontchannel-logout", g.request(frame+url.QueryEscape(sid))); got != 200 {
				t.Fatalf("%s, number %d: answered %d", name, n, got)
			}
		}
		r := g.request(frame + "x")
		for range 4 { // a client address without failures may have 8
			leave, err := g.deps.Clients[0].Issuer().Admit(t.Context(), r.ClientAddr)
			if err != nil {
				t.Fatal(err)
			}
			defer leave(false)
		}
		if got := g.status("frontchannel-logout", r); got != c.status {
			t.Errorf("%s: with four in flight, answered %d, expected %d", name, got, c.status)
		}
	}
}

// startSession starts a session of a login, and returns what reports whether it goes on.
func (g *gate) startSession(l session.Login) (lives func() bool) {
	g.Helper()
	l.Identity = &auth.Identity{}
	id, _, err := g.deps.Sessions.Start(g.Context(), nil, l)
	if err != nil {
		g.Fatal(err)
	}
	return func() bool {
		_, err := g.deps.Sessions.Peek(g.Context(), id)
		return err == nil
	}
}
