package flow_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/redis/redistest"
)

// logsOut sends the request of a person who logs out, with cookies.
func (g *gate) logsOut(cookies ...*http.Cookie) (*auth.Result, error) {
	g.Helper()
	r := g.request("POST /oauth2/logout", "Sec-Fetch-Site", "same-origin", "Accept", "text/html")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	return g.endpoint("logout", r)
}

// stateOf returns the state in the address of the provider's logout, and the cookie of the logout.
func stateOf(t *testing.T, res *auth.Result) (string, *http.Cookie) {
	t.Helper()
	u, err := url.Parse(res.Answer.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range setIn(res.Answer.Header) {
		if strings.HasSuffix(c.Name, "_logout") && strings.HasPrefix(c.Name, "__Host-authorization_") {
			if c.SameSite != http.SameSiteLaxMode || !c.HttpOnly || !c.Secure || c.MaxAge != 600 {
				t.Errorf("the cookie is %s", c)
			}
			return u.Query().Get("state"), c
		}
	}
	return u.Query().Get("state"), nil
}

func returnsTo(uri ...string) func(*gate) {
	return func(g *gate) { g.settings.LogoutRedirectURI, g.deps.Paths = uri, []string{"/"} }
}

// comesBack returns the result of the browser's way back from the provider; nil if the request is none.
func (g *gate) comesBack(line string, c *http.Cookie, header ...string) (*auth.Result, error) {
	r := g.request(line, "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	for n := 0; n < len(header); n += 2 {
		r.Header.Set(header[n], header[n+1])
	}
	if c != nil {
		r.AddCookie(c)
	}
	for _, e := range g.chain.Endpoints() {
		if e.Matches != nil && e.Matches(r) {
			return e.Serve(r)
		}
	}
	return nil, nil
}

// TestLogoutState: the logout request has a state and the client's ID, and the way back must have the state. A wrong or absent one is 400,
// after the login has ended.
func TestLogoutState(t *testing.T) {
	g := newWorld(t).newGate(t, browserFlows, returnsTo("/bye?a=b"))
	john := g.login("john")
	res, err := g.logsOut(john)
	if err != nil {
		t.Fatal(err)
	}
	state, c := stateOf(t, res)
	if state == "" || c == nil || strings.Contains(c.Value, state) ||
		!strings.Contains(res.Answer.Header.Get("Location"), "client_id=app") {
		t.Fatalf("led to %s with the cookie %s", res.Answer.Header.Get("Location"), c)
	}
	if g.isLoggedIn(john) {
		t.Error("the login is alive")
	}
	good := "GET /bye?a=b&state=" + state
	for _, row := range []struct {
		name, line string
		cookie     *http.Cookie
		header     []string
		status     int // 0: the request goes to the upstream
	}{
		{"good", good, c, nil, 303},
		{"wrong", "GET /bye?a=b&state=x", c, nil, 400},
		{"absent", "GET /bye?a=b", c, nil, 400},
		{"empty", "GET /bye?a=b&state=", c, nil, 400},
		{"twice", good + "&state=" + state, c, nil, 400},
		{"a link of the own pages", "GET /bye", c, []string{"Sec-Fetch-Site", "same-origin"}, 0},
		{"another page", "GET /other?state=x", c, nil, 0},
		{"a form", "POST /bye?state=x", c, nil, 0},
		{"an image", "GET /bye?state=x", c, []string{"Sec-Fetch-Dest", "image"}, 0},
		{"no logout is under way", "GET /bye?state=x", nil, nil, 0},
		{"a changed cookie", "GET /bye?state=x", as(c, c.Value[:len(c.Value)-2]+"AA"), nil, 0},
	} {
		res, err := g.comesBack(row.line, row.cookie, row.header...)
		switch {
		case err != nil:
			if e := auth.AsError(err); e.Status != row.status || e.Reason != "logout_state" || len(setIn(e.Header)) != 1 ||
				setIn(e.Header)[0].MaxAge >= 0 || e.Link != origin+"/bye?a=b" {
				t.Errorf("%s: %+v", row.name, e)
			}
		case res == nil:
			if row.status != 0 {
				t.Errorf("%s: it went to the upstream", row.name)
			}
		case res.Answer.Status != row.status || res.Answer.Header.Get("Location") != origin+"/bye?a=b" || setIn(res.Header)[0].MaxAge >= 0:
			t.Errorf("%s: %+v %+v", row.name, res.Answer, res.Header)
		}
	}
	again, err := g.endpoint("logout", func() *auth.Request { // a second tab
		r := g.request("POST /oauth2/logout", "Sec-Fetch-Site", "same-origin")
		r.AddCookie(c)
		return r
	}())
	if err != nil {
		t.Fatal(err)
	}
	if other, _ := stateOf(t, again); other != state {
		t.Errorf("a second tab has another state: %s, %s", state, other)
	}
	g.clock.advance(10 * time.Minute)
	if res, err := g.comesBack(good, c); res != nil || err != nil {
		t.Errorf("after ten minutes: %+v, %v", res, err)
	}
}

// TestLogoutStateIsSeen: a logout request has a state only if the gate sees the browser come back.
func TestLogoutStateIsSeen(t *testing.T) {
	w := newWorld(t)
	for uri, seen := range map[string]bool{
		"/":                             true,
		"/app/bye":                      true,
		origin:                          true,
		origin + "/bye":                 true,
		"https://other.example/bye":     false,
		"http://app.example/bye":        false,
		"/bye?state=x":                  false,
		"https://app.example:8443/bye":  false,
		"https://app.example.evil/bye?": false,
	} {
		g := w.newGate(t, browserFlows, returnsTo(uri))
		res, err := g.logsOut(g.login("john"))
		if err != nil {
			t.Fatal(err)
		}
		if state, c := stateOf(t, res); (state != "") != seen || (c != nil) != seen {
			t.Errorf("%s: the state is %q, the cookie %v", uri, state, c)
		}
	}
	g := w.newGate(t, browserFlows, returnsTo("/bye"), func(g *gate) { g.deps.Paths = []string{"/app"} })
	res, err := g.logsOut(g.login("john"))
	if err != nil {
		t.Fatal(err)
	}
	if state, c := stateOf(t, res); state != "" || c != nil {
		t.Errorf("a page of another route: the state is %q, the cookie %v", state, c)
	}
}

// TestLogoutOfTwoIssuers: in one browser, a logout ends the logins of both issuers of the route, and the browser has one state.
func TestLogoutOfTwoIssuers(t *testing.T) {
	w, w2 := newWorld(t), newWorld(t)
	w2.clock = w.clock
	one, two := w.newGate(t, browserFlows, returnsTo("/bye")), w2.newGate(t, browserFlows, returnsTo("/bye"))
	here, there := one.login("john"), two.login("john")
	both := multiIssuer(one, two)
	res, err := both.logsOut(here, there)
	if err != nil {
		t.Fatal(err)
	}
	if cookies := setIn(res.Answer.Header); len(cookies) != 1 {
		t.Errorf("the answer sets %v", cookies)
	}
	state, c := stateOf(t, res)
	if res, err := both.comesBack("GET /bye?state="+state, c); err != nil || res.Answer.Status != http.StatusSeeOther {
		t.Errorf("the way back: %+v, %v", res, err)
	}
	if one.isLoggedIn(here) || two.isLoggedIn(there) {
		t.Error("a login is alive")
	}
}

// TestLogoutWithStoreAway: while the store can't be reached a logout is 503, and the cookie is cleared all the same. So it is for the
// other cookies of the browser.
func TestLogoutWithStoreAway(t *testing.T) {
	w, w2 := newWorld(t), newWorld(t)
	server := redistest.Start(t)
	one := w.newGate(t, browserFlows, func(g *gate) {
		g.settings.Session.Storage, g.settings.Session.Redis = "redis", server.Settings()
	})
	two := w2.newGate(t, browserFlows)
	here, there := one.login("john"), two.login("john")
	alone, other := one.chain, two.chain
	both := multiIssuer(one, two)
	server.Kill()
	for name, chain := range map[string]auth.Chain{"one issuer": alone, "several issuers": both.chain} {
		g := *one
		g.chain = chain
		_, err := g.logsOut(here, there)
		e := auth.AsError(err)
		if err == nil || e.Status != 503 || e.RetryAfter == 0 || e.Link != origin+"/oauth2/logout" {
			t.Fatalf("%s: %v", name, err)
		}
		clears(&g, &auth.Result{Header: e.Header})
		if want := map[string]int{"one issuer": 1, "several issuers": 2}[name]; len(setIn(e.Header)) != want {
			t.Errorf("%s: the cookies are %v", name, setIn(e.Header))
		}
	}
	if two.chain = other; two.isLoggedIn(there) {
		t.Error("the second issuer's login is alive, though its store can be reached")
	}
}

// TestLogoutOfAnotherLogin: a logout doesn't end a login of another client that a cookie of the same name holds.
func TestLogoutOfAnotherLogin(t *testing.T) {
	g := newWorld(t).newGate(t, browserFlows)
	john := g.login("john")
	id, _ := g.deps.Keyring.OpenID(john.Name, john.Value)
	g.settings.Client.ClientID = []string{"second"}
	g.build()
	name := "__Host-" + g.settings.SessionCookieNames(false)[0]
	value, err := g.deps.Keyring.SignID(name, id)
	if err != nil {
		t.Fatal(err)
	}
	res, err := g.logsOut(&http.Cookie{Name: name, Value: value})
	if err != nil || res.Answer.Reason != "logout_without_session" {
		t.Errorf("got %+v, %v", res, err)
	}
	clears(g, res)
	if _, err := g.deps.Sessions.Peek(t.Context(), id); err != nil {
		t.Errorf("the other client's login: %v", err)
	}
}
