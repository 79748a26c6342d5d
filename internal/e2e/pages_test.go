package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// look saves screenshots of the page for a phone and a desktop, light and dark, and returns usability faults: clipped content, low
// contrast, small targets and errors of the browser. See browser/look.mjs.
func (p *page) look(name string) (faults []string) {
	p.t.Helper()
	for _, size := range [][2]int{{390, 844}, {1280, 800}} {
		for scheme, dark := range map[string]bool{"light": false, "dark": true} {
			file := fmt.Sprintf("page-%s-%d-%s.png", name, size[0], scheme)
			var found []string
			p.must("look", args{"path": filepath.Join(screenshots, file), "width": size[0], "height": size[1], "dark": dark}, &found)
			for _, f := range found {
				faults = append(faults, file+": "+f)
			}
		}
	}
	return faults
}

// mustLook checks that a page has no faults, and its status and heading.
func (p *page) mustLook(name string, status int, heading string) {
	p.t.Helper()
	if got := p.text("h1"); p.status() != status || got != heading {
		p.t.Errorf("%s: the browser shows %d %q at %s, want %d %q", name, p.status(), got, p.url(), status, heading)
	}
	for _, fault := range p.look(name) {
		p.t.Error(fault)
	}
}

// follow opens an address through a link on another site.
func (p *page) follow(address string) {
	p.t.Helper()
	p.open("data:text/html," + url.PathEscape(fmt.Sprintf("<a id=link href=%q>x</a>", address)))
	p.click("#link")
	p.waitURL(address)
}

const consentRequest = "/oauth2/authorize?response_type=code&client_id=webapp&scope=read&code_challenge_method=S256" +
	"&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&redirect_uri="

// pageRoutes returns routes that together show every page of the gate. /nowhere is not a route.
func pageRoutes(up *upstream) []route {
	away := urlOf(freeport.Port())
	return []route{
		{upstream: up, path: "/app", oidc: []string{"auth_methods: [authorization_code, session, kong_oauth2]"}},
		{upstream: up, path: "/program", oidc: []string{"auth_methods: [bearer]"}},
		{upstream: up, path: "/away", issuer: away},
		{upstream: up, path: "/misset", secret: "a-wrong-secret", oidc: []string{"session_audience: misset"}},
		{upstream: &upstream{url: away}, path: "/broken"},
		{upstream: up, path: "/local", oidc: []string{ // an issuer without an end session endpoint
			"using_pseudo_issuer: true", fmt.Sprintf("authorization_endpoint: %q",
				keycloak.issuer("sallyport")+"/protocol/openid-connect/auth"),
			fmt.Sprintf("token_endpoint: %q", keycloak.issuer("sallyport")+"/protocol/openid-connect/token"),
			fmt.Sprintf("jwks_endpoint: %q", keycloak.issuer("sallyport")+"/protocol/openid-connect/certs"),
		}},
		{upstream: up, path: "/choose", client: "null", secret: "none", oidc: []string{"issuer: null", "scopes: null", "issuers: [" +
			fmt.Sprintf("{name: main, title: Employees, issuer: %q, client_id: app, client_secret: %q}, ", keycloak.issuer("sallyport"),
				appSecret) +
			fmt.Sprintf("{name: other, title: Partners of the other realm, issuer: %q, client_id: app, client_secret: %q}]",
				keycloak.issuer("other"), otherAppSecret)}},
	}
}

// TestEveryPage checks the usability of all pages, built-in and in configs/pages, without scripts.
func TestEveryPage(t *testing.T) {
	for name, line := range map[string]string{"builtin": "", "own": fmt.Sprintf("pages: %q", filepath.Join(root, "configs/pages"))} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := startUpstream(t)
			client := fmt.Sprintf("{client_id: webapp, name: The web application, public: true, grants: [authorization_code], "+
				"scopes: [read, write], redirect_uris: [%s/cb]}", up.url)
			g := startGate(t, config{process: []string{line, "oauth2: {scopes: [read, write], clients: [" + client + "]}"},
				routes: pageRoutes(up)})
			tab := newPersonWith(t, args{"script": false}, g).newPage()
			lookAtRefusals(tab, name, g)
			lookAtQuestions(tab, name, g, up)
		})
	}
}

func lookAtRefusals(tab *page, name string, g *gate) {
	for _, c := range []struct {
		name, path string
		status     int
	}{
		{"400", "/app/a%2Fb", http.StatusBadRequest},
		{"401", "/program", http.StatusUnauthorized},
		{"404", "/nowhere", http.StatusNotFound},
		{"502", "/broken/public", http.StatusBadGateway},
		{"503", "/away", http.StatusServiceUnavailable},
	} {
		tab.open(g.url + c.path)
		tab.mustLook(name+"-"+c.name, c.status, http.StatusText(c.status))
	}
	tab.click("text=Try again")
	tab.waitURL(g.url + "/away")
	tab.open(g.url + "/app/oauth2/callback?code=x&state=y")
	tab.mustLook(name+"-callback", http.StatusBadRequest, "Your browser didn't send the login's cookie")
}

