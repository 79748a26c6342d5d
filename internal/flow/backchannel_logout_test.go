package flow_test

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/provider"
	"sallyport/internal/redis/redistest"
	"sallyport/internal/session"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// endpoint lets an endpoint of the chain serve a request.
func (g *gate) endpoint(name string, r *auth.Request) (*auth.Result, error) {
	g.Helper()
	for _, e := range g.chain.Endpoints() {
		if e.Name == name && (e.Matches == nil || e.Matches(r)) {
			return e.Serve(r)
		}
	}
	g.Fatalf("the chain has no endpoint %s for %s %s", name, r.Method, r.URL)
	return nil, nil
}

// status returns the status of an endpoint's answer, or of its refusal.
func (g *gate) status(name string, r *auth.Request) int {
	g.Helper()
	res, err := g.endpoint(name, r)
	if err != nil {
		return auth.AsError(err).Status
	}
	return res.Answer.Status
}

// logoutForm returns a back-channel logout request with a body.
func (g *gate) logoutForm(body string) *auth.Request {
	return g.request("POST /oauth2/backchannel-logout", "Content-Type", "application/x-www-form-urlencoded", body)
}

// hears returns the status of the answer to a logout token.
func (g *gate) hears(token string) int {
	g.Helper()
	return g.status("backchannel-logout", g.logoutForm(url.Values{"logout_token": {token}}.Encode()))
}

// isLoggedIn reports whether a cookie authenticates a request.
func (g *gate) isLoggedIn(c *http.Cookie) bool {
	g.Helper()
	got, _ := g.judge(g.carries(c))
	return got == passes
}

