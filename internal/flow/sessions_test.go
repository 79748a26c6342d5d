package flow_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
	"sallyport/internal/redis/redistest"
	"sallyport/internal/session"
)

const browserFlows = "session authorization_code"

// loggedIn returns a request with john's session, after since ran.
func loggedIn(since func(*gate)) func(*gate) *auth.Request {
	return func(g *gate) *auth.Request {
		c := g.login("john")
		if since != nil {
			since(g)
		}
		return g.carries(c)
	}
}

func later(d time.Duration) func(*gate) { return func(g *gate) { g.clock.advance(d) } }

// TestSession: a session cookie authenticates the user while the session lasts, belongs to this route, and its tokens are
// valid. Any other cookie is cleared, and the chain tries other credentials.
func TestSession(t *testing.T) {
	w := newWorld(t)
	refreshed := calls{provider.Token: 1}
	answered := func(status int, body string) func(*gate) {
		return func(g *gate) {
			g.clock.advance(6 * time.Minute)
			g.answers(provider.Token, status, "application/json", body)
		}
	}
	w.try(t, browserFlows, []row{
		{name: "none", ask: func(g *gate) *auth.Request { return g.carries() }, want: goesOn, more: keeps},
		{name: "good", ask: loggedIn(nil), want: passes, more: isJohns},
		{name: "made up", ask: changed(func(string) string { return "x" }), want: goesOn, more: clears},
		{name: "empty", ask: changed(func(string) string { return "" }), want: goesOn, more: clears},
		{name: "changed", ask: changed(func(v string) string { return v[:len(v)-2] + other(v[len(v)-2:]) }), want: goesOn, more: clears},
		{name: "under another name", ask: func(g *gate) *auth.Request {
			return g.carries(&http.Cookie{Name: "session", Value: g.login("john").Value})
		}, want: goesOn, more: keeps},
		{name: "without the prefix of https", ask: func(g *gate) *auth.Request {
			c := g.login("john")
			return g.carries(&http.Cookie{Name: strings.TrimPrefix(c.Name, "__Host-"), Value: c.Value})
		}, want: goesOn, more: keeps},
		{name: "behind a neighbour's", ask: behind(3), want: passes, more: isJohns},
		{name: "behind too many", ask: behind(4), want: goesOn, more: clears},
		{name: "before a neighbour's", ask: func(g *gate) *auth.Request { c := g.login("john"); return g.carries(c, as(c, "x")) },
			want: passes},

		{name: "ended", ask: func(g *gate) *auth.Request {
			c := g.login("john")
			logout := session.Logout{Issuer: g.issuer.URL, ClientID: "app", Subject: "john", Issued: g.deps.Now()}
			if n, err := g.deps.Sessions.EndLogins(g.Context(), logout); n != 1 || err != nil {
				g.Fatal(n, err)
			}
			return g.carries(c)
		}, want: goesOn, more: clears},
		{name: "idle", ask: loggedIn(later(15 * time.Minute)), want: goesOn, more: clears},
		{name: "too old", change: func(g *gate) { g.settings.Session.AbsoluteTimeout = time.Minute }, ask: loggedIn(later(time.Minute)),
			want: goesOn, more: clears},
		{name: "not renewed in time", change: func(g *gate) { g.settings.Session.RollingTimeout = time.Minute },
			ask:  loggedIn(later(time.Minute)),
			want: goesOn, more: clears},
		{name: "to be renewed", change: func(g *gate) { g.settings.Session.RollingTimeout = 4 * time.Minute },
			ask:  loggedIn(later(3 * time.Minute)),
			want: passes, more: func(g *gate, res *auth.Result) {
				g.expect(row{ask: always(g.carries(g.sessionIn(res.Header))), want: passes})
			}},
		{name: "of another session_audience", ask: afterChange(func(g *gate) { g.settings.Session.Audience = "other" }),
			want: goesOn, more: clears},
		{name: "of another client", ask: afterChange(func(g *gate) { g.settings.Client.ClientID = []string{"second"} }),
			want: goesOn, more: clears},
		{name: "of another issuer", ask: afterChange(func(g *gate) { g.settings.Client.Issuer = "https://other.example" }),
			want: goesOn, more: clears},
		{name: "begun where signatures aren't verified", change: func(g *gate) { g.settings.Client.VerifySignature = false },
			ask: afterChange(func(g *gate) { g.settings.Client.VerifySignature = true }), want: goesOn, more: clears},
		{name: "begun where claims aren't judged", change: func(g *gate) { g.settings.Client.VerifyClaims = false },
			ask: afterChange(func(g *gate) { g.settings.Client.VerifyClaims = true }), want: goesOn, more: clears},

		{name: "its token is to be refreshed", ask: loggedIn(later(5*time.Minute - time.Second)),
			want: passes, calls: refreshed, more: isJohns},
		{name: "its token lives", ask: loggedIn(later(5*time.Minute - 6*time.Second)), want: passes},
		{name: "its token has expired", ask: loggedIn(later(6 * time.Minute)), want: passes, calls: refreshed, more: isJohns},
		{name: "expired, and isn't to be refreshed", change: func(g *gate) { g.settings.RefreshTokens = false },
			ask:  loggedIn(later(6 * time.Minute)),
			want: goesOn, more: clears},
		{name: "about to expire, and isn't to be refreshed", change: func(g *gate) { g.settings.RefreshTokens = false },
			ask: loggedIn(later(5*time.Minute - time.Second)), want: passes},
		{name: "its refresh token was revoked", ask: loggedIn(func(g *gate) { g.issuer.RevokeAll(); g.clock.advance(6 * time.Minute) }),
			want:  goesOn,
			calls: refreshed, more: clears},
		{name: "revoked, and its token lives still", ask: loggedIn(func(g *gate) { g.issuer.RevokeAll() }), want: passes},
		{name: "revoked, and it is to be refreshed",
			ask:  loggedIn(func(g *gate) { g.issuer.RevokeAll(); g.clock.advance(5*time.Minute - time.Second) }),
			want: goesOn, calls: refreshed, more: clears},

		{name: "the issuer is away, and its token lives", ask: loggedIn(func(g *gate) { g.cut() }), want: passes},
		{name: "the issuer is away, and it is to be refreshed",
			ask:  loggedIn(func(g *gate) { g.clock.advance(5*time.Minute - time.Second); g.cut() }),
			want: passes, more: keeps},
		{name: "the issuer is away, and its token has expired", ask: loggedIn(func(g *gate) { g.clock.advance(6 * time.Minute); g.cut() }),
			want: away, more: keeps},
		{name: "500", ask: loggedIn(answered(500, "<h1>Oops</h1>")), want: away, calls: refreshed, more: keeps},
		{name: "429", ask: loggedIn(answered(429, "{}")), want: away, calls: refreshed, more: keeps},
		{name: "no tokens", ask: loggedIn(answered(200, "{}")), want: away, calls: refreshed, more: keeps},
		{name: "no JSON", ask: loggedIn(answered(200, "<h1>Hello</h1>")), want: away, calls: refreshed, more: keeps},
		{name: "our secret is wrong", ask: loggedIn(answered(401, `{"error":"invalid_client"}`)),
			want: goesOn, calls: refreshed, more: clears},
		{name: "its ID token is somebody else's", ask: loggedIn(func(g *gate) {
			g.clock.advance(6 * time.Minute)
			g.issuer.AdjustIDToken(func(c map[string]any) { c["sub"] = "jane" })
		}), want: goesOn, calls: refreshed, more: clears},
		{name: "its access token is somebody else's", ask: loggedIn(func(g *gate) {
			g.clock.advance(6 * time.Minute)
			g.issuer.AdjustAccessToken(func(c map[string]any) { c["sub"] = "jane" })
		}), want: goesOn, calls: refreshed, more: clears},
		{name: "its ID token is for another client", ask: loggedIn(func(g *gate) {
			g.clock.advance(6 * time.Minute)
			g.issuer.AdjustIDToken(func(c map[string]any) { c["aud"] = "other" })
		}), want: goesOn, calls: refreshed, more: clears},

		{name: "a WebSocket of another site", ask: upgrades("https://evil.example"),
			want: verdict{403, "", "upgrade_origin", false}, more: keeps},
		{name: "a WebSocket of nobody", ask: upgrades(""), want: verdict{403, "", "upgrade_origin", false}},
		{name: "a WebSocket of its own pages", ask: upgrades(origin), want: passes},
		{name: "a WebSocket of a trusted site", change: func(g *gate) { g.settings.TrustedOrigins = []string{"https://friend.example"} },
			ask: upgrades("https://friend.example"), want: passes},

		{name: "its key was withdrawn, and nobody asks", ask: loggedIn(withdrawn), want: passes},
		{name: "its key was withdrawn", change: func(g *gate) { g.settings.Reverify = true }, ask: loggedIn(withdrawn), want: goesOn,
			calls: calls{provider.JWKS: 1}, more: clears},
		{name: "verified again", change: func(g *gate) { g.settings.Reverify = true }, ask: loggedIn(nil), want: passes},
		{name: "verified again, while the issuer is away", change: func(g *gate) { g.settings.Reverify = true },
			ask:  loggedIn(func(g *gate) { g.cut() }),
			want: passes},
	})
}

