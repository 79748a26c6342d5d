package flow_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
)

// rememberIn returns the remember cookie that a header sets.
func rememberIn(t *testing.T, h http.Header) *http.Cookie {
	t.Helper()
	for _, c := range setIn(h) {
		if strings.HasPrefix(c.Name, "__Host-remember_") && c.MaxAge > 0 {
			return c
		}
	}
	t.Fatalf("no remember cookie in %v", h)
	return nil
}

// remembering returns a gate that remembers sessions, and the two cookies of john's session.
func (w *world) remembering(t *testing.T, changes ...func(*gate)) (g *gate, c, remember *http.Cookie) {
	t.Helper()
	on := func(g *gate) { g.settings.Session.Remember, g.settings.Session.RollingTimeout = true, 4*time.Minute }
	g = w.newGate(t, browserFlows, append(changes, on)...)
	c = g.login("john")
	w.clock.advance(3 * time.Minute)
	_, res := g.judge(g.carries(c)) // a rotation sets both cookies
	return g, g.sessionIn(res.Header), rememberIn(t, res.Header)
}

// timedOut is longer than a session lives. It is shorter than the time after which the issuer's documents are fetched again in
// the background, which a row would count as its own.
const timedOut = 20 * time.Minute

// TestSessionRemember: a session that has timed out, or whose cookie the browser has lost, goes on by its remember cookie, which works
// once.
func TestSessionRemember(t *testing.T) {
	w := newWorld(t)
	g, c, remember := w.remembering(t)
	g.expect(row{ask: always(g.carries(as(remember, "x"))), want: goesOn, more: forgets(remember)})
	g.expect(row{ask: always(g.carries(as(c, remember.Value))), want: goesOn, more: clears})
	w.clock.advance(timedOut)
	g.expect(row{ask: always(g.carries(c)), want: goesOn, more: clears})

	evil := g.carries(c, remember)
	evil.Header.Set("Upgrade", "websocket")
	evil.Header.Set("Origin", "https://evil.example")
	g.expect(row{ask: always(evil), want: verdict{403, "", "upgrade_origin", false}}) // it uses nothing up

	var next *http.Cookie
	g.resumes(g.carries(c, remember), func(res *auth.Result) { c, next = g.sessionIn(res.Header), rememberIn(t, res.Header) })
	g.expect(row{ask: always(g.carries(c)), want: passes})
	g.expect(row{ask: always(g.carries(remember)), want: passes}) // at the same time
	w.clock.advance(11 * time.Second)
	g.expect(row{ask: always(g.carries(remember)), want: goesOn, more: keeps})
	g.expect(row{ask: always(g.carries(remember)), want: goesOn, more: remembers(remember)}) // the browser has a newer one
	g.resumes(g.carries(next), nil)
	w.clock.advance(time.Minute)
	g.expect(row{ask: always(g.carries(remember)), want: goesOn, more: forgets(remember)})
}

// forgets asserts that the response deletes a remember cookie, remembers that it does not.
func forgets(c *http.Cookie) func(*gate, *auth.Result) {
	return func(g *gate, res *auth.Result) { g.forgetting(c, res, true) }
}

func remembers(c *http.Cookie) func(*gate, *auth.Result) {
	return func(g *gate, res *auth.Result) { g.forgetting(c, res, false) }
}

func (g *gate) forgetting(c *http.Cookie, res *auth.Result, want bool) {
	g.Helper()
	cleared := false
	for _, set := range setIn(res.Header) {
		cleared = cleared || set.Name == c.Name && set.MaxAge < 0 && set.Secure && set.Path == "/"
	}
	if cleared != want {
		g.Errorf("the remember cookie is cleared: %v, in %v", cleared, res.Header)
	}
}