// TestLogoutToken has a row for each clause about logout tokens: a good one ends john's login, any other ends nothing.
func TestLogoutToken(t *testing.T) {
	w, stranger := newWorld(t), newWorld(t)
	now := func(d time.Duration) int64 { return w.clock.now().Add(d).Unix() }
	without := func(name string) map[string]any { return map[string]any{name: nil} }
	for name, c := range map[string]struct {
		claims map[string]any
		opts   []provider.SignOption
		token  func() string // replaces the logout token
		want   int           // 0: 400
		lives  bool          // with 200: it names an earlier login
	}{
		"good":                       {want: 200},
		"typ JWT":                    {opts: []provider.SignOption{provider.WithHeader("typ", "JWT")}, want: 200},
		"typ application/logout+jwt": {opts: []provider.SignOption{provider.WithHeader("typ", "application/logout+jwt")}, want: 200},
		"no typ":                     {opts: []provider.SignOption{provider.WithHeader("typ", nil)}, want: 200},
		"typ at+jwt":                 {opts: []provider.SignOption{provider.WithHeader("typ", "at+jwt")}},
		"crit":                       {opts: []provider.SignOption{provider.WithHeader("crit", []string{"x"})}},
		"alg none":                   {opts: []provider.SignOption{provider.WithAlg("none")}},
		"HS256 with the client's secret": {opts: []provider.SignOption{
			provider.WithAlg("HS256"), provider.WithKey([]byte("app-secret")),
		}},
		"another alg than that of ID token": {opts: []provider.SignOption{provider.WithAlg("ES256")}},
		"signed by another issuer": {token: func() string {
			return stranger.issuer.LogoutToken("john", "app", map[string]any{"iss": w.issuer.URL})
		}},
		"of another issuer":  {token: func() string { return stranger.issuer.LogoutToken("john", "app", nil) }},
		"an ID token":        {token: func() string { return w.issuer.IDToken("john", "app", nil) }},
		"an access token":    {token: func() string { return w.issuer.AccessToken("john", "app", nil) }},
		"no JWT":             {token: func() string { return "x.y.z" }},
		"too long":           {claims: map[string]any{"x": strings.Repeat("x", 16<<10)}},
		"no iss":             {claims: without("iss")},
		"no aud":             {claims: without("aud")},
		"aud of another":     {claims: map[string]any{"aud": "second"}},
		"aud as a list":      {claims: map[string]any{"aud": []string{"app"}}, want: 200},
		"aud of two":         {claims: map[string]any{"aud": []string{"app", "second"}}},
		"no iat":             {claims: without("iat")},
		"iat in the future":  {claims: map[string]any{"iat": now(2 * time.Minute)}},
		"iat is a text":      {claims: map[string]any{"iat": "today"}},
		"expired":            {claims: map[string]any{"exp": now(-time.Second)}},
		"old, with exp":      {claims: map[string]any{"iat": now(-time.Hour)}, want: 200, lives: true},
		"young, without exp": {claims: map[string]any{"exp": nil, "iat": now(-3*time.Minute + time.Second)}, want: 200, lives: true},
		"old, without exp":   {claims: map[string]any{"exp": nil, "iat": now(-3 * time.Minute)}},
		"not valid yet":      {claims: map[string]any{"nbf": now(2 * time.Minute)}},
		"no jti":             {claims: without("jti")},
		"jti is a number":    {claims: map[string]any{"jti": 1}},
		"no events":          {claims: without("events")},
		"events is a list":   {claims: map[string]any{"events": []string{logoutEvent}}},
		"another event":      {claims: map[string]any{"events": map[string]any{"http://schemas.openid.net/event/other": map[string]any{}}}},
		"event is no object": {claims: map[string]any{"events": map[string]any{logoutEvent: true}}},
		"more events": {want: 200, claims: map[string]any{
			"events": map[string]any{logoutEvent: map[string]any{}, "x": map[string]any{}},
		}},
		"nonce":           {claims: map[string]any{"nonce": "x"}},
		"empty nonce":     {claims: map[string]any{"nonce": ""}},
		"no sub, no sid":  {claims: without("sub")},
		"sub is a number": {claims: map[string]any{"sub": 1, "sid": "x"}},
		"sub too long":    {claims: map[string]any{"sub": strings.Repeat("x", 256)}},
		"sid is empty":    {claims: map[string]any{"sid": ""}},
		"sid is a list":   {claims: map[string]any{"sid": []string{"x"}}},
		"sid too long":    {claims: map[string]any{"sid": strings.Repeat("x", 256)}},
	} {
		t.Run(name, func(t *testing.T) {
			g := w.newGate(t, browserFlows)
			g.warm()
			john := g.login("john")
			token := ""
			if c.token != nil {
				token = c.token()
			} else {
				token = w.issuer.LogoutToken("john", "app", c.claims, c.opts...)
			}
			want := cmp.Or(c.want, http.StatusBadRequest)
			if got := g.hears(token); got != want {
				t.Errorf("answered %d, expected %d; the log:\n%s", got, want, g.log)
			}
			if lives := g.isLoggedIn(john); lives != (c.lives || c.want != http.StatusOK) {
				t.Errorf("the login is alive: %v", lives)
			}
			if strings.Contains(g.log.String(), token) {
				t.Errorf("the log has the token:\n%s", g.log)
			}
		})
	}
}

// TestLogoutTokenIsVerified: the switches that weaken the verification of other tokens don't concern logout tokens.
func TestLogoutTokenIsVerified(t *testing.T) {
	w, stranger := newWorld(t), newWorld(t)
	g := w.newGate(t, browserFlows, func(g *gate) {
		g.settings.Client.VerifySignature, g.settings.Client.VerifyClaims = false, false
		g.settings.Client.IgnoreSignature = []string{"authorization_code"}
	})
	john := g.login("john")
	for name, token := range map[string]string{
		"forged":            stranger.issuer.LogoutToken("john", "app", map[string]any{"iss": w.issuer.URL}),
		"expired":           w.issuer.LogoutToken("john", "app", map[string]any{"exp": 1000}),
		"of another issuer": w.issuer.LogoutToken("john", "app", map[string]any{"iss": "https://other.example"}),
	} {
		if got := g.hears(token); got != http.StatusBadRequest || !g.isLoggedIn(john) {
			t.Errorf("%s: answered %d", name, got)
		}
	}
}

