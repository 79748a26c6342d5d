package authserver

import (
	"reflect"
	"testing"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/golden"
)

const storedTool = `{"client_name":"Tool","redirect_uris":["https://app.example.com/cb"]}`

// storeTokens stores tokens in Redis as the gate does now, and what clients and browsers then have.
func storeTokens(r *rig) func(*golden.File) {
	return func(f *golden.File) {
		g := r.gate()
		g.login(1)
		f.Put("at", r.clock.now())
		machine, _ := g.granted(form("grant_type", clientCredentials), basic("app", appSecret))
		access, refresh := g.tokens()
		tool := g.register(storedTool)
		toolAccess, toolRefresh := g.granted(with(redeeming(g.consented(toolAsking(tool))), "client_id", tool, "client_secret", "",
			"redirect_uri", toolURI))
		g.login(2)
		a, err := g.browse(toolAsking(tool))
		for name, value := range map[string]string{
			"machine": machine, "access": access, "refresh": refresh, "code": g.code(asking()), "consent": g.asked(a, err),
			"tool": tool, "tool access": toolAccess, "tool refresh": toolRefresh,
		} {
			f.Put(name, value)
		}
		f.PutRedis("redis", r.server.Client(r, 0))
	}
}

// TestStored uses what earlier versions have stored: access tokens, refresh tokens and a code in Redis, the client_id of a registered
// client, and a consent page that is open in a browser.
func TestStored(t *testing.T) {
	f := golden.Open(t, "redis-v1", storeTokens(redisRig(t).asMCP()))
	r := redisRig(t).asMCP()
	f.FillRedis("redis", r.server.Client(t, 0))
	r.clock.offset.Store(int64(time.Until(f.Time("at"))))
	g := r.gate()
	g.login(1)

	if i := g.alive(f.Text("machine")); i.Subject != "app" || i.ClientID != "app" {
		t.Errorf("client_credentials: %+v", i)
	}
	access := g.alive(f.Text("access"))
	if access.Subject != "john" || access.ClientID != "app" || access.Tokens.Scope != "read write" {
		t.Errorf("authorization_code: %+v", access)
	}
	tool := g.alive(f.Text("tool access"))
	if tool.ClientID != f.Text("tool") || tool.Tokens.Scope != "tools" || tool.Introspection["aud"] != origin+base {
		t.Errorf("a registered client: %+v", tool)
	}
	user, want := tool.OnBehalfOf, auth.Claims{"email": "john@example.com", "groups": []any{"staff"}}
	if user == nil || !reflect.DeepEqual(user.Identity.IDToken, want) {
		t.Errorf("the user's claims: %+v, expected %v", user, want)
	}
	g.granted(redeeming(f.Text("code")))
	g.granted(refreshing(f.Text("refresh")))
	g.granted(with(refreshing(f.Text("tool refresh")), "client_id", f.Text("tool"), "client_secret", ""))
	g.login(2)
	a, err := g.reply(f.Text("consent"))
	g.redirected(a, err, toolURI+"?code=")
	g.login(3)
	g.consented(toolAsking(f.Text("tool")))
	g.post("revoke", revoking(f.Text("refresh")))
	r.gate().dead(f.Text("access"))
}
