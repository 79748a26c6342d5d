package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// runaway is an expression that exceeds the cost limit.
const runaway = "[1,2,3,4,5,6,7,8,9].all(a, [1,2,3,4,5,6,7,8,9].all(b, [1,2,3,4,5,6,7,8,9].all(c, [1,2,3,4,5,6,7,8,9].all(d, " +
	"[1,2,3,4,5,6,7,8,9].all(e, [1,2,3,4,5,6,7,8,9].all(f, a + b + c + d + e + f > 0))))))"

// ruled returns a route with a rule of each kind.
func ruled(up *upstream) route {
	return route{upstream: up, rules: []string{
		"{paths: [/docs/secret], roles_required: [admin]}",
		"{paths: [/docs], methods: [POST, DELETE], roles_required: [admin]}",
		"{hosts: [admin.example.com], roles_required: [admin]}",
		"{hosts: ['*.staff.example.com'], groups_required: [/staff]}",
		"{paths: [/roles], roles_required: [admin user, nobody]}",
		"{paths: [/groups], groups_required: [/boss, /staff]}",
		"{paths: [/scopes], scopes_required: [openid email]}",
		"{paths: [/audience], audience_required: [service]}",
		"{paths: [/elsewhere], audience_required: [kong]}",
		`{paths: [/claims], allow: 'claims.preferred_username == "john" && "/staff" in claims.groups'}`,
		`{paths: [/missing], allow: 'claims.nothing == 1'}`,
		`{paths: [/token], allow: 'token.flow == "bearer" && token.presented && token.client_id == "app" && "email" in token.scopes'}`,
		`{paths: [/id_token], allow: 'id_token.?preferred_username.orValue("") == "john"'}`,
		`{paths: [/session], allow: 'session.present'}`,
		`{paths: [/request], allow: 'request.method == "GET" && request.query.x[0] == "1" && request.headers["x-team"] == "blue"'}`,
		"{paths: [/runaway], allow: '" + runaway + "'}",
		"{paths: [/acr], acr_values: [gold, silver]}",
		"{paths: [/age], max_age: 1h}",
		"{paths: [/api], on_unauthenticated: '401'}",
		"{paths: [/always], on_unauthenticated: login}",
		"{paths: [/trial], roles_required: [admin], report_only: true}",
		"{paths: [/with], upstream_headers: [{header: X-Name, path: [given_name]}]}",
		"{paths: [/maybe/staff], auth: optional, allow: '!has(claims.sub) || \"/staff\" in claims.groups'}",
	}}
}

