package provider_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"sallyport/internal/provider"
)

// A redirectEndpoint is a client's redirection endpoint that stores its last request.
type redirectEndpoint struct {
	*httptest.Server
	method string
	form   url.Values
	header http.Header
}

func startClient(t *testing.T) *redirectEndpoint {
	c := &redirectEndpoint{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		c.method, c.form, c.header = r.Method, r.PostForm, r.Header
		w.Write([]byte("welcome"))
	}))
	t.Cleanup(c.Close)
	return c
}

// TestFormPost checks that LogIn submits the form of a form_post response, with and without a login form, and for an error.
func TestFormPost(t *testing.T) {
	client := startClient(t)
	callback := client.URL + "/cb?a=b&c=%22"
	p, _ := startWith(t, provider.Client{ID: "form", Secret: "s3cret", RedirectURIs: []string{callback}})
	c := oauthConfig(p, "form", "s3cret")
	c.RedirectURL = callback
	jar, _ := cookiejar.New(nil)
	b := &http.Client{Jar: jar}
	const state = `"><script>&amp; ü`
	for name, tc := range map[string]struct {
		more     []oauth2.AuthCodeOption
		expected string // error, or "" for a code
	}{
		"first login, or a second": {nil, ""},
		"with the form again":      {[]oauth2.AuthCodeOption{oauth2.SetAuthURLParam("prompt", "login")}, ""},
		"an error":                 {[]oauth2.AuthCodeOption{oauth2.SetAuthURLParam("max_age", "x")}, "invalid_request"},
	} {
		client.form = nil
		r, err := p.LogIn(b, c.AuthCodeURL(state, append(tc.more, oauth2.SetAuthURLParam("response_mode", "form_post"))...), "john", "doe")
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, r); got != "welcome" || client.method != http.MethodPost || client.form.Get("error") != tc.expected ||
			client.form.Get("state") != state ||
			client.form.Get("iss") != p.Issuer() || client.form.Has("code") != (tc.expected == "") {
			t.Errorf("%s: the client got %s %v and said %q", name, client.method, client.form, got)
		}
		if client.header.Get("Origin") != "null" || client.header.Get("Sec-Fetch-Site") != "cross-site" ||
			client.header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("%s: the client got the header %v", name, client.header)
		}
		if tc.expected == "" {
			if _, err := c.Exchange(t.Context(), client.form.Get("code")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	r, err := p.LogIn(b, c.AuthCodeURL(state, oauth2.SetAuthURLParam("response_mode", "form_post"),
		oauth2.SetAuthURLParam("prompt", "login")), "john", "wrong")
	if err != nil || r.StatusCode != http.StatusForbidden || !strings.Contains(text(t, r), `role="alert"`) {
		t.Errorf("a wrong password: got %v, %v", r, err)
	}
}

// TestFormPostPage checks that the policy allows the page's script, and that the script contains no data.
func TestFormPostPage(t *testing.T) {
	p, _ := start(t)
	p.AdjustAnswer(provider.Authorization, func(a map[string]any) { a["code"] = "</script><script>alert(1)" })
	b := browser(p)
	mustLogIn(t, p, b, oauthConfig(p, "app", "s3cret").AuthCodeURL("st"))
	r, err := b.Get(oauthConfig(p, "app", "s3cret").AuthCodeURL("st", oauth2.SetAuthURLParam("response_mode", "form_post")))
	if err != nil {
		t.Fatal(err)
	}
	body, policy := text(t, r), r.Header.Get("Content-Security-Policy")
	scripts := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(body, -1)
	if len(scripts) != 1 {
		t.Fatalf("expected one script in %s", body)
	}
	sum := sha256.Sum256([]byte(scripts[0][1]))
	if !strings.HasSuffix(policy, "script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
		t.Errorf("got the policy %q for the script %q", policy, scripts[0][1])
	}
	if r.Header.Get("Cache-Control") != "no-store" || !strings.Contains(body, `action="`+callback+`"`) ||
		!strings.Contains(body, `id="continue"`) {
		t.Errorf("got %v %s", r.Header, body)
	}
}