// TestLogoutRequest: a back-channel logout is a POST of a form with one logout_token, and its answers are never cached.
func TestLogoutRequest(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, browserFlows)
	john := g.login("john")
	token := w.issuer.LogoutToken("john", "app", nil)
	one := "logout_token=" + token
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	for name, c := range map[string]struct {
		request *auth.Request
		want    int
	}{
		"GET":              {g.request("GET /oauth2/backchannel-logout?" + one), 405},
		"no body":          {g.logoutForm(""), 400},
		"in the query":     {g.request("POST /oauth2/backchannel-logout?"+one, append(form, "a=b")...), 400},
		"twice":            {g.logoutForm(one + "&" + one), 400},
		"twice, one empty": {g.logoutForm(one + "&logout_token="), 400},
		"encoded twice":    {g.logoutForm("logout_token=" + url.QueryEscape(strings.ReplaceAll(token, ".", "%2E"))), 400},
		"JSON": {g.request("POST /oauth2/backchannel-logout", "Content-Type", "application/json",
			`{"logout_token":"`+token+`"}`), 400},
		"no type":      {g.request("POST /oauth2/backchannel-logout", one), 400},
		"compressed":   {g.request("POST /oauth2/backchannel-logout", append(form, "Content-Encoding", "gzip", one)...), 400},
		"a huge body":  {g.logoutForm(one + "&a=" + strings.Repeat("b", 64<<10)), 413},
		"the bearer's": {g.request("POST /oauth2/backchannel-logout", append(form, "Authorization", "Bearer "+token, "")...), 400},
	} {
		res, err := g.endpoint("backchannel-logout", c.request)
		switch {
		case err != nil && auth.AsError(err).Status != c.want, err == nil && res.Answer.Status != c.want:
			t.Errorf("%s: %+v, %v, expected %d", name, res, err, c.want)
		case err == nil && res.Answer.Header.Get("Cache-Control") != "no-store":
			t.Errorf("%s: the header is %v", name, res.Answer.Header)
		case c.want == 400 && !strings.HasPrefix(string(res.Answer.Body), `{"error":"invalid_request","error_description":`):
			t.Errorf("%s: the body is %s", name, res.Answer.Body)
		}
	}
	if !g.isLoggedIn(john) {
		t.Error("one of them ended the login")
	}
	res, err := g.endpoint("backchannel-logout", g.logoutForm(one+"&a=b"))
	if err != nil || res.Answer.Status != http.StatusOK || res.Answer.Header.Get("Cache-Control") != "no-store" || g.isLoggedIn(john) {
		t.Errorf("with another parameter: %+v, %v", res, err)
	}
	if v, _ := g.judge(g.bearer(token)); v != invalid("token_not_accepted") { // this route has no flow for access tokens
		t.Errorf("as a bearer token it is %+v", v)
	}
	bearer := w.newGate(t, "session bearer")
	if v, _ := bearer.judge(bearer.bearer(token)); v != invalid("not_an_access_token") {
		t.Errorf("as a bearer token it is %+v", v)
	}
}

// TestLogoutTokenOnce: a logout token that was used ends nothing that began since, and is answered as before.
func TestLogoutTokenOnce(t *testing.T) {
	w := newWorld(t)
	g := w.newGate(t, browserFlows)
	first := g.login("john")
	token := w.issuer.LogoutToken("john", "app", nil)
	if got := g.hears(token); got != 200 || g.isLoggedIn(first) {
		t.Fatalf("answered %d", got)
	}
	w.clock.advance(time.Second)
	second := g.login("john")
	if got := g.hears(token); got != 200 || !g.isLoggedIn(second) {
		t.Errorf("the second time: answered %d", got)
	}
	if got := g.hears(w.issuer.LogoutToken("john", "app", map[string]any{"jti": "other"})); got != 200 {
		t.Errorf("another one: answered %d", got)
	}
}