// withdrawn makes an issuer withdraw its keys, and empties the gate's cache.
func withdrawn(g *gate) {
	g.issuer.RotateKeys(false)
	g.deps.Clients[0].Issuer().Forget()
	g.warm()
	g.clock.advance(31 * time.Second)
}

func isJohns(g *gate, res *auth.Result) {
	i := res.Identity
	if i.Subject != "john" || i.Flow != "session" || i.Issuer != g.issuer.URL || i.ClientID != "app" || i.Presented {
		g.Errorf("got %+v", i)
	}
	if i.IDToken.String("sub") != "john" || i.AccessToken.String("sub") != "john" || i.Tokens.RefreshToken == "" || len(res.Used) != 0 {
		g.Errorf("got %+v", i)
	}
	if !i.Tokens.Expiry.After(g.clock.now()) {
		g.Errorf("its token has expired at %v", i.Tokens.Expiry)
	}
}

// changed returns a request with another value in john's cookie.
func changed(change func(string) string) func(*gate) *auth.Request {
	return func(g *gate) *auth.Request {
		c := g.login("john")
		return g.carries(as(c, change(c.Value)))
	}
}

// behind returns a request with n cookies of the same name before john's.
func behind(n int) func(*gate) *auth.Request {
	return func(g *gate) *auth.Request {
		c := g.login("john")
		var all []*http.Cookie
		for range n {
			all = append(all, as(c, "x"))
		}
		return g.carries(append(all, c)...)
	}
}

