package authserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/mcp"
)

// asMCP makes the rig's gates MCP servers.
func (r *rig) asMCP() *rig {
	r.route = mcp.Route{
		On: true, Known: []string{"tools", "admin"},
		Settings: mcp.Settings{
			Scopes: []string{"tools"}, AuthorizationServer: "gate", ClientHosts: []string{"any"}, Registration: true, Recheck: time.Hour,
		},
	}
	r.ask = func(_ context.Context, i *auth.Identity) (*auth.Identity, error) { return i, nil }
	return r
}

// onBothAsMCP runs a test over both stores.
func onBothAsMCP(t *testing.T, test func(*rig)) { onBoth(t, func(r *rig) { test(r.asMCP()) }) }

// login makes the user log in once more.
func (g *gate) login(n int) {
	g.user = &auth.Identity{
		Flow: "session", Issuer: "https://idp.example.com", ClientID: "gate", Subject: "john",
		IDToken: auth.Claims{"email": "john@example.com", "groups": []any{"staff"}},
		Tokens: auth.Tokens{
			IDToken: fmt.Sprint("id token ", n), RefreshToken: fmt.Sprint("refresh token ", n), AccessToken: fmt.Sprint("access token ", n),
		},
	}
}

// register registers a client, and returns its client_id.
func (g *gate) register(body string, changes ...change) string {
	g.r.Helper()
	status, answer := g.registration(body, changes...)
	if status != http.StatusCreated || answer.String("client_id") == "" {
		g.r.Fatalf("got %d %v, expected a client", status, answer)
	}
	return answer.String("client_id")
}

func (g *gate) registration(body string, changes ...change) (int, auth.Claims) {
	g.r.Helper()
	changes = append([]change{header("Content-Type", "application/json")}, changes...)
	res, err := g.serve("register", http.MethodPost, "", body, changes...)
	if err != nil {
		g.r.Fatal(err)
	}
	answer := auth.Claims{}
	if err := answer.UnmarshalJSON(res.Answer.Body); err != nil {
		g.r.Fatal(err)
	}
	return res.Answer.Status, answer
}

const toolURI = "https://app.example.com/cb"

// toolAsking returns an authorization request of a client that isn't configured.
func toolAsking(id string, pairs ...string) url.Values {
	return with(with(asking(), "client_id", id, "redirect_uri", toolURI, "scope", ""), pairs...)
}

// tool changes a token request to one of such a client.
func tool(id string, v url.Values) url.Values {
	return with(v, "client_id", id, "client_secret", "", "redirect_uri", toolURI)
}

// consented gets a code for a client with the user's consent.
func (g *gate) consented(ask url.Values) string {
	g.r.Helper()
	a, err := g.browse(ask)
	a, err = g.reply(g.asked(a, err))
	return g.redirected(a, err, ask.Get("redirect_uri")+"?").Get("code")
}

func TestRegistration(t *testing.T) {
	onBothAsMCP(t, func(r *rig) {
		g := r.gate()
		const body = `{"client_name":"Tool","redirect_uris":["https://app.example.com/cb"],"token_endpoint_auth_method":"client_secret_post"}`
		id := g.register(body)
		if again := r.gate().register(body); again != id {
			r.Errorf("the same metadata gives %s, then %s", id, again)
		}
		if other := g.register(strings.Replace(body, "Tool", "Toll", 1)); other == id {
			r.Error("other metadata give the same client")
		}
		g.login(1)
		access, refresh := r.gate().granted(tool(id, redeeming(g.consented(toolAsking(id)))))
		if i := g.alive(access); i.Tokens.Scope != "tools" || i.Introspection["aud"] != origin+base || i.ClientID != id {
			r.Errorf("got %+v", i)
		}
		g.granted(tool(id, refreshing(refresh)))

		// another secret, or no registration any more
		for name, next := range map[string]func(){
			"another secret":  func() {},
			"no registration": func() { r.route.Registration = false },
		} {
			next()
			other := r.gate(func(s *Settings) {
				if name == "another secret" {
					s.Secret = []auth.Secret{"another secret of 32 bytes or more"}
				}
			})
			other.refused(tool(id, refreshing(refresh)), 401, "invalid_client")
			_, err := other.browse(toolAsking(id))
			var e *auth.Error
			if !errors.As(err, &e) || e.Status != 400 || !strings.Contains(e.Description, "add it again") {
				r.Errorf("%s: got %v", name, err)
			}
		}
	})
}

