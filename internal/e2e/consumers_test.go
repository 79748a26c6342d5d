package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestConsumers checks the consumers of tokens and the access control list, with requests and with sallyport explain.
func TestConsumers(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	plain, unknown := keycloak.admin.mustUser(t, "sallyport"), keycloak.admin.mustUser(t, "sallyport")
	byName := func(more ...string) []string {
		return append([]string{"consumer_claims: [[preferred_username]]", "consumer_by: [username]",
			"credential_claim: [preferred_username]"}, more...)
	}
	g := startGate(t, config{
		process: []string{fmt.Sprintf(
			"consumers: [{username: john, custom_id: c-1, groups: [gold, /staff]}, {username: jane, groups: [suspended]}, "+
				"{username: %s}, {username: guest}]", plain)},
		routes: []route{
			{upstream: up, oidc: byName("authenticated_groups_claim: [groups]"), acl: "{allow: [/staff, gold], deny: [suspended]}",
				rules: []string{"{paths: [/johns], allow: 'consumer.username == \"john\" && \"gold\" in consumer.groups'}"}},
			{path: "/optional", upstream: up, oidc: byName("consumer_optional: true"),
				rules: []string{"{paths: [/optional/gold], allow: '\"gold\" in consumer.groups'}"}},
			{path: "/tier", upstream: up, oidc: byName("consumer_groups_claim: [groups]")},
			{path: "/mail", upstream: up, oidc: []string{"claims_forbidden: [email]"}},
			{path: "/hosted", upstream: up, oidc: []string{"domains: [example.com]"}},
			{path: "/anon", upstream: up, oidc: byName("anonymous: guest"), rules: anonymousRules},
		},
	})
	v := newVisitor(t, g)
	tokens := map[string]string{"garbage": "garbage"}
	for name, user := range map[string]string{"john": "john", "jane": "jane", "plain": plain, "unknown": unknown} {
		tokens[name] = keycloak.mustUserToken(t, "app", appSecret, user)
		g.registerSecrets(tokens[name])
	}
	for _, c := range []ruling{
		{path: "/", who: "john", header: []string{"X-Consumer-Username", "forged", "X-Anonymous-Consumer", "true"}, status: 200},
		{path: "/", who: "jane", status: 403, reason: "acl_denied"},
		{path: "/", who: "plain", status: 403, reason: "acl_not_allowed"},
		{path: "/", who: "unknown", status: 403, reason: "consumer_unknown"},
		{path: "/", status: 401, reason: "no_credential"},
		{path: "/maybe", status: 403, reason: "acl_not_allowed"}, // the anonymous identity has no groups
		{path: "/johns", who: "john", status: 200},
		{path: "/optional", who: "unknown", status: 200},
		{path: "/optional/gold", who: "john", status: 200},
		{path: "/optional/gold", who: "unknown", status: 403, reason: "allow_false"},
		{path: "/tier", who: "john", status: 200},
		{path: "/tier", who: "jane", status: 403, reason: "consumer_groups_unknown"},
		{path: "/mail", who: "john", status: 403, reason: "claims_forbidden"},
		{path: "/hosted", who: "john", status: 403, reason: "domains"},
		{path: "/anon", status: 200},
		{path: "/anon/known", who: "john", status: 200},
		{path: "/anon/unknown", who: "unknown", status: 200},
		{path: "/anon", who: "garbage", status: 401, reason: "token_opaque"},
		{path: "/anon/admin", status: 401, reason: "no_credential"},
		{path: "/anon/admin", header: []string{"Accept", "text/html"}, status: 302, reason: "a login begins"},
		{path: "/anon/admin", who: "unknown", status: 403, reason: "roles_required"},
		{path: "/anon/members", status: 403, reason: "allow_false"},
		{path: "/anon/members", who: "jane", status: 200},
	} {
		g.mustRule(t, v, c, tokens[c.who])
	}
	for uri, want := range map[string]string{
		"/":              "john c-1 gold,/staff john /staff ",
		"/optional":      "   " + unknown + "  ",
		"/anon":          "guest     true",
		"/anon/unknown":  "guest   " + unknown + "  true",
		"/anon/known":    "john c-1 gold,/staff john  ",
		"/optional/gold": "john c-1 gold,/staff john  ",
	} {
		if got := consumerHeaders(up.mustArrival(t, uri)); got != want {
			t.Errorf("at %s the upstream got %q, want %q", uri, got, want)
		}
	}
}

var anonymousRules = []string{
	"{paths: [/anon/members], allow: 'consumer.username != \"guest\"'}",
}

// consumerHeaders returns the headers of a request that describe the consumer and its groups.
func consumerHeaders(a arrival) string {
	var all []string
	for _, name := range []string{"X-Consumer-Username", "X-Consumer-Custom-Id", "X-Consumer-Groups", "X-Credential-Identifier",
		"X-Authenticated-Groups", "X-Anonymous-Consumer"} {
		all = append(all, strings.ReplaceAll(a.header.Get(name), ", ", ","))
	}
	return strings.Join(all, " ")
}

// TestAnonymousConsumer checks that a browser without a session is the anonymous consumer until it logs in for a rule that needs a
// user.
func TestAnonymousConsumer(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{
		process: []string{"consumers: [{username: john}, {username: guest}]"},
		routes: []route{{path: "/anon", upstream: up, rules: anonymousRules, oidc: []string{
			"consumer_claims: [[preferred_username]]", "consumer_by: [username]", "anonymous: guest"}}},
	})
	tab := newPerson(t, g).newPage()
	tab.open(g.url + "/anon/first")
	if tab.status() != http.StatusOK || up.mustArrival(t, "/anon/first").header.Get("X-Consumer-Username") != "guest" {
		t.Fatalf("the browser is at %s with %d, want the page", tab.url(), tab.status())
	}
	tab.open(g.url + "/anon/members")
	if tab.status() != http.StatusForbidden {
		t.Errorf("the guest at /anon/members gets %d, want 403", tab.status())
	}
	tab.logIn(g.url+"/anon/admin", "john")
	tab.open(g.url + "/anon/members")
	a := up.mustArrival(t, "/anon/members")
	if tab.status() != http.StatusOK || a.header.Get("X-Consumer-Username") != "john" || a.header.Get("X-Anonymous-Consumer") != "" {
		t.Errorf("after the login john gets %d as %q", tab.status(), consumerHeaders(a))
	}
}
