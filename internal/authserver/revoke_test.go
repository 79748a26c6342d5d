package authserver

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"sallyport/internal/auth"
)

func revoking(token string) url.Values {
	return form("token", token, "client_id", "app", "client_secret", appSecret)
}

func TestRevoke(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate()
		revoke := func(v url.Values, status int) {
			r.Helper()
			if got, answer := g.post("revoke", v); got != status {
				r.Errorf("got %d %v, expected %d", got, answer, status)
			}
		}
		access, refresh := g.tokens()
		g.alive(access)
		revoke(revoking(access), 200)
		g.dead(access) // at once, although it was cached
		revoke(revoking(access), 200)
		access, refresh = g.granted(refreshing(refresh))
		g.alive(access)
		revoke(revoking(refresh), 200)
		g.dead(access)
		g.refused(refreshing(refresh), 400, "invalid_grant")

		access, refresh = g.tokens()
		next, _ := g.granted(refreshing(refresh))
		revoke(with(revoking(refresh), "token_type_hint", "access_token"), 200) // a used one
		g.dead(access)
		g.dead(next)

		access, refresh = g.tokens()
		revoke(with(revoking(access), "client_id", "other"), 400)
		revoke(with(revoking(refresh), "client_id", "other"), 400)
		revoke(form("token", access, "client_id", "spa"), 400)
		revoke(with(revoking(access), "client_secret", "wrong"), 401)
		revoke(with(revoking(access), "token", ""), 400)
		revoke(with(revoking("sp_unknown")), 200)
		revoke(with(revoking("another's token")), 200)
		g.alive(access)
		g.granted(refreshing(refresh))

		code := g.code(spa(with(asking(), "scope", "read")))
		access, refresh = g.granted(spa(redeeming(code)))
		revoke(form("token", refresh, "client_id", "spa"), 200)
		g.dead(access)
	})
}

// Other processes notice a revocation within CachedFor.
func TestRevocationElsewhere(t *testing.T) {
	r := redisRig(t)
	g, other := r.gate(), r.gate()
	access, _ := g.tokens()
	other.alive(access)
	g.post("revoke", revoking(access))
	other.alive(access)
	r.clock.offset.Add(int64(CachedFor))
	other.dead(access)
}

func TestIntrospect(t *testing.T) {
	onBoth(t, func(r *rig) {
		g := r.gate()
		access, refresh := g.tokens()
		code := g.code(asking())
		ask := func(token string, changes ...change) (int, auth.Claims) {
			return g.post("introspect", form("token", token), append([]change{basic("api", appSecret)}, changes...)...)
		}
		status, answer := ask(access)
		if status != http.StatusOK || answer["active"] != true || answer["sub"] != "john" ||
			answer["scope"] != "read write" || answer["client_id"] != "app" ||
			answer["aud"] != origin+base || answer["iss"] != origin+base || answer["authenticated_userid"] != "john" {
			r.Errorf("got %d %v", status, answer)
		}
		for name, token := range map[string]string{"a refresh token": refresh,
			"a code": code, "an unknown token": "sp_x", "somebody else's": "eyJhbGciOi.x.y"} {
			if status, answer := ask(token); status != http.StatusOK || answer["active"] != false || len(answer) != 1 {
				r.Errorf("%s: got %d %v", name, status, answer)
			}
		}
		for name, c := range map[string]struct {
			form   url.Values
			status int
			change change
		}{
			"a public client": {form("token", access, "client_id", "spa"), 401, nil},
			"nobody":          {form("token", access), 401, nil},
			"a wrong secret":  {form("token", access), 401, basic("api", "wrong")},
			"no token":        {form("client_id", "api", "client_secret", appSecret), 400, nil},
			"two tokens":      {url.Values{"token": {access, access}, "client_id": {"api"}, "client_secret": {appSecret}}, 400, nil},
		} {
			changes := []change{}
			if c.change != nil {
				changes = append(changes, c.change)
			}
			if status, answer := g.post("introspect", c.form, changes...); status != c.status || answer["error"] == nil {
				r.Errorf("%s: got %d %v", name, status, answer)
			}
		}
		r.pass(2 * time.Hour)
		if _, answer := ask(access); answer["active"] != false {
			r.Errorf("expired: got %v", answer)
		}
	})
}

func TestMetadata(t *testing.T) {
	g := memoryRig(t).gate()
	e := g.endpoints["oauth2_metadata"]
	if e.Path != "/.well-known/oauth-authorization-server/api" {
		t.Errorf("it is at %s", e.Path)
	}
	res, err := g.serve("oauth2_metadata", http.MethodGet, "", "")
	if err != nil {
		t.Fatal(err)
	}
	expected := `{"issuer":"https://gate.example.com/api",` +
		`"authorization_endpoint":"https://gate.example.com/api/oauth2/authorize",` +
		`"token_endpoint":"https://gate.example.com/api/oauth2/token",` +
		`"revocation_endpoint":"https://gate.example.com/api/oauth2/revoke",` +
		`"introspection_endpoint":"https://gate.example.com/api/oauth2/introspect",` +
		`"scopes_supported":["read","write","admin"],"response_types_supported":["code"],"response_modes_supported":["query"],` +
		`"grant_types_supported":["authorization_code","client_credentials","refresh_token"],` +
		`"token_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","none"],` +
		`"revocation_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post","none"],` +
		`"introspection_endpoint_auth_methods_supported":["client_secret_basic","client_secret_post"],` +
		`"code_challenge_methods_supported":["S256"],"authorization_response_iss_parameter_supported":true}` + "\n"
	if string(res.Answer.Body) != expected {
		t.Errorf("got      %s\nexpected %s", res.Answer.Body, expected)
	}
	for base, paths := range map[string][2]string{
		"/":    {"/oauth2/token", "/.well-known/oauth-authorization-server"},
		"/a/b": {"/a/b/oauth2/token", "/.well-known/oauth-authorization-server/a/b"},
	} {
		all := g.at(base, nil).Endpoints()
		if all[0].Path != paths[0] || all[4].Path != paths[1] {
			t.Errorf("%s: got %s and %s", base, all[0].Path, all[4].Path)
		}
	}
}
