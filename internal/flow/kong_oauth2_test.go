package flow_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/authserver"
	"sallyport/internal/mcp"
	"sallyport/internal/redis/redistest"
)

var builtInSecret, builtInHash = authserver.NewSecret()

// withIssuer gives a gate the built-in authorization server, which stores its tokens in Redis or, without a server, in
// memory.
func withIssuer(server *redistest.Server, changes ...func(*authserver.Settings)) func(*gate) {
	return func(g *gate) {
		c := authserver.Config{Now: g.clock.now, Log: g.deps.Log, Settings: authserver.Settings{
			TokenPrefix: "sp_", TokenExpiration: time.Hour, RefreshTokenTTL: time.Hour, PKCE: "strict", Storage: "memory",
			Secret: []auth.Secret{secret},
			Scopes: []string{"read"}, Clients: []authserver.Client{
				{ClientID: "batch", ClientSecretHash: []auth.Secret{auth.Secret(builtInHash)}, Grants: []string{"client_credentials"},
					Scopes: []string{"read"}},
			},
		}}
		for _, change := range changes {
			change(&c.Settings)
		}
		if server != nil {
			c.Storage, c.Redis = "redis", server.Settings()
			client, err := c.Redis.New(g.deps.Log)
			if err != nil {
				g.Fatal(err)
			}
			g.Cleanup(func() { client.Close() })
			c.Client = client
		}
		c.Before = g.deps.AuthServer
		var err error
		if g.deps.AuthServer, err = authserver.New(c); err != nil {
			g.Fatal(err)
		}
	}
}

// atIssuer sends a request to an endpoint of the built-in authorization server as its client.
func (g *gate) atIssuer(name, body string) string {
	g.Helper()
	basic := base64.StdEncoding.EncodeToString([]byte("batch:" + string(builtInSecret)))
	r := g.request("POST /oauth2/"+name, "Authorization", "Basic "+basic, "Content-Type", form, body)
	for _, e := range g.deps.AuthServer.At(authserver.SiteConfig{Route: mcp.Route{Resource: auth.Resource{Base: g.deps.Base}}}).Endpoints() {
		if e.Path == r.Path {
			res, err := e.ServeUser(r, nil)
			if err != nil {
				g.Fatal(err)
			}
			return string(res.Answer.Body)
		}
	}
	g.Fatalf("there is no endpoint %s", name)
	return ""
}

// issued returns an access token of the built-in authorization server.
func issued(g *gate) string {
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	body := g.atIssuer("token", "grant_type=client_credentials")
	if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.AccessToken == "" {
		g.Fatalf("got %s: %v", body, err)
	}
	return answer.AccessToken
}

// TestKongOAuth2: a token of the built-in authorization server passes while its store has it, and no other issuer is asked.
func TestKongOAuth2(t *testing.T) {
	w := newWorld(t)
	builtIn := func(rows []row) []row {
		for n := range rows {
			change := rows[n].change
			rows[n].change = func(g *gate) {
				withIssuer(nil)(g)
				if change != nil {
					change(g)
				}
			}
		}
		return rows
	}
	unknown := invalid("token_unknown")
	w.try(t, "kong_oauth2", builtIn(tokenPlaceRows(issued, nil)))
	w.try(t, "kong_oauth2 bearer introspection", builtIn([]row{
		{name: "good", ask: with(issued), want: passes, more: provesBatch},
		{name: "changed", ask: with(func(g *gate) string { t := issued(g); return t[:len(t)-1] + string('a'+(t[len(t)-1]-'a'+1)%26) }),
			want: unknown},
		{name: "its prefix alone", ask: with(func(*gate) string { return "sp_" }), want: unknown},
		{name: "made up", ask: with(func(*gate) string { return "sp_at_" + strings.Repeat("a", 40) }), want: unknown},
		{name: "a JWT with its prefix", ask: with(func(g *gate) string { return "sp_" + jwt(nil)(g) }), want: unknown},
		{name: "expired", ask: with(func(g *gate) string { t := issued(g); g.clock.advance(time.Hour); return t }), want: unknown},
		{name: "revoked", ask: with(func(g *gate) string { t := issued(g); g.atIssuer("revoke", "token="+t); return t }), want: unknown},
		{name: "of another gate", ask: with(ofAnotherGate), want: unknown},
		{name: "a JWT of the other issuer", ask: with(jwt(nil)), want: passes},
		{name: "an opaque token of the other issuer", ask: with(opaque), want: passes, calls: introspected},
	}))
}

func provesBatch(g *gate, res *auth.Result) {
	i := res.Identity
	if i.Flow != "kong_oauth2" || i.ClientID != "batch" || i.Introspection["active"] != true || i.AccessToken != nil ||
		i.Issuer == g.issuer.URL {
		g.Errorf("got %+v", i)
	}
}

// ofAnotherGate returns a token that a gate with another secret has issued.
func ofAnotherGate(g *gate) string {
	other := g.newGate(g.T, "kong_oauth2", withIssuer(nil,
		func(s *authserver.Settings) { s.Secret = []auth.Secret{"another secret, as long as the first one"} }))
	return issued(other)
}

// TestKongOAuth2StoreAway: without its store a token is neither accepted nor refused, unless it is cached.
func TestKongOAuth2StoreAway(t *testing.T) {
	w := newWorld(t)
	server := redistest.Start(t)
	g := w.newGate(t, "kong_oauth2", withIssuer(server))
	known, other := g.bearer(issued(g)), g.bearer(issued(g))
	g.expect(row{ask: always(known), want: passes})
	server.Kill()
	lost := verdict{503, "temporarily_unavailable", "token_store_unavailable", true}
	g.expect(row{ask: always(known), want: passes})
	g.expect(row{ask: always(other), want: lost})
	w.clock.advance(authserver.CachedFor)
	g.expect(row{ask: always(known), want: lost})
	g.expect(row{ask: with(func(*gate) string { return "sp_at_made_up" }), want: invalid("token_unknown")})
}