func TestRegistrationsThatAreRefused(t *testing.T) {
	g := memoryRig(t).asMCP().gate()
	long := `"https://app.example.com/` + strings.Repeat("x", 1900) + `"`
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
	}{
		"no JSON":          {"redirect_uris=x", 400, "invalid_client_metadata"},
		"a list":           {"[]", 400, "invalid_client_metadata"},
		"no redirect URIs": {`{"client_name":"Tool"}`, 400, "invalid_redirect_uri"},
		"scripts": {`{"redirect_uris":["javascript:alert(1)","data:text/html,x","vbscript:x","JavaScript://app/%0aalert(1)"]}`,
			400, "invalid_redirect_uri"},
		"files": {`{"redirect_uris":["file://host/x","blob:https://x/y","intent://x","ms-word://x","ftp://host/x"]}`,
			400, "invalid_redirect_uri"},
		"http":             {`{"redirect_uris":["http://app.example.com/cb"]}`, 400, "invalid_redirect_uri"},
		"a fragment":       {`{"redirect_uris":["https://app.example.com/cb#x"]}`, 400, "invalid_redirect_uri"},
		"other grants":     {`{"redirect_uris":["https://a.example/cb"],"grant_types":["client_credentials"]}`, 400, "invalid_client_metadata"},
		"a long client_id": {`{"redirect_uris":[` + long + `]}`, 400, "invalid_client_metadata"},
		"too many": {`{"redirect_uris":["https://a.example/cb"` + strings.Repeat(`,"https://a.example/cb"`, maxRedirectURIs) + `]}`,
			400, "invalid_redirect_uri"},
		"too long":          {`{"x":"` + strings.Repeat("x", maxRegistration) + `"}`, 413, "invalid_client_metadata"},
		"an app's scheme":   {`{"redirect_uris":["cursor://anysphere.cursor-mcp/oauth/callback"]}`, 201, ""},
		"one that is good":  {`{"redirect_uris":["javascript:alert(1)","http://localhost:1234/cb"]}`, 201, ""},
		"a name of control": {`{"client_name":"a\u0000b\nc","redirect_uris":["https://a.example/cb"]}`, 201, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status, answer := g.registration(c.body)
			if status != c.status || answer.String("error") != c.code {
				t.Errorf("got %d %v", status, answer)
			}
		})
	}
}

// One network can register 60 clients, and then one a minute. It locks nobody else out.
func TestAFloodOfRegistrations(t *testing.T) {
	r := memoryRig(t).asMCP()
	g := r.gate()
	for n := range 60 {
		g.register(fmt.Sprintf(`{"redirect_uris":["https://app.example.com/%d"]}`, n), from(fmt.Sprintf("2001:db8::%x", n+1)))
	}
	const one = `{"redirect_uris":["https://app.example.com/cb"]}`
	res, err := g.serve("register", http.MethodPost, "", one, header("Content-Type", "application/json"), from("2001:db8::ffff"))
	if err != nil || res.Answer.Status != http.StatusTooManyRequests || res.Answer.Header.Get("Retry-After") == "" {
		t.Errorf("got %+v, %v", res.Answer, err)
	}
	g.register(one, from("2001:db8:0:1::1"))
	r.pass(time.Minute)
	g.register(one, from("2001:db8::1"))
	if status, _ := g.registration(one, from("2001:db8::1")); status != http.StatusTooManyRequests {
		t.Errorf("got %d", status)
	}
}