// rulings are requests for that route. john has the roles user and admin, and the group /staff; jane has the role user; service is
// a client whose tokens don't have the scope openid; short's tokens have another audience.
var rulings = []ruling{
	{path: "/", who: "jane", status: 200},
	{path: "/", status: 401, reason: "no_credential"},
	{path: "/", header: []string{"Accept", "text/html"}, status: 302, reason: "a login begins"},
	{path: "/public", status: 200},
	{path: "/public", who: "garbage", status: 200},
	{path: "/maybe", status: 200},
	{path: "/maybe", who: "jane", status: 200},
	{path: "/maybe", who: "garbage", status: 401, reason: "token_opaque"},
	{path: "/maybe", who: "forged", status: 401, reason: "token_invalid"},
	{path: "/maybe/staff", status: 200},
	{path: "/maybe/staff", who: "john", status: 200},
	{path: "/maybe/staff", who: "jane", status: 403, reason: "allow_failed"}, // no claim groups
	{path: "/", who: "short", status: 401, reason: "token_audience"},
	{path: "/", header: []string{"Authorization", "Bearer"}, status: 401, reason: "authorization_malformed"},
	{path: "/docs/../docs/secret", who: "john", status: 400, reason: "bad_path"},
	{path: "/%2e%2e/admin", who: "john", status: 400, reason: "bad_path"},

	{path: "/admin", who: "john", status: 200},
	{path: "/admin/x", who: "jane", status: 403, reason: "roles_required"},
	{path: "/administrator", who: "jane", status: 200},
	{path: "/docs/secret", who: "jane", status: 403, reason: "roles_required"},
	{path: "/docs/open", who: "jane", status: 200},
	{method: "POST", path: "/docs/open", who: "jane", status: 403, reason: "roles_required"},
	{method: "DELETE", path: "/docs/open", who: "jane", status: 403, reason: "roles_required"},
	{method: "POST", path: "/docs/open", who: "john", status: 200},
	{method: "PUT", path: "/docs/open", who: "jane", status: 200},
	{host: "admin.example.com", path: "/", who: "jane", status: 403, reason: "roles_required"},
	{host: "admin.example.com", path: "/", who: "john", status: 200},
	{host: "a.staff.example.com", path: "/", who: "jane", status: 403, reason: "groups_required"},
	{host: "a.staff.example.com", path: "/", who: "john", status: 200},
	{host: "www.example.com", path: "/", who: "jane", status: 200},

	{path: "/roles", who: "john", status: 200},
	{path: "/roles", who: "jane", status: 403, reason: "roles_required"},
	{path: "/groups", who: "john", status: 200},
	{path: "/groups", who: "jane", status: 403, reason: "groups_required"},
	{path: "/scopes", who: "john", status: 200},
	{path: "/scopes", who: "service", status: 403, reason: "scopes_required"},
	{path: "/audience", who: "john", status: 200},
	{path: "/elsewhere", who: "john", status: 403, reason: "audience_required"},

	{path: "/claims", who: "john", status: 200},
	{path: "/claims", who: "jane", status: 403, reason: "allow_false"},
	{path: "/missing", who: "john", status: 403, reason: "allow_failed"},
	{path: "/token", who: "john", status: 200},
	{path: "/token", who: "service", status: 403, reason: "allow_false"},
	{path: "/id_token", who: "john", status: 403, reason: "allow_false"}, // only sessions have an ID token
	{path: "/session", who: "john", status: 403, reason: "allow_false"},
	{path: "/request?x=1", who: "jane", header: []string{"X-Team", "blue"}, status: 200},
	{path: "/request?x=2", who: "jane", header: []string{"X-Team", "blue"}, status: 403, reason: "allow_false"},
	{path: "/request?x=1", who: "jane", status: 403, reason: "allow_failed"},
	{method: "PUT", path: "/request?x=1", who: "jane", header: []string{"X-Team", "blue"}, status: 403, reason: "allow_false"},
	{path: "/runaway", who: "john", status: 403, reason: "allow_failed"},

	{path: "/acr", who: "john", status: 401, reason: "step_up_required"},
	{path: "/age", who: "service", status: 401, reason: "step_up_required"}, // no login
	{path: "/api", status: 401, reason: "no_credential"},
	{path: "/api", header: []string{"Accept", "text/html"}, status: 401, reason: "no_credential"},
	{path: "/always", status: 302, reason: "a login begins"},
	{path: "/always", header: []string{"X-Requested-With", "XMLHttpRequest"}, status: 401, reason: "no_credential"},
	{method: "POST", path: "/always", status: 401, reason: "no_credential"},
	{path: "/trial", who: "jane", status: 200},
	{path: "/trial", status: 401, reason: "no_credential"},
	{path: "/with", who: "john", status: 200},
}

// TestRules checks rulings with requests and with sallyport explain.
func TestRules(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{ruled(up)}})
	v := newVisitor(t, g)
	tokens := someTokens(t)
	for _, token := range tokens {
		g.registerSecrets(token)
	}
	for _, c := range rulings {
		before := up.count()
		g.mustRule(t, v, c, tokens[c.who])
		if passed := up.count() > before; passed != (c.status == http.StatusOK) {
			t.Errorf("%+v: it reached the upstream: %v", c, passed)
		}
	}
	if got := up.mustArrival(t, "/public").header.Get("Authorization"); got != "Bearer garbage" {
		t.Errorf("with auth: off Authorization arrives as %q, want it as it came", got)
	}
	if got := up.mustArrival(t, "/with").header.Get("X-Name"); got != "John" {
		t.Errorf("X-Name is %q, want John", got)
	}
	if got := up.mustArrival(t, "/claims").header.Get("X-Name"); got != "" {
		t.Errorf("X-Name arrives where no rule says so: %q", got)
	}
}

