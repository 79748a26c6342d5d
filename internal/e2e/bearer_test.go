package e2e

import (
	"net/http"
	"strings"
	"testing"
)

func TestBearer(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	v := newVisitor(t, g)
	good, foreign := keycloak.mustServiceToken(t, "sallyport"), keycloak.mustServiceToken(t, "other")
	wrongAudience := keycloak.mustUserToken(t, "app-short", appShortSecret, "john")
	head, signature, _ := cutLast(good, ".")
	g.registerSecrets(good, foreign, wrongAudience)

	for _, c := range []struct {
		name, authorization, path string
		status                    int
		wantError                 string // in WWW-Authenticate
	}{
		{"a token of client_credentials", "Bearer " + good, "/api", 200, ""},
		{"the scheme in another case", "bearer " + good, "/api", 200, ""},
		{"a token of another realm", "Bearer " + foreign, "/api", 401, "invalid_token"},
		{"a token of another audience", "Bearer " + wrongAudience, "/api", 401, "invalid_token"},
		{"a signature of nothing", "Bearer " + head + ".", "/api", 401, "invalid_token"},
		{"a signature that is another", "Bearer " + head + "." + reverse(signature), "/api", 401, "invalid_token"},
		{"garbage", "Bearer garbage", "/api", 401, "invalid_token"},
		{"garbage where a credential is optional", "Bearer garbage", "/maybe", 401, "invalid_token"},
		{"a token of another realm where a credential is optional", "Bearer " + foreign, "/maybe", 401, "invalid_token"},
		{"no credential", "", "/api", 401, ""},
		{"no credential where it is optional", "", "/maybe", 200, ""},
		{"no credential where none is asked", "", "/public/page", 200, ""},
		{"a token without the role", "Bearer " + good, "/admin", 403, ""},
	} {
		arrived := up.count()
		var header []string
		if c.authorization != "" {
			header = []string{"Authorization", c.authorization}
		}
		a := v.call(g.url+c.path, header...)
		if a.status != c.status {
			t.Errorf("%s: answered %d, want %d: %s", c.name, a.status, c.status, a.body)
			continue
		}
		if (a.status == http.StatusOK) != (up.count() == arrived+1) {
			t.Errorf("%s: answered %d and %d requests arrived", c.name, a.status, up.count()-arrived)
		}
		challenge := a.header.Get("WWW-Authenticate")
		if a.status == http.StatusUnauthorized && !strings.HasPrefix(challenge, "Bearer realm=") {
			t.Errorf("%s: WWW-Authenticate is %q", c.name, challenge)
		}
		if got := strings.Contains(challenge, "error="); got != (c.wantError != "") || !strings.Contains(challenge, c.wantError) {
			t.Errorf("%s: WWW-Authenticate is %q, want the error %q", c.name, challenge, c.wantError)
		}
	}
	a := up.mustArrival(t, "/api")
	if got := a.header.Get("X-User"); got != "service-account-service" {
		t.Errorf("X-User is %q, want service-account-service", got)
	}
}

// TestBadTokenIsNoLogin checks that a browser with an invalid token gets 401 instead of a login.
func TestBadTokenIsNoLogin(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	v := newVisitor(t, g)
	a := v.call(g.url+"/", append([]string{"Authorization", "Bearer garbage"}, navigation...)...)
	if a.status != http.StatusUnauthorized || a.location() != "" {
		t.Errorf("a browser's bad token is answered %d to %q, want 401", a.status, a.location())
	}
}

// TestOnlyNavigationsLogIn checks that only a browser's navigation to a page starts a login.
func TestOnlyNavigationsLogIn(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up}}})
	v := newVisitor(t, g)
	for name, header := range map[string][]string{
		"curl":            {"Accept", "*/*"},
		"a fetch":         {"Accept", "text/html", "Sec-Fetch-Mode", "cors"},
		"a frame":         {"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"},
		"XMLHttpRequest":  {"Accept", "text/html", "X-Requested-With", "XMLHttpRequest"},
		"a prefetch":      {"Accept", "text/html", "Sec-Purpose", "prefetch"},
		"a JSON client":   {"Accept", "application/json"},
		"nothing said":    nil,
		"another scheme":  {"Authorization", "Basic am9objpkb2U="},
		"an empty bearer": {"Authorization", "Bearer"},
	} {
		a := v.call(g.url+"/", header...)
		challenge := a.header.Get("WWW-Authenticate")
		login := a.location() // of a script's page, for the script: no client follows the Location of a 401
		if a.status != http.StatusUnauthorized || login != "" && login != g.url+"/" || challenge == "" {
			t.Errorf("%s is answered %d to %q with WWW-Authenticate %q, want 401", name, a.status, a.location(), challenge)
		}
	}
	post := v.must(v.request(http.MethodPost, g.url+"/", "x=1", navigation...))
	if post.status != http.StatusUnauthorized {
		t.Errorf("a POST of a browser is answered %d, want 401", post.status)
	}
	if up.count() != 0 {
		t.Errorf("%d requests reached the upstream", up.count())
	}
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func reverse(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}