// A client with a metadata document: what the authorization endpoint has read is what the token endpoint judges.
func TestAClientWithADocument(t *testing.T) {
	server, fetching := newDocumentServer(t)
	onBothAsMCP(t, func(r *rig) {
		r.fetch = fetching
		id := server.URL + "/client.json"
		server.says(described(id, ""))
		g := r.gate()
		g.process.documents = newDocuments(r.clock.now)
		g.process.documents.reach(fetching)
		before := server.asked.Load()

		g.user = nil // only a user whom the route lets pass causes a fetch
		if _, err := g.browse(toolAsking(id)); !errors.Is(err, auth.ErrNoCredential) {
			r.Errorf("got %v", err)
		}
		g.refused(tool(id, redeeming("sp_c_x")), 400, "invalid_grant")
		if server.asked.Load() != before {
			r.Error("the document was fetched")
		}
		g.login(1)
		a, err := g.browse(toolAsking(id))
		sealed := g.asked(a, err)
		if host := strings.TrimPrefix(server.URL, "https://"); !strings.Contains(a.Page.Text, host) ||
			!strings.Contains(a.Page.Text, "A client") || !strings.Contains(a.Page.Text, "https://app.example.com") ||
			!strings.Contains(a.Page.Text, origin+base) {
			r.Errorf("the page says %s", a.Page.Text)
		}
		a, err = g.reply(sealed)
		code := g.redirected(a, err, toolURI+"?").Get("code")
		server.says("gone", "Content-Type", "text/plain")
		access, refresh := g.granted(tool(id, redeeming(code)))
		g.alive(access)
		r.pass(48 * time.Hour)
		access, _ = g.granted(tool(id, refreshing(refresh)))
		if server.asked.Load() != before+1 {
			r.Errorf("the document was fetched %d times", server.asked.Load()-before)
		}
		if _, err := g.browse(toolAsking(id)); err == nil {
			r.Error("a document that is gone is used")
		}

		// another redirect URI, and a host that may not connect any more
		server.says(described(id, ""))
		g.login(2)
		if _, err := g.browse(toolAsking(id, "redirect_uri", "https://evil.example/cb")); err == nil {
			r.Error("a redirect URI that the document doesn't have is taken")
		}
		r.route.ClientHosts = []string{"claude.ai"}
		other := r.gate()
		if _, err := other.Verify(r.Context(), access); !errors.Is(err, ErrUnknown) {
			r.Errorf("got %v", err)
		}
		if _, err := other.browse(toolAsking(id)); err == nil || !strings.Contains(auth.AsError(err).Description, "may not connect") {
			r.Errorf("got %v", err)
		}
	})
}

func TestDocumentURL(t *testing.T) {
	for id, valid := range map[string]bool{
		"https://claude.ai/oauth/claude-code-client-metadata": true, "https://a.example/x?v=1": true, "https://a.example:8443/x": true,
		"http://a.example/x": false, "https://a.example": false, "https://a.example/": false, "https://a.example/x#y": false,
		"https://u@a.example/x": false, "https://u:p@a.example/x": false, "https://a.example/../x": false, "https://a.example/./x": false,
		"https://A.example/x": false, "https:///x": false, "app": false, "": false, `https://a.example\x`: false,
	} {
		if got := documentURL(id); (got != nil) != valid {
			t.Errorf("%q: got %v", id, got)
		}
	}
	s := &mcp.Settings{ClientHosts: []string{"claude.ai", "local.example:8443"}}
	for id, taken := range map[string]bool{
		"https://claude.ai/x": true, "https://claude.ai:8443/x": true, "https://local.example:8443/x": true, "https://local.example/x": false,
		"https://xclaude.ai/x": false, "https://claude.ai.evil.example/x": false,
	} {
		if got := s.TakesClient(documentURL(id)); got != taken {
			t.Errorf("%s: got %t", id, got)
		}
	}
}

// The redirect URIs of programs match with any port, all others exactly.
func TestRedirectURIsOfPrograms(t *testing.T) {
	c := &client{Client: Client{RedirectURIs: []string{
		"http://localhost/callback", "http://127.0.0.1/callback", "cursor://anysphere.cursor-mcp/oauth/callback",
		"https://claude.ai/api/mcp/auth_callback",
	}}}
	for uri, matches := range map[string]bool{
		"http://localhost:53682/callback": true, "http://127.0.0.1:1/callback": true, "http://localhost/callback": true,
		"http://localhost:53682/other": false, "http://[::1]:1/callback": false, "https://localhost:1/callback": false,
		"http://localhost.evil.example/callback": false, "http://localhost@evil.example/callback": false,
		"cursor://anysphere.cursor-mcp/oauth/callback": true, "cursor://anysphere.cursor-mcp:1/oauth/callback": false,
		"https://claude.ai/api/mcp/auth_callback": true, "https://claude.ai:443/api/mcp/auth_callback": false,
	} {
		if _, got := c.redirectURI(uri); got != matches {
			t.Errorf("%s: got %t", uri, got)
		}
	}
}