// someTokens returns the tokens for rulings, by ruling.who.
func someTokens(t *testing.T) map[string]string {
	t.Helper()
	johns := keycloak.mustUserToken(t, "app", appSecret, "john")
	return map[string]string{
		"john":    johns,
		"jane":    keycloak.mustUserToken(t, "app", appSecret, "jane"),
		"short":   keycloak.mustUserToken(t, "app-short", appShortSecret, "john"),
		"service": keycloak.mustServiceToken(t, "sallyport"),
		"garbage": "garbage",
		"forged":  startSigner(t, jose.RS256).mustSign(t, "JWT", mustRead(t, johns).claims),
	}
}

// TestChallengesOfRules checks the challenges for missing scopes (RFC 6750) and for a step-up login (RFC 9470).
func TestChallengesOfRules(t *testing.T) {
	t.Parallel()
	g := startGate(t, config{routes: []route{ruled(startUpstream(t))}})
	v := newVisitor(t, g)
	tokens := someTokens(t)
	for _, c := range []struct {
		path, who string
		want      []string
	}{
		{"/scopes", "service", []string{`error="insufficient_scope"`, `scope="openid email"`}},
		{"/acr", "john", []string{`error="insufficient_user_authentication"`, `acr_values="gold silver"`}},
		{"/age", "service", []string{`error="insufficient_user_authentication"`, `max_age="3600"`}},
		{"/", "short", []string{`error="invalid_token"`}},
		{"/api", "", []string{`Bearer realm=`}},
	} {
		var header []string
		if c.who != "" {
			header = []string{"Authorization", "Bearer " + tokens[c.who]}
		}
		a := v.call(g.url+c.path, header...)
		got := a.header.Get("WWW-Authenticate")
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("%s: the challenge for %q is %q, want %s in it", c.path, c.who, got, want)
			}
		}
		if c.who == "" && strings.Contains(got, "error=") {
			t.Errorf("%s: who brings nothing has made no error: %q", c.path, got)
		}
	}
}

// TestRunawayExpression checks that an expression beyond the cost limit is stopped early.
func TestRunawayExpression(t *testing.T) {
	t.Parallel()
	g := startGate(t, config{routes: []route{ruled(startUpstream(t))}})
	token := keycloak.mustUserToken(t, "app", appSecret, "john")
	l := g.mustLine(t, newVisitor(t, g).call(g.url+"/runaway", "Authorization", "Bearer "+token))
	took, _ := l["duration"].(float64)
	if !strings.Contains(l.text("error"), "cost limit exceeded") || took == 0 || time.Duration(took) > 5*time.Second {
		t.Errorf("after %s the log says %q", time.Duration(took), l.text("error"))
	}
}

// TestReportOnly checks that a request that a report_only rule rejects passes, and is logged with the request ID that the upstream
// received.
func TestReportOnly(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{ruled(up)}})
	v := newVisitor(t, g)
	for who, want := range map[string]string{"jane": "roles_required", "john": ""} {
		path := "/trial/" + who
		if a := v.call(g.url+path, "Authorization", "Bearer "+keycloak.mustUserToken(t, "app", appSecret, who)); a.status != http.StatusOK {
			t.Fatalf("%s is answered %d", who, a.status)
		}
		id := up.mustArrival(t, path).header.Get("X-Request-Id")
		passed := g.mustLineOf(t, "request", id) // the last line
		if passed.text("reason") != "" {
			t.Errorf("%s passes, and the log says %v", who, passed)
		}
		reported, found := g.lineOf(reportOnly, id)
		if got := reported.text("reason"); got != want || found && reported.text("rule") != passed.text("rule") {
			t.Errorf("%s: what was reported is %v, want the reason %q", who, reported, want)
		}
	}
}

const reportOnly = "a rule would have refused this request, and only reports"
