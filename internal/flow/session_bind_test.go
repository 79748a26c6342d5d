package flow_test

import (
	"net/netip"
	"testing"
	"time"

	"sallyport/internal/auth"
)

// TestSessionBind: a session that is bound works only for requests with the same attributes. Another request neither ends it, nor clears
// its cookie, nor rotates it, whatever it asks for.
func TestSessionBind(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, browserFlows, func(g *gate) {
		g.settings.SessionSettings.Bind = []string{"ip", "scheme", "user-agent"}
		g.settings.Session.RollingTimeout = 4 * time.Minute
	})
	c := g.login("john", "User-Agent", "one")
	of := func(change func(*auth.Request)) *auth.Request {
		r := g.carries(c)
		r.Header.Set("User-Agent", "one")
		change(r)
		return r
	}
	same := func(*auth.Request) {}
	differing := map[string]func(*auth.Request){
		"ip":                   func(r *auth.Request) { r.ClientAddr = netip.MustParseAddr("192.0.2.2") },
		"an unknown ip":        func(r *auth.Request) { r.ClientAddr = netip.Addr{} },
		"scheme":               func(r *auth.Request) { r.AskedAt = "http://app.example" },
		"user-agent":           func(r *auth.Request) { r.Header.Set("User-Agent", "two") },
		"no user-agent":        func(r *auth.Request) { r.Header.Del("User-Agent") },
		"a second one":         func(r *auth.Request) { r.Header.Add("User-Agent", "two") },
		"an empty one as well": func(r *auth.Request) { r.Header.Add("User-Agent", "") },
	}
	try := func() {
		t.Helper()
		for name, change := range differing {
			if got, res := g.judge(of(change)); got != goesOn || len(setIn(res.Header)) != 0 {
				t.Errorf("%s: %+v, %v", name, got, res.Header)
			}
		}
	}
	try()
	g.expect(row{ask: always(of(same)), want: passes, more: isJohns})

	w.clock.advance(3 * time.Minute) // a rotation is due
	try()
	_, res := g.judge(of(same))
	c = g.sessionIn(res.Header)
	w.clock.advance(11 * time.Second) // the former ID isn't followed any more
	g.expect(row{ask: always(of(same)), want: passes, more: isJohns})
	try() // a rotation keeps the binding

	for _, e := range g.chain.Endpoints() {
		if e.Name == "logout" {
			r := of(differing["ip"])
			r.Method = "POST"
			if res, err := e.Serve(r); err != nil || res.Answer.Reason != "logout_without_session" {
				t.Errorf("a logout from elsewhere: %+v, %v", res, err)
			}
		}
	}
	g.login("jane", "User-Agent", "two", "Cookie", c.Name+"="+c.Value) // with a stolen cookie
	g.expect(row{ask: always(of(same)), want: passes, more: isJohns})
	g.login("jane", "User-Agent", "one", "Cookie", c.Name+"="+c.Value)
	g.expect(row{ask: always(of(same)), want: goesOn, more: keeps})
}

// TestUnboundSession: a session that began before session_bind was written doesn't work.
func TestUnboundSession(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, browserFlows)
	c := g.login("john")
	g.settings.SessionSettings.Bind = []string{"scheme"}
	g.build()
	g.expect(row{ask: always(g.carries(c)), want: goesOn, more: keeps})
}

// TestUpgradeOfAnotherOriginRotatesNothing: else the browser would lose its session, because a refusal sets no cookie.
func TestUpgradeOfAnotherOriginRotatesNothing(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, browserFlows, func(g *gate) { g.settings.Session.RollingTimeout = 4 * time.Minute })
	c := g.login("john")
	w.clock.advance(3 * time.Minute)
	r := g.carries(c)
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Origin", "https://evil.example")
	g.expect(row{ask: always(r), want: verdict{403, "", "upgrade_origin", false}})
	w.clock.advance(11 * time.Second)
	g.expect(row{ask: always(g.carries(c)), want: passes, more: isJohns})
}
