package provider_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"sallyport/internal/provider"
)

func whoami(t *testing.T, target string, header http.Header, now time.Time) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header = header
	w := httptest.NewRecorder()
	h := provider.Whoami(provider.WhoamiConfig{LogoutPath: "/x/logout", Hint: "Hello <you>", Now: func() time.Time { return now }})
	h.ServeHTTP(w, r)
	return w
}

func TestWhoamiPage(t *testing.T) {
	p, clock := start(t)
	now := clock.Now()
	access := p.AccessToken("john", "app", map[string]any{"note": `<script>alert(1)</script>`, "exp": now.Unix() + 95})
	id := p.IDToken("john", "app", map[string]any{"exp": now.Unix() - 7200})
	session := "0123456789abcdefghijklmnopqrstuvwxyz"
	w := whoami(t, "/admin?token="+access, http.Header{
		"Accept": {"text/html"}, "Authorization": {"Bearer " + access}, "X-Id-Token": {id}, "X-Forwarded-Access-Token": {access},
		"Cookie": {"session_1=" + session + "; " + session}, "X-Custom": {"see " + id}, "X-User": {"john"},
	}, time.Unix(now.Unix(), 0))
	body := w.Body.String()
	for _, expected := range []string{
		"<title>Sallyport demo</title>", "John Doe", "john@example.com", "<li>admin</li><li>staff</li>",
		`action="/x/logout"`, `method="post"`,
		"expires in 1 minute 35 seconds", "expired 2 hours ago", "realm_access.roles", "&lt;script&gt;", "Hello &lt;you&gt;",
		"X-User", `href="/api/whoami"`,
	} {
		if !strings.Contains(body, expected) {
			t.Errorf("expected %q in the page", expected)
		}
	}
	for _, secret := range []string{access, id, session, access[strings.LastIndex(access, ".")+1:], "<script"} {
		if strings.Contains(body, secret) {
			t.Errorf("the page shows %q", secret)
		}
	}
	if policy := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("got the policy %q", policy)
	}
}

func TestWhoamiNobody(t *testing.T) {
	body := whoami(t, "/public", http.Header{"Accept": {"text/html"}}, time.Now()).Body.String()
	if !strings.Contains(body, "An anonymous request") || strings.Contains(body, `id="logout"`) || strings.Contains(body, `id="tokens"`) {
		t.Errorf("got %s", body)
	}
}

func TestWhoamiJSON(t *testing.T) {
	p, _ := start(t)
	access := p.AccessToken("john", "app", nil)
	up := httptest.NewServer(provider.Whoami(provider.WhoamiConfig{}))
	defer up.Close()
	_, answer := get(t, up.URL+"/some/path?a=b", access)
	user, claims := answer["user"], answer["claims"].(map[string]any)
	if answer["method"] != "GET" || answer["path"] != "/some/path" || answer["query"] != "a=b" || user != "John Doe" ||
		claims["sub"] != "u-1" {
		t.Errorf("got %v", answer)
	}
	if got, _ := answer["headers"].(map[string]any)["Authorization"].(string); !strings.HasPrefix(got, "Bearer eyJ") || len(got) > 60 {
		t.Errorf("got the header %q", got)
	}
	for name, value := range map[string]string{
		"none": "", "opaque": "Bearer abcdefghijkl", "no JSON": "Bearer eyJhbGciOiJub25lIn0.AAAA.x",
		"another scheme": "Basic abc", "empty": "Bearer ",
		"odd dates": "Bearer " + p.SignJWT(map[string]any{"exp": "soon", "iat": -1, "auth_time": 1e300, "name": "",
			"sub": map[string]any{}}),
	} {
		for _, accept := range []string{"text/html", "application/json"} {
			if w := whoami(t, "/", http.Header{"Accept": {accept}, "Authorization": {value}}, time.Now()); w.Code != http.StatusOK {
				t.Errorf("%s, %s: got %d", name, accept, w.Code)
			}
		}
	}
}