// A user is asked for each authorization of a client that isn't configured, whatever the user has allowed before.
func TestConsentIsNeverSilent(t *testing.T) {
	r := memoryRig(t).asMCP()
	cross := header("Sec-Fetch-Site", "cross-site")
	g := r.gate(func(s *Settings) {
		s.Clients = append(s.Clients, Client{ClientID: "cli", Public: true, Consent: false, Scopes: []string{"read"},
			Grants: []string{authorizationCode}, RedirectURIs: []string{"http://127.0.0.1/callback"}})
	})
	id := g.register(`{"redirect_uris":["https://app.example.com/cb"]}`)
	for n := range 2 {
		g.login(n)
		g.consented(toolAsking(id))
	}
	g.login(2)
	a, err := g.browse(toolAsking(id, "prompt", "none"))
	if q := g.redirected(a, err, toolURI); q.Get("error") != "consent_required" {
		t.Errorf("got %v", q)
	}
	cli := toolAsking("cli", "redirect_uri", "http://127.0.0.1:7777/callback", "scope", "read")
	for site, asks := range map[string]bool{"cross-site": true, "same-site": true, "none": false, "same-origin": false} {
		res, err := g.serve("authorize", http.MethodGet, cli.Encode(), "", cross, header("Sec-Fetch-Site", site))
		if err != nil || (res.Answer.Page != nil) != asks {
			t.Errorf("%s: got %+v, %v", site, res, err)
		}
		g.login(3 + len(site))
	}
	loopback := g.register(`{"redirect_uris":["http://127.0.0.1/callback"]}`)
	a, err = g.browse(toolAsking(loopback, "redirect_uri", "http://127.0.0.1:7777/callback"))
	if g.asked(a, err); !strings.Contains(a.Page.Text, "program on this computer") {
		t.Errorf("the page says %s", a.Page.Text)
	}
}

// Scopes that an MCP server doesn't know are left out, and a client that asks for none of those that it knows gets the server's own.
func TestScopesOfMCP(t *testing.T) {
	g := memoryRig(t).asMCP().gate()
	id := g.register(`{"redirect_uris":["https://app.example.com/cb"]}`)
	for n, c := range []struct{ asked, granted string }{
		{"", "tools"}, {"offline_access openid", "tools"}, {"admin claudeai", "admin"}, {"tools admin tools", "tools admin"},
	} {
		g.login(n)
		_, answer := g.post("token", tool(id, redeeming(g.consented(toolAsking(id, "scope", c.asked)))))
		if answer.String("scope") != c.granted {
			t.Errorf("%q: got %v", c.asked, answer)
		}
		_, answer = g.post("token", with(tool(id, refreshing(answer.String("refresh_token"))), "scope", c.asked))
		if answer.String("scope") != c.granted {
			t.Errorf("refresh with %q: got %v", c.asked, answer)
		}
	}
}

// Tokens are for the route alone, whether the client names it or not.
func TestResourceOfMCP(t *testing.T) {
	g := memoryRig(t).asMCP().gate()
	id := g.register(`{"redirect_uris":["https://app.example.com/cb"]}`)
	own := origin + base
	for n, resources := range [][]string{{}, {own}, {own + "/"}, {"HTTPS://GATE.example.com" + base}, {own, own + "/"}} {
		g.login(n)
		ask := toolAsking(id)
		ask["resource"] = resources
		redeem := tool(id, redeeming(g.consented(ask)))
		redeem["resource"] = resources
		access, _ := g.granted(redeem)
		if i := g.alive(access); i.Introspection["aud"] != own {
			t.Errorf("%q: got %v", resources, i.Introspection["aud"])
		}
	}
	for _, other := range []string{origin, origin + "/other", own + "/x", "https://evil.example" + base, own + "?x=1", own + "#x"} {
		g.login(100)
		a, err := g.browse(toolAsking(id, "resource", other))
		if q := g.redirected(a, err, toolURI); q.Get("error") != "invalid_target" {
			t.Errorf("%s: got %v", other, q)
		}
	}
}