// afterChange returns a request with john's session after the route's settings changed, in a cookie of its new name.
func afterChange(change func(*gate)) func(*gate) *auth.Request {
	return func(g *gate) *auth.Request {
		c := g.login("john")
		id, _ := g.deps.Keyring.OpenID(c.Name, c.Value)
		change(g)
		g.build()
		c.Name = "__Host-" + g.settings.SessionCookieNames(false)[0]
		value, err := g.deps.Keyring.SignID(c.Name, id)
		if err != nil {
			g.Fatal(err)
		}
		return g.carries(as(c, value))
	}
}

func upgrades(from string) func(*gate) *auth.Request {
	return func(g *gate) *auth.Request {
		r := g.carries(g.login("john"))
		r.Header.Set("Upgrade", "websocket")
		if from != "" {
			r.Header.Set("Origin", from)
		}
		return r
	}
}

// TestSessionRefreshOnce: of all requests that find an expired token, one refreshes it.
func TestSessionRefreshOnce(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, browserFlows)
	c := g.login("john")
	w.clock.advance(6 * time.Minute)
	before := w.counted()
	verdicts := make(chan error, 20)
	for range 20 {
		r := g.carries(c)
		go func() {
			_, err := g.chain[:1].Authenticate(r)
			verdicts <- err
		}()
	}
	for range 20 {
		if err := <-verdicts; err != nil {
			t.Error(err)
		}
	}
	if n := w.asked(before)[provider.Token]; n != 1 {
		t.Errorf("%d refreshes, expected 1", n)
	}
}

