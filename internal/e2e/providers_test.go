package e2e

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

// TestPageOfKeycloak checks that the first configuration of configs/providers/keycloak.md logs in, reads roles and logs out.
func TestPageOfKeycloak(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{routeOfPage(t, "../../configs/providers/keycloak.md", up)}})

	john := newPerson(t, g).newPage()
	john.logIn(g.url+"/admin", "john")
	if got := john.text("#user"); got != "john" {
		t.Errorf("/admin says hello to %q, want john", got)
	}
	john.open(g.url + "/oauth2/logout")
	john.waitURL(g.url + "/goodbye")
	john.open(g.url + "/")
	john.waitFor("#kc-login") // with a session, Keycloak would have redirected back

	jane := newPerson(t, g).newPage()
	jane.logIn(g.url+"/", "jane")
	jane.open(g.url + "/admin")
	if jane.status() != http.StatusForbidden {
		t.Errorf("jane gets %d at /admin, want 403", jane.status())
	}
}

// routeOfPage returns a route with the first configuration of a page, but with the issuer, the client and the upstream of the tests.
func routeOfPage(t *testing.T, page string, up *upstream) route {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, snippet, _ := strings.Cut(string(text), "```yaml\n")
	snippet, _, _ = strings.Cut(snippet, "```")
	oidc, rules, found := strings.Cut(snippet, "rules:\n")
	if !found {
		t.Fatalf("%s has no configuration with rules", page)
	}
	r := route{upstream: up, rulesOff: true}
	for line := range strings.Lines(oidc) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if setting, is := strings.CutPrefix(line, "  "); is && key != "issuer" && !strings.HasPrefix(key, "client_") {
			r.oidc = append(r.oidc, strings.TrimSuffix(setting, "\n"))
		}
	}
	for line := range strings.Lines(rules) {
		r.rules = append(r.rules, strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "  - "))
	}
	return r
}
