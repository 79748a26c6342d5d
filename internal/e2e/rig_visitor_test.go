package e2e

import (
	"context"
	"crypto/tls"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A visitor is an HTTP client with cookies that doesn't follow redirects. It is faster than Chromium, and replaces it where pages
// don't have to be rendered.
type visitor struct {
	t     *testing.T
	http  *http.Client
	gates []*gate // whose logs must not contain its cookies and codes
}

// An answer is a response with its body.
type answer struct {
	status int
	header http.Header
	body   string
}

// location returns the target of a redirect, or "".
func (a answer) location() string { return a.header.Get("Location") }

func newVisitor(t *testing.T, gates ...*gate) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{
		MaxIdleConnsPerHost: 100, TLSClientConfig: &tls.Config{RootCAs: testCA.pool}, ExpectContinueTimeout: 30 * time.Second,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t: t, gates: gates, http: &http.Client{
		Transport: transport, Jar: loopbackJar{jar}, Timeout: 40 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// A loopbackJar sends Secure cookies to loopback over HTTP, as browsers do. Keycloak needs that.
type loopbackJar struct{ http.CookieJar }

func secure(u *url.URL) *url.URL {
	s := *u
	s.Scheme = "https"
	return &s
}

func (j loopbackJar) SetCookies(u *url.URL, c []*http.Cookie) { j.CookieJar.SetCookies(secure(u), c) }
func (j loopbackJar) Cookies(u *url.URL) []*http.Cookie       { return j.CookieJar.Cookies(secure(u)) }

// do sends a request and registers the cookies and codes of the response as secrets.
func (v *visitor) do(r *http.Request) (answer, error) {
	res, err := v.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	a := answer{res.StatusCode, res.Header, string(body)}
	for _, g := range v.gates {
		for _, c := range res.Cookies() {
			g.registerSecrets(c.Value)
		}
		if to, err := url.Parse(a.location()); err == nil {
			g.registerSecrets(to.Query().Get("code"))
		}
	}
	return a, err
}

func (v *visitor) request(method, address, body string, header ...string) *http.Request {
	v.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, address, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// navigation holds the header fields of a browser's navigation.
var navigation = []string{"Accept", "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode", "navigate",
	"Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "none"}

// must sends a request and fails the test if there is no response.
func (v *visitor) must(r *http.Request) answer {
	v.t.Helper()
	a, err := v.do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	return a
}

// browse sends a browser's navigation request.
func (v *visitor) browse(address string) answer {
	v.t.Helper()
	return v.must(v.request(http.MethodGet, address, "", navigation...))
}

// call sends an API client's GET request. header holds names and values of header fields, in turn.
func (v *visitor) call(address string, header ...string) answer {
	v.t.Helper()
	return v.must(v.request(http.MethodGet, address, "", header...))
}

var loginForm = regexp.MustCompile(`(?s)<form[^>]*id="kc-form-login"[^>]*action="([^"]+)"`)

// form opens a page that needs a login, follows the redirects to Keycloak's login form, and returns the form's action.
func (v *visitor) form(address string) (action string) {
	v.t.Helper()
	begun := v.browse(address)
	if begun.status != http.StatusFound {
		v.t.Fatalf("%s doesn't begin a login: %d %s", address, begun.status, begun.body)
	}
	form := v.browse(begun.location())
	found := loginForm.FindStringSubmatch(form.body)
	if found == nil {
		v.t.Fatalf("no login form at %s: %d %s", begun.location(), form.status, form.body)
	}
	return html.UnescapeString(found[1])
}

// submit submits Keycloak's login form and returns the redirect to the redirection endpoint with the code, without opening it.
func (v *visitor) submit(action, user string) (callback string) {
	v.t.Helper()
	fields := url.Values{"username": {user}, "password": {"doe"}}.Encode()
	sent := v.must(v.request(http.MethodPost, action, fields, "Content-Type", "application/x-www-form-urlencoded"))
	if sent.status != http.StatusFound {
		v.t.Fatalf("Keycloak didn't log %s in: %d %s", user, sent.status, sent.body)
	}
	return sent.location()
}

// authorize calls form and submit.
func (v *visitor) authorize(address, user string) (callback string) {
	v.t.Helper()
	return v.submit(v.form(address), user)
}

// logIn opens a page, logs in and returns the page.
func (v *visitor) logIn(address, user string) answer {
	v.t.Helper()
	back := v.browse(v.authorize(address, user))
	if back.status != http.StatusSeeOther || back.location() != address {
		v.t.Fatalf("the login of %s at %s ended with %d to %q: %s", user, address, back.status, back.location(), back.body)
	}
	reached := v.browse(address)
	if reached.status != http.StatusOK {
		v.t.Fatalf("after the login of %s, %s answers %d: %s", user, address, reached.status, reached.body)
	}
	return reached
}

var shownUser = regexp.MustCompile(`<span id="user">([^<]*)</span>`)

// user returns the user in the upstream's response.
func (a answer) user() string {
	if m := shownUser.FindStringSubmatch(a.body); m != nil {
		return m[1]
	}
	return ""
}