// TestSessionOfAnotherClient: each client of a route has its own cookie and login, and one's login never counts as the
// other's.
func TestSessionOfAnotherClient(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, browserFlows, func(g *gate) {
		g.settings.Client.ClientID, g.settings.Client.ClientSecret = []string{"app", "second"}, []auth.Secret{"app-secret", "second-secret"}
	})
	first, second := g.login("john"), g.login("jane", "X-Client-Id", "second")
	names := g.settings.SessionCookieNames(false)
	if first.Name != "__Host-"+names[0] || second.Name != "__Host-"+names[1] {
		t.Fatalf("the cookies are %s and %s, expected %q", first.Name, second.Name, names)
	}
	whose := func(name string, r *auth.Request, subject, client string) {
		got, res := g.judge(r)
		switch {
		case subject == "" && got != goesOn:
			t.Errorf("%s: %+v of %+v", name, got, res)
		case subject != "" && (got != passes || res.Identity.Subject != subject || res.Identity.ClientID != client):
			t.Errorf("%s: %+v of %+v, expected %s", name, got, res, subject)
		}
	}
	choosing := func(r *auth.Request, client string) *auth.Request {
		r.Header.Set("X-Client-Id", client)
		return r
	}
	whose("the first's", g.carries(first), "john", "app")
	whose("the second's", g.carries(second), "jane", "second")
	whose("both", g.carries(first, second), "john", "app")
	whose("both, and the second is chosen", choosing(g.carries(first, second), "second"), "jane", "second")
	whose("both, and the second is chosen by number", choosing(g.carries(first, second), "2"), "jane", "second")
	whose("both, and nobody is chosen", choosing(g.carries(first, second), "3"), "john", "app")
	whose("the first's in the second's cookie", g.carries(as(second, first.Value)), "", "")
	whose("the first's in the second's cookie, chosen", choosing(g.carries(as(second, first.Value)), "second"), "", "")

	id, ok := g.deps.Keyring.OpenID(first.Name, first.Value)
	if !ok {
		t.Fatal("the cookie doesn't open")
	}
	resigned, err := g.deps.Keyring.SignID(second.Name, id)
	if err != nil {
		t.Fatal(err)
	}
	whose("the first's session, signed for the second's cookie", g.carries(as(second, resigned)), "", "")
}

// TestSessionStoreAway: while its store is unavailable no cookie is cleared, and no login begins.
func TestSessionStoreAway(t *testing.T) {
	w := newWorld(t)
	server := redistest.Start(t)
	g := w.newGate(t, browserFlows, func(g *gate) {
		g.settings.Session.Storage, g.settings.Session.Redis = "redis", server.Settings()
		g.settings.Session.NearCache = 0 // with copies, the first requests pass until the gate notices that messages stopped
	})
	c := g.login("john")
	g.expect(row{ask: always(g.carries(c)), want: passes, more: isJohns})
	server.Kill()
	lost := verdict{503, "temporarily_unavailable", "session_store_unavailable", true}
	g.expect(row{ask: always(g.carries(c)), want: lost, more: keeps})
	g.expect(row{ask: always(g.carries(as(c, "x"))), want: goesOn, more: clears})
	g.expect(row{ask: always(g.carries()), want: goesOn})
	server.Restart(t)
	g.expect(row{ask: always(g.carries(c)), want: goesOn, more: clears}) // Redis lost it
}

// TestSessionReplaced: a request with the previous cookie does not clear the new one.
func TestSessionReplaced(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, browserFlows)
	old := g.login("john")
	g.expect(row{ask: always(g.carries(old)), want: passes})
	next := g.login("jane", "Cookie", old.Name+"="+old.Value)
	g.expect(row{ask: always(g.carries(old)), want: goesOn, more: keeps})
	g.expect(row{ask: always(g.carries(next)), want: passes})
}

// other returns a text of two characters of base64url that isn't the given one.
func other(text string) string {
	if text == "AA" {
		return "BB"
	}
	return "AA"
}