// TestSessionForgotten: a remember cookie is cleared when its time is over, and when it holds the login of another route. One that a late
// answer would clear stays if the browser has a newer one by then.
func TestSessionForgotten(t *testing.T) {
	w := newWorld(t)
	g, _, remember := w.remembering(t, func(g *gate) { g.settings.Session.RememberRollingTimeout = time.Hour })
	reviewer := g.chain[0].Flow.(interface {
		Review(*auth.Request, http.Header, bool) http.Header
	})
	late := g.carries(remember)
	clearing := http.Header{"Set-Cookie": {remember.Name + "=; Path=/; Max-Age=0"}}
	sends := func(want int, what string) {
		t.Helper()
		if got := len(reviewer.Review(late, clearing, true)["Set-Cookie"]); got != want {
			t.Errorf("%s: a late answer sends %d lines", what, got)
		}
	}
	sends(0, "the session goes on")
	w.clock.advance(30 * time.Minute)
	g.resumes(g.carries(remember), nil)
	w.clock.advance(11 * time.Second)
	sends(0, "the browser has a newer cookie")
	w.clock.advance(time.Minute)
	sends(1, "long after that")
	late = g.carries(as(remember, "x"))
	sends(0, "a cookie that doesn't open")

	g, _, remember = w.remembering(t, func(g *gate) { g.settings.Session.RememberRollingTimeout = timedOut })
	w.clock.advance(timedOut)
	g.expect(row{ask: always(g.carries(remember)), want: goesOn, more: forgets(remember)})

	g, _, remember = w.remembering(t)
	id, _ := g.deps.Keyring.OpenID(remember.Name, remember.Value)
	g.settings.Client.ClientID, g.settings.Client.ClientSecret = []string{"second"}, []auth.Secret{"second-secret"}
	g.build()
	foreign := &http.Cookie{Name: rememberIn(t, g.loginHeaders("jane")[0]).Name}
	value, err := g.deps.Keyring.SignID(foreign.Name, id)
	if err != nil {
		t.Fatal(err)
	}
	g.expect(row{ask: always(g.carries(as(foreign, value))), want: goesOn, more: forgets(foreign)})
}

// resumes expects that a request passes with john's session. The provider may be asked to refresh it.
func (g *gate) resumes(r *auth.Request, more func(*auth.Result)) {
	g.Helper()
	got, res := g.judge(r)
	if got != passes {
		g.Fatalf("got %+v", got)
	}
	if isJohns(g, res); more != nil {
		more(res)
	}
}

// TestSessionRememberAway: a session that is resumed while the issuer is away gets its new cookies with the 503.
func TestSessionRememberAway(t *testing.T) {
	w := newWorld(t)
	g, _, remember := w.remembering(t)
	w.clock.advance(timedOut)
	w.cut()
	got, res := g.judge(g.carries(remember))
	if got != away {
		t.Fatalf("got %+v", got)
	}
	remember = rememberIn(t, res.Header)
	w.mend()
	w.clock.advance(11 * time.Second)
	g.resumes(g.carries(remember), nil)
}

// TestSessionRememberEnds: a logout, a login and the end of the grant end a remembered session. A request from elsewhere doesn't, where the
// session is bound.
func TestSessionRememberEnds(t *testing.T) {
	for name, end := range map[string]func(*gate, *http.Cookie){
		"logout": func(g *gate, remember *http.Cookie) {
			for _, e := range g.chain.Endpoints() {
				if e.Name != "logout" {
					continue
				}
				r := g.carries(remember)
				r.Method = "POST"
				res, err := e.Serve(r)
				cookies := strings.Join(res.Header["Set-Cookie"], "\n")
				if err != nil || res.Answer.Reason != "" || !strings.Contains(cookies, remember.Name+"=; ") {
					t.Errorf("%+v, %v", res, err)
				}
			}
		},
		"login":     func(g *gate, remember *http.Cookie) { g.login("jane", "Cookie", remember.Name+"="+remember.Value) },
		"a refusal": func(g *gate, remember *http.Cookie) { g.issuer.RevokeAll(); g.judge(g.carries(remember)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			g, _, remember := w.remembering(t)
			w.clock.advance(timedOut)
			end(g, remember)
			g.expect(row{ask: always(g.carries(remember)), want: goesOn})
		})
	}
	w := newWorld(t)
	g, _, remember := w.remembering(t, func(g *gate) { g.settings.SessionSettings.Bind = []string{"user-agent"} })
	w.clock.advance(timedOut)
	stolen := g.carries(remember)
	stolen.Header.Set("User-Agent", "thief")
	g.expect(row{ask: always(stolen), want: goesOn})
	g.login("jane", "User-Agent", "thief", "Cookie", remember.Name+"="+remember.Value)
	g.resumes(g.carries(remember), nil)
}
