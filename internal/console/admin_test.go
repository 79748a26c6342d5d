package console

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestWho checks who may read the console of the admin listener, and who gets the page to log in.
func TestWho(t *testing.T) {
	r := newRig(t)
	id := r.login()
	for what, c := range map[string]struct {
		token  string
		public bool // the listener isn't loopback
		edits  []edit
		status int
	}{
		"a login":                             {testToken, true, []edit{cookie(id)}, 200},
		"this machine":                        {testToken, false, []edit{from("127.0.0.1")}, 200},
		"this machine, no token configured":   {"", false, []edit{from("127.0.0.1")}, 200},
		"this machine, public, without token": {"", true, []edit{from("127.0.0.1")}, 404},
		"a stranger, public, without token":   {"", true, nil, 404},
		"a stranger, without token":           {"", false, nil, 403},
		"a stranger":                          {testToken, true, nil, 401},
		"a program":                           {testToken, true, []edit{with("Accept", "*/*")}, 401},
		"another cookie":                      {testToken, true, []edit{cookie(strings.Repeat("0", len(id)))}, 401},
		"an empty cookie":                     {testToken, true, []edit{cookie("")}, 401},
		"the token as cookie":                 {testToken, true, []edit{cookie(testToken)}, 401},
		"two cookies":                         {testToken, true, []edit{cookie(id), cookie(id)}, 401},
	} {
		r.token, r.listen = c.token, !c.public
		for _, page := range []string{"", "routes", "keys", "sessions", "refusals", "refusal?n=7"} {
			if got := r.get(page, c.edits...); got.Code != c.status {
				t.Errorf("%s: /console/%s is answered %d, want %d", what, page, got.Code, c.status)
			}
		}
		r.token = testToken
	}
}

// TestLoginEnds checks all that ends a login.
func TestLoginEnds(t *testing.T) {
	for what, end := range map[string]func(r *rig, id string){
		"time":        func(r *rig, _ string) { r.now = r.now.Add(15 * time.Minute) },
		"a new token": func(r *rig, _ string) { r.token = "another-token" },
		"no token":    func(r *rig, _ string) { r.token = "" },
		"a logout": func(r *rig, id string) {
			r.post("logout", url.Values{"form": {r.admin.formToken("login", id)}}, cookie(id))
		},
		"100 others": func(r *rig, _ string) {
			for range maxLogins {
				r.now = r.now.Add(100 * time.Millisecond)
				r.login()
			}
		},
	} {
		r := newRig(t)
		id := r.login()
		r.now = r.now.Add(14 * time.Minute)
		if got := r.get("", cookie(id)); got.Code != 200 {
			t.Fatalf("%s: the login is gone before: %d", what, got.Code)
		}
		end(r, id)
		if got := r.get("", cookie(id)); got.Code == 200 {
			t.Errorf("%s doesn't end the login", what)
		}
	}
}

// TestLogin checks the cookie, the attempts, and what the login page says.
func TestLogin(t *testing.T) {
	r := newRig(t)
	w := r.post("login", url.Values{"token": {testToken}})
	set := w.Header().Get("Set-Cookie")
	if !strings.HasSuffix(set, "; Path=/; Max-Age=900; HttpOnly; Secure; SameSite=Strict") || strings.Contains(set, testToken) ||
		!strings.HasPrefix(set, "__Host-sallyport_console=") || where(w) != "login?kept" {
		t.Errorf("a login sets %q and leads to %q", set, where(w))
	}
	if got := r.get("login?kept", cookie(w.Result().Cookies()[0].Value)); where(got) != "./" {
		t.Errorf("with the cookie: %d to %q, want the console", got.Code, where(got))
	}
	if got := r.get("login?kept"); got.Code != 401 || !strings.Contains(got.Body.String(), "hasn&#39;t kept the cookie") {
		t.Errorf("without the cookie: %d %s", got.Code, got.Body)
	}
	for what, edits := range map[string][]edit{
		"another site":     {with("Sec-Fetch-Site", "cross-site")},
		"another origin":   {with("Origin", "https://attacker.example.com")},
		"a null origin":    {with("Origin", "null")},
		"no origin":        {func(q *http.Request) { q.Header.Del("Origin") }},
		"over plain HTTP":  {with("X-Forwarded-Proto", "http", "Origin", "http://gate.example.com")},
		"a long form":      {func(q *http.Request) { *q = *request("POST", "login", url.Values{"x": {strings.Repeat("x", maxForm)}}) }},
		"the wrong token":  {func(q *http.Request) { *q = *request("POST", "login", url.Values{"token": {"wrong"}}) }},
		"an empty token":   {func(q *http.Request) { *q = *request("POST", "login", nil) }},
		"token in a query": {func(q *http.Request) { *q = *request("POST", "login?token="+testToken, nil) }},
	} {
		if got := r.post("login", url.Values{"token": {testToken}}, edits...); got.Code < 400 || got.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s is answered %d and sets %q", what, got.Code, got.Header().Get("Set-Cookie"))
		}
	}
}

// TestGuesses checks that a network waits after ten wrong tokens, also with the right one, and others don't.
func TestGuesses(t *testing.T) {
	r := newRig(t)
	for n := range 10 {
		if got := r.post("login", url.Values{"token": {fmt.Sprint(n)}}); got.Code != http.StatusUnauthorized {
			t.Fatalf("attempt %d is answered %d", n, got.Code)
		}
	}
	if got := r.post("login", url.Values{"token": {testToken}}); got.Code != 429 || got.Header().Get("Retry-After") == "" {
		t.Errorf("after ten wrong tokens: %d", got.Code)
	}
	if got := r.post("login", url.Values{"token": {testToken}}, from("198.51.100.1")); got.Code != http.StatusSeeOther {
		t.Errorf("from elsewhere: %d", got.Code)
	}
	r.now = r.now.Add(7 * time.Second)
	if got := r.post("login", url.Values{"token": {testToken}}); got.Code != http.StatusSeeOther {
		t.Errorf("later: %d", got.Code)
	}
	if len(r.logins) != 12 || r.logins[0] || !r.logins[11] {
		t.Errorf("reported are %v", r.logins)
	}
}

// TestPlainHTTP checks that the console takes no token over plain HTTP from another machine, and says what to do.
func TestPlainHTTP(t *testing.T) {
	r := newRig(t)
	for what, c := range map[string]struct {
		edits []edit
		asks  bool
	}{
		"plain":            {[]edit{with("X-Forwarded-Proto", "")}, false},
		"plain, by number": {[]edit{with("X-Forwarded-Proto", "", "Host", "192.0.2.9:9000")}, false},
		"https":            {nil, true},
		"localhost":        {[]edit{with("X-Forwarded-Proto", "", "Host", "localhost:9000")}, true},
		"loopback":         {[]edit{with("X-Forwarded-Proto", "", "Host", "[::1]:9000")}, true},
		"a lookalike":      {[]edit{with("X-Forwarded-Proto", "", "Host", "localhost.example.com")}, false},
	} {
		body := r.get("login", c.edits...).Body.String()
		if asks := strings.Contains(body, `name="token"`); asks != c.asks || strings.Contains(body, "ssh -L") == c.asks {
			t.Errorf("%s: the page is\n%s", what, body)
		}
	}
}