// TestLogoutOfReplicas: a logout token ends a login at every gate that shares the store, and in other stores of the process. While the
// store or the issuer's keys can't be reached, the answer is 503.
func TestLogoutOfReplicas(t *testing.T) {
	w := newWorld(t)
	server := redistest.Start(t)
	inRedis := func(g *gate) {
		g.settings.Session.Storage, g.settings.Session.Redis = "redis", server.Settings()
	}
	one, two := w.newGate(t, browserFlows, inRedis), w.newGate(t, browserFlows, inRedis)
	other := w.newGate(t, browserFlows) // another route of the second's process, with sessions in memory
	two.deps.AllSessions = func() []*session.Sessions { return []*session.Sessions{two.deps.Sessions, other.deps.Sessions} }
	two.build()
	john, elsewhere := one.login("john"), other.login("john")
	if !two.isLoggedIn(john) {
		t.Fatal("the gates don't share sessions")
	}
	token := w.issuer.LogoutToken("john", "app", nil)
	one.deps.Clients[0].Issuer().Forget()
	w.cut()
	if got := one.hears(token); got != 503 || !two.isLoggedIn(john) {
		t.Errorf("without keys: answered %d", got)
	}
	w.mend()
	w.clock.advance(30 * time.Second)
	server.Kill()
	two.warm()
	res, err := two.endpoint("backchannel-logout", two.logoutForm("logout_token="+token))
	if e := auth.AsError(err); err == nil || e.Status != 503 || e.RetryAfter == 0 {
		t.Errorf("without Redis: %+v, %v", res, err)
	}
	server.Restart(t)
	john, jane := one.login("john"), one.login("jane") // Redis lost them
	if got := two.hears(w.issuer.LogoutToken("john", "app", nil)); got != 200 {
		t.Errorf("answered %d; the log:\n%s", got, two.log)
	}
	if one.isLoggedIn(john) || two.isLoggedIn(john) || other.isLoggedIn(elsewhere) || !one.isLoggedIn(jane) {
		t.Errorf("alive: %v at the first, %v at the second, %v in the other store; jane %v",
			one.isLoggedIn(john), two.isLoggedIn(john), other.isLoggedIn(elsewhere), one.isLoggedIn(jane))
	}
	if !strings.Contains(two.log.String(), "ended=2") {
		t.Errorf("the log:\n%s", two.log)
	}
}

// TestLogoutOfOneClient: of the clients and the issuers of one browser, a logout ends the login of its own alone.
func TestLogoutOfOneClient(t *testing.T) {
	w, w2 := newWorld(t), newWorld(t)
	w2.clock = w.clock
	twoClients := func(g *gate) {
		g.settings.Client.ClientID, g.settings.Client.ClientSecret = []string{"app", "second"}, []auth.Secret{"app-secret", "second-secret"}
	}
	g := w.newGate(t, browserFlows, twoClients)
	app, second := g.login("john"), g.login("john", "X-Client-Id", "second")
	if got := g.hears(w.issuer.LogoutToken("john", "second", nil)); got != 200 || !g.isLoggedIn(app) || g.isLoggedIn(second) {
		t.Errorf("several clients: answered %d, alive: app %v, second %v", got, g.isLoggedIn(app), g.isLoggedIn(second))
	}

	one, two := w.newGate(t, browserFlows), w2.newGate(t, browserFlows)
	here, there := one.login("john"), two.login("john")
	both := multiIssuer(one, two)
	if got := both.hears(w2.issuer.LogoutToken("john", "app", nil)); got != 200 || !both.isLoggedIn(here) {
		t.Errorf("several issuers: answered %d, the first's is alive: %v", got, both.isLoggedIn(here))
	}
	if two.isLoggedIn(there) {
		t.Error("the second issuer's login is alive")
	}
	if got := both.hears(w.issuer.LogoutToken("john", "app", map[string]any{"iss": w2.issuer.URL})); got != 400 {
		t.Errorf("the second's, signed by the first: answered %d", got)
	}
}

// TestLogoutWithoutIndex: where the store can't find logins, both endpoints answer 404.
func TestLogoutWithoutIndex(t *testing.T) {
	g := newWorld(t).newGate(t, browserFlows, func(g *gate) { g.settings.Session.Storage = "cookie" })
	for _, name := range []string{"backchannel-logout", "frontchannel-logout"} {
		if got := g.status(name, g.request("GET /oauth2/"+name+"?iss=x&sid=y")); got != http.StatusNotFound {
			t.Errorf("%s answers %d", name, got)
		}
	}
}