// A login at the provider serves one grant, because its refresh token may be used only once.
func TestALoginServesOneGrant(t *testing.T) {
	onBothAsMCP(t, func(r *rig) {
		g, other := r.gate(), r.gate()
		id := g.register(`{"redirect_uris":["https://app.example.com/cb"]}`)
		g.login(1)
		a, err := g.browse(toolAsking(id))
		second := g.asked(a, err) // another tab
		g.consented(toolAsking(id))
		other.login(1)
		if _, err := other.browse(toolAsking(id)); !errors.Is(err, auth.ErrNoCredential) {
			r.Errorf("got %v, expected a login", err)
		}
		if _, err := g.reply(second); err == nil {
			r.Error("a login serves two grants")
		}
		other.login(2)
		other.consented(toolAsking(id))
		other.login(3)
		other.user.Tokens.RefreshToken = ""
		other.consented(toolAsking(id))
		other.consented(toolAsking(id)) // nothing is used up
	})
}

// A refresh asks the provider whether the user is still there, at most once in mcp.recheck.
func TestRecheck(t *testing.T) {
	onBothAsMCP(t, func(r *rig) {
		var asked []string
		answer := func(i *auth.Identity) (*auth.Identity, error) { return i, nil }
		r.ask = func(_ context.Context, i *auth.Identity) (*auth.Identity, error) {
			asked = append(asked, i.Tokens.RefreshToken)
			return answer(i)
		}
		g, other := r.gate(), r.gate()
		id := g.register(`{"redirect_uris":["https://app.example.com/cb"]}`)
		g.login(1)
		access, refresh := g.granted(tool(id, redeeming(g.consented(toolAsking(id)))))
		next := func(g *gate) {
			r.Helper()
			access, refresh = g.granted(tool(id, refreshing(refresh)))
		}
		next(g)
		r.pass(time.Hour - time.Minute)
		next(other)
		if len(asked) > 0 {
			r.Errorf("asked %d times within the hour", len(asked))
		}
		r.pass(time.Minute)
		answer = func(i *auth.Identity) (*auth.Identity, error) {
			renewed := *i
			renewed.Tokens.RefreshToken = "a rotated one"
			renewed.IDToken = auth.Claims{"groups": []any{"guests"}}
			return &renewed, nil
		}
		next(g)
		next(other)
		if user := other.alive(access).OnBehalfOf.Identity; len(asked) != 1 || asked[0] != "refresh token 1" ||
			fmt.Sprint(user.IDToken["groups"]) != "[guests]" {
			r.Errorf("asked with %q, then the user has %v", asked, user.IDToken)
		}

		// an outage ends nothing, and the next refresh asks again
		r.pass(time.Hour)
		answer = func(*auth.Identity) (*auth.Identity, error) { return nil, errors.New("the provider is away") }
		next(g)
		next(other)
		if len(asked) != 3 || asked[2] != "a rotated one" {
			r.Errorf("asked with %q", asked)
		}
		g.alive(access)

		// a user who is gone
		answer = func(*auth.Identity) (*auth.Identity, error) { return nil, fmt.Errorf("%w: locked", ErrGone) }
		g.refused(tool(id, refreshing(refresh)), 400, "invalid_grant")
		g.dead(access)
		other.refused(tool(id, refreshing(refresh)), 400, "invalid_grant")
	})
}

// Many refreshes at once, on two replicas, ask the provider once.
func TestOneRefreshAsks(t *testing.T) {
	onBothAsMCP(t, func(r *rig) {
		asked := make(chan struct{}, 50)
		r.ask = func(_ context.Context, i *auth.Identity) (*auth.Identity, error) {
			asked <- struct{}{}
			return i, nil
		}
		gates := []*gate{r.gate(), r.gate()}
		id := gates[0].register(`{"redirect_uris":["https://app.example.com/cb"]}`)
		gates[0].login(1)
		_, refresh := gates[0].granted(tool(id, redeeming(gates[0].consented(toolAsking(id)))))
		r.pass(2 * time.Hour)
		won, _ := concurrently(gates, 20, func(g *gate) (int, string) {
			status, answer := g.post("token", tool(id, refreshing(refresh)))
			return status, answer.String("access_token")
		})
		if won != 20 || len(asked) != 1 {
			r.Errorf("%d of 20 got tokens, and the provider was asked %d times", won, len(asked))
		}
	})
}

// askingRig returns a rig whose provider answers only when the test says so, with a client and its refresh token two hours after the login.
func askingRig(r *rig) (g *gate, id, refresh string, asked <-chan struct{}, answer chan<- struct{}) {
	asking, answering := make(chan struct{}), make(chan struct{})
	r.ask = func(_ context.Context, i *auth.Identity) (*auth.Identity, error) {
		asking <- struct{}{}
		<-answering
		return i, nil
	}
	g = r.gate()
	id = g.register(`{"redirect_uris":["https://app.example.com/cb"]}`)
	g.login(1)
	_, refresh = g.granted(tool(id, redeeming(g.consented(toolAsking(id)))))
	r.pass(2 * time.Hour)
	return g, id, refresh, asking, answering
}

