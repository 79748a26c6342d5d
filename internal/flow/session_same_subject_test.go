package flow_test

import (
	"net/http"
	"testing"
)

// TestSessionEnforceSameSubject: a login ends the browser's logins of other subjects at the same issuer, in whatever cookie. Those of the
// same subject, of another issuer, and those that are bound to another browser go on.
func TestSessionEnforceSameSubject(t *testing.T) {
	w, elsewhere := newWorld(t), newWorld(t)
	first := w.newGate(t, browserFlows, func(g *gate) { g.settings.Session.Audience = "first" })
	shares := func(audience string) func(*gate) {
		return func(g *gate) { g.settings.Session.Audience, g.deps.Sessions = audience, first.deps.Sessions }
	}
	bound := w.newGate(t, browserFlows, shares("bound"), func(g *gate) { g.settings.SessionSettings.Bind = []string{"user-agent"} })
	other := elsewhere.newGate(t, browserFlows, shares("other"))
	second := w.newGate(t, browserFlows, shares("second"), func(g *gate) { g.settings.EnforceSameSubject = true })
	lax := w.newGate(t, browserFlows, shares("lax"))

	a, o, b := first.login("john"), other.login("john"), bound.login("john", "User-Agent", "one")
	cookies := func(all ...*http.Cookie) string {
		r := first.carries(all...)
		return r.Header.Get("Cookie")
	}
	works := func(g *gate, c *http.Cookie, want verdict) {
		t.Helper()
		r := g.carries(c)
		r.Header.Set("User-Agent", "one")
		g.expect(row{ask: always(r), want: want})
	}
	sent := cookies(a, o, b, &http.Cookie{Name: a.Name, Value: "forged"}, &http.Cookie{Name: "session", Value: a.Value})
	lax.login("jane", "Cookie", sent)
	works(first, a, passes)
	second.login("john", "Cookie", sent)
	works(first, a, passes)
	second.login("jane", "Cookie", sent, "User-Agent", "two")
	works(first, a, goesOn)
	works(other, o, passes)
	works(bound, b, passes)
	second.login("jane", "Cookie", sent, "User-Agent", "one")
	works(bound, b, goesOn)
}