func lookAtQuestions(tab *page, name string, g *gate, up *upstream) {
	tab.open(g.url + "/choose/page")
	tab.mustLook(name+"-choose", http.StatusUnauthorized, "Log in")
	tab.click("text=Partners of the other realm")
	tab.waitFor("#kc-login")
	if !keycloak.isLogin(tab.url(), "other") {
		tab.t.Errorf("the choice leads to %s", tab.url())
	}

	tab.logIn(g.url+"/app/page", "jane")
	tab.open(g.url + "/app/admin")
	tab.mustLook(name+"-403", http.StatusForbidden, "Forbidden")
	tab.open(g.url + "/misset/page") // with a session Keycloak redirects at once
	tab.mustLook(name+"-not-set-up", http.StatusInternalServerError, "Not set up correctly")

	ask := g.url + "/app" + consentRequest + url.QueryEscape(up.url+"/cb")
	tab.open(ask)
	tab.mustLook(name+"-consent", http.StatusOK, "Allow access?")
	tab.click("button[name=refuse]")
	tab.waitFor("#uri")
	if got := tab.text("#uri"); !strings.Contains(got, "error=access_denied") {
		tab.t.Errorf("the refusal leads to %s", got)
	}
	tab.open(ask)
	tab.click("form button:not([name])")
	tab.waitFor("#uri")
	if got := tab.text("#uri"); !strings.Contains(got, "code=") {
		tab.t.Errorf("the consent leads to %s", got)
	}

	tab.follow(g.url + "/app/oauth2/logout")
	tab.mustLook(name+"-logout", http.StatusOK, "Log out?")
	tab.click("form button")
	tab.waitFor("text=logged out") // Keycloak's page: its session has ended, too
	tab.follow(g.url + "/local/oauth2/logout")
	tab.click("form button")
	tab.mustLook(name+"-logged-out", http.StatusOK, "Logged out")
}

var demoAddress = regexp.MustCompile(`Open +(http://localhost:\d+)/`)

// TestDemoPages checks the pages of the demo: the provider's login form and the upstream's page.
func TestDemoPages(t *testing.T) {
	t.Parallel()
	log := &logBuffer{}
	demo, err := startProcess(log, nil, binary, "demo", "-listen", fmt.Sprintf("127.0.0.1:%d", freeport.Port()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(demo.kill)
	mustAwait(t, 30*time.Second, "the demo says where it is", func() bool { return demoAddress.MatchString(log.String()) })
	address := demoAddress.FindStringSubmatch(log.String())[1]
	tab := newPersonWith(t, args{"script": false}).newPage()

	tab.open(address + "/public")
	tab.mustLook("demo-public", http.StatusOK, "An anonymous request")
	tab.click("#login")
	tab.waitFor("#password")
	tab.mustLook("demo-login", http.StatusOK, "Log in")
	tab.fill("#username", "bob")
	tab.fill("#password", "wrong")
	tab.click("#login")
	tab.waitFor("#complaint")
	tab.mustLook("demo-login-wrong", tab.status(), "Log in")
	tab.fill("#password", "bob")
	tab.click("#login")
	tab.waitFor("#tokens")
	tab.mustLook("demo", http.StatusOK, "Bob Brown")
	tab.open(address + "/admin")
	tab.mustLook("demo-403", http.StatusForbidden, "Forbidden")
	tab.open(address + "/")
	tab.click("#logout")
	tab.waitFor("#login")
	tab.open(address + "/")
	tab.waitFor("#password") // no session at the gate or the provider
}

// TestLookFindsFaults checks look with a page that has every fault and a page without faults.
func TestLookFindsFaults(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-n'")
		if r.URL.Path == "/good" {
			fmt.Fprint(w, `<!doctype html><html lang="en"><meta name="viewport" content="width=device-width"><title>Good</title>
<style nonce="n">:root{color-scheme:light dark}a{display:block;padding:20px}p a{display:inline;padding:0}</style>
<h1>Good</h1><p>A sentence with <a href="#a">a link</a> in it.</p><a href="#b">A link</a>`)
			return
		}
		fmt.Fprint(w, `<!doctype html><html><meta name="viewport" content="width=device-width"><title> </title>
<style nonce="n">body{background:#777}p{color:#888;width:1500px}i{position:absolute;left:-20px}</style><style>h2{color:red}</style>
<h1>One</h1><h1>Two</h1><p>Pale</p><i>Beyond</i><a href="#a">Low</a> <input><img src="/x.png">`)
	}))
	t.Cleanup(server.Close)
	tab := newPersonWith(t, args{"script": false}).newPage()
	tab.open(server.URL + "/good")
	if faults := tab.look("without-faults"); len(faults) > 0 {
		t.Error(faults)
	}
	tab.open(server.URL + "/bad")
	faults := tab.look("with-faults")
	for _, want := range []string{
		"px wide in a window of 390", "no title", "its language", "it has 2 h1", "the scheme is light", "the scheme is dark",
		`the contrast of <p> "Pale"`, `<i> "Beyond" is cut off`, `<a> "Low" is`, "has no label", "Content Security Policy",
	} {
		if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, want) }) {
			t.Errorf("it doesn't find %q, but %s", want, strings.Join(faults, "\n"))
		}
	}
}
