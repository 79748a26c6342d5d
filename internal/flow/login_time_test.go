package flow_test

import (
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
	"sallyport/internal/session"
)

// TestLoginBeginsWithItsTokens: a login's time is that of its token response, however long the userinfo request takes that follows. So a
// logout in between ends it, and a login that took so long that a logout could be missed.
func TestLoginBeginsWithItsTokens(t *testing.T) {
	w := newWorld(t)
	const tolerance = time.Minute
	for name, c := range map[string]struct {
		takes  time.Duration // the userinfo request
		logout time.Duration // of john, after the token response
		status int
	}{
		"no logout":                              {14 * time.Minute, -time.Hour, 0},
		"a logout before":                        {10 * time.Minute, -tolerance - time.Second, 0},
		"a logout before, by clocks that differ": {10 * time.Minute, -tolerance, 401},
		"a logout in between":                    {10 * time.Minute, time.Minute, 401},
		"longer than a mark lives":               {15 * time.Minute, -time.Hour, 401},
	} {
		g := w.newGate(t, browserFlows, func(g *gate) {
			g.settings.SearchUserInfo, g.settings.Client.VerifyClaims = true, false
		})
		if got := g.deps.Clients[0].Issuer().ClockTolerance(); got != tolerance {
			t.Fatalf("the tolerance is %v", got)
		}
		w.issuer.AdjustIDToken(func(claims map[string]any) { delete(claims, "iat") }) // which would be the login's time
		w.issuer.AdjustAnswer(provider.Userinfo, func(map[string]any) {
			l := session.Logout{Issuer: w.issuer.URL, ClientID: "app", Subject: "john", Issued: w.clock.now().Add(c.logout)}
			if _, err := g.deps.Sessions.EndLogins(t.Context(), l); err != nil {
				t.Error(err)
			}
			w.clock.advance(c.takes)
		})
		_, err := g.endpoint("callback", g.callbackOf("john"))
		if (err == nil) != (c.status == 0) || err != nil && auth.AsError(err).Status != c.status {
			t.Errorf("%s: %v, expected the status %d", name, err, c.status)
		}
		w.mend()
	}
}