// Two refreshes with one token meet while the provider is asked: they get the same successor. If the tokens were revoked meanwhile, they
// are.
func TestRefreshesWhileTheProviderIsAsked(t *testing.T) {
	onBothAsMCP(t, func(r *rig) {
		g, id, refresh, asked, answer := askingRig(r)
		slow := make(chan auth.Claims)
		ask := func() {
			_, a := g.post("token", tool(id, refreshing(refresh)))
			slow <- a
		}
		go ask()
		<-asked
		_, second := g.granted(tool(id, refreshing(refresh)))
		answer <- struct{}{}
		if first := <-slow; first.String("refresh_token") != second {
			r.Errorf("two refreshes at once got different successors: %v", first)
		}
		r.pass(time.Minute)
		_, refresh = g.granted(tool(id, refreshing(second)))

		r.pass(2 * time.Hour)
		go ask()
		<-asked
		g.post("revoke", url.Values{"client_id": {id}, "token": {refresh}})
		answer <- struct{}{}
		if a := <-slow; a.String("error") != "invalid_grant" {
			r.Errorf("got %v", a)
		}
	})
}

// A stream ends when its token is revoked or has expired. The answer to a call may go on for once more the lifetime of the token.
func TestWatch(t *testing.T) {
	pass := func(lifetimes float64) func(g *gate, access, refresh string) {
		return func(g *gate, _, _ string) {
			g.r.clock.offset.Add(int64(lifetimes * float64(g.settings.TokenExpiration)))
		}
	}
	ofFamily := func(g *gate, _, refresh string) { g.post("revoke", revoking(refresh)) }
	for name, end := range map[string]func(g *gate, access, refresh string){
		"GET revoked": func(g *gate, access, _ string) { g.post("revoke", revoking(access)) },
		"GET family":  ofFamily, "GET expired": pass(1),
		"POST revoked": func(g *gate, access, _ string) { g.post("revoke", revoking(access)) },
		"POST family":  ofFamily, "POST long expired": pass(2),
		"POST expired, then family": func(g *gate, access, refresh string) {
			w := g.Watch(&auth.Request{Request: httptest.NewRequest(http.MethodPost, "/mcp", nil)}, access, g.alive(access)).(tokenWatch)
			pass(1.5)(g, access, refresh)
			if err := w.check(g.r.Context()); err != nil {
				g.r.Errorf("a call ends with its token: %v", err)
			}
			ofFamily(g, access, refresh)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := memoryRig(t).gate()
			access, refresh := g.tokens()
			method, _, _ := strings.Cut(name, " ")
			w := g.Watch(&auth.Request{Request: httptest.NewRequest(method, "/mcp", nil)}, access, g.alive(access)).(tokenWatch)
			w.every = time.Millisecond
			ended := make(chan struct{})
			stop := w.Watch(nil, func() { close(ended) })
			defer stop()
			end(g, access, refresh)
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("the stream goes on")
			}
		})
	}
}

// Scripts of any page may read what the endpoints for programs say, and nothing of the authorization endpoint.
func TestScriptsReadEndpoints(t *testing.T) {
	g := memoryRig(t).asMCP().gate()
	for _, name := range []string{"token", "revoke", "register", "oauth2_metadata", "authorize"} {
		for _, method := range []string{http.MethodOptions, http.MethodPut, http.MethodGet, http.MethodPost} {
			res, err := g.serve(name, method, "", "")
			h := auth.HeaderOf(err)
			if err == nil {
				h = res.Answer.Header
			}
			want := "*"
			if name == "authorize" {
				want = ""
			}
			if h.Get("Access-Control-Allow-Origin") != want {
				t.Errorf("%s %s: got %v, %v", method, name, h, err)
			}
			if method == http.MethodOptions && want != "" && (res.Answer.Status != http.StatusNoContent ||
				!strings.Contains(h.Get("Access-Control-Allow-Headers"), "MCP-Protocol-Version")) {
				t.Errorf("the preflight of %s: %d %v", name, res.Answer.Status, h)
			}
		}
	}
}
