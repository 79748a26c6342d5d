package flow_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/session"
)

// TestLogoutTokenOfSIDOnce: a logout token with a sid that was used ends no later login of that sid. Another one does.
func TestLogoutTokenOfSIDOnce(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, browserFlows, func(g *gate) { g.settings.Session.IdlingTimeout = 0 })
	login := session.Login{Issuer: w.issuer.URL, ClientID: "app", Subject: "john", SID: "1"}
	claims := map[string]any{"sid": "1", "jti": "first", "exp": w.clock.now().Add(time.Hour).Unix()}
	token := w.issuer.LogoutToken("john", "app", claims)
	first := g.startSession(login)
	if got := g.hears(token); got != 200 || first() {
		t.Fatalf("answered %d", got)
	}
	w.clock.advance(16 * time.Minute) // the sid's mark is gone
	later := g.startSession(login)
	if got := g.hears(token); got != 200 || !later() {
		t.Errorf("the same token again: answered %d, the later login is alive: %v", got, later())
	}
	claims["jti"] = "second"
	if got := g.hears(w.issuer.LogoutToken("john", "app", claims)); got != 200 || later() {
		t.Errorf("another token: answered %d, the login is alive: %v", got, later())
	}
}

// TestLogoutTokenOfSIDAndSubject: a logout token with a sid and a sub ends the logins of the sid, and those of the sub that have none.
func TestLogoutTokenOfSIDAndSubject(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		claims map[string]any
		ends   string // sid of john's logins that end
	}{
		"sid and sub": {map[string]any{"sid": "1"}, "1 none"},
		"sid alone":   {map[string]any{"sid": "1", "sub": nil}, "1"},
		"sub alone":   {nil, "1 2 none"},
	} {
		g := w.newGate(t, browserFlows)
		logins := map[string]func() bool{}
		for _, sid := range []string{"1", "2", "none"} {
			l := session.Login{Issuer: w.issuer.URL, ClientID: "app", Subject: "john", SID: strings.TrimPrefix(sid, "none")}
			logins[sid] = g.startSession(l)
		}
		jane := g.startSession(session.Login{Issuer: w.issuer.URL, ClientID: "app", Subject: "jane"})
		if got := g.hears(w.issuer.LogoutToken("john", "app", c.claims)); got != 200 || !jane() {
			t.Errorf("%s: answered %d, jane's login is alive: %v", name, got, jane())
		}
		for sid, lives := range logins {
			if ended := slices.Contains(strings.Fields(c.ends), sid); lives() == ended {
				t.Errorf("%s: the login with sid %s is alive: %v", name, sid, lives())
			}
		}
	}
}
