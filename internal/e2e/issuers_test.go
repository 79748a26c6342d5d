package e2e

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// TestTwoIssuersOnOneHost checks that a browser can have sessions of two routes with different issuers, and that neither a session
// nor a token is valid on the other route.
func TestTwoIssuersOnOneHost(t *testing.T) {
	t.Parallel()
	up, otherUp := startUpstream(t), startUpstream(t)
	g := startGate(t, config{routes: []route{
		{upstream: up},
		{upstream: otherUp, path: "/other", issuer: keycloak.issuer("other"), secret: otherAppSecret},
	}})
	both := newPerson(t, g)
	tab := both.newPage()
	tab.logIn(g.url+"/mine", "john")
	tab.open(g.url + "/other/page")
	if !keycloak.isLogin(tab.url(), "other") {
		t.Fatalf("john's session is good for the other route: the browser is at %s", tab.url())
	}
	tab.submit("olga", "doe")
	tab.waitURL(g.url + "/other/page")
	if got := tab.text("#user"); got != "olga" {
		t.Errorf("/other/page says hello to %q, want olga", got)
	}
	tab.open(g.url + "/mine/again")
	if got := tab.text("#user"); got != "john" {
		t.Errorf("/mine/again says hello to %q, want john", got)
	}
	if got := mustBearer(t, otherUp.mustArrival(t, "/other/page")).claim("iss"); got != keycloak.issuer("other") {
		t.Errorf("the other route's upstream got a token of %s", got)
	}
	for _, a := range append(up.all(), otherUp.all()...) {
		if strings.Contains(a.header.Get("Cookie"), "session_") {
			t.Errorf("a session's cookie reached an upstream at %s: %s", a.uri, cookieNames(a.header))
		}
	}

	// A logout ends one session only.
	tab.open(g.url + "/other/oauth2/logout")
	tab.open(g.url + "/mine/still")
	if got := tab.text("#user"); got != "john" {
		t.Errorf("after the other route's logout, /mine/still says hello to %q", got)
	}
	tab.open(g.url + "/other/page")
	tab.waitFor("#kc-login")
}

func TestTokensStayWithTheirIssuer(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{
		{upstream: up},
		{upstream: up, path: "/other", issuer: keycloak.issuer("other"), secret: otherAppSecret},
	}})
	v := newVisitor(t, g)
	mine, other := keycloak.mustServiceToken(t, "sallyport"), keycloak.mustServiceToken(t, "other")
	g.registerSecrets(mine, other)
	for _, c := range []struct {
		path, token string
		status      int
	}{
		{"/api", mine, http.StatusOK}, {"/other/api", other, http.StatusOK},
		{"/api", other, http.StatusUnauthorized}, {"/other/api", mine, http.StatusUnauthorized},
	} {
		if a := v.call(g.url+c.path, "Authorization", "Bearer "+c.token); a.status != c.status {
			t.Errorf("%s: answered %d, want %d", c.path, a.status, c.status)
		}
	}
}

func cookieNames(h http.Header) (names []string) {
	for _, c := range (&http.Request{Header: h}).Cookies() {
		names = append(names, c.Name)
	}
	return names
}

// oneRoute returns a route with two issuers: the realms sallyport (one) and other (two), behind counting proxies.
func oneRoute(up *upstream, one, two *countingProxy, more string, rules ...string) []route {
	return []route{{upstream: up, counting: one, rules: rules, oidc: []string{
		"login_issuer_arg: realm",
		"upstream_headers: [{header: X-User, path: [preferred_username]}, {header: X-Issuer, path: [iss]}]",
		"issuers:",
		fmt.Sprintf("  - {name: one, title: Employees, issuer: %q, client_id: app, client_secret: %s%s}", one.issuer("sallyport"),
			appSecret, more),
		fmt.Sprintf("  - {name: two, issuer: %q, client_id: app, client_secret: %s, login_domains: [partner.example.com], "+
			"roles_claim: [groups]}", two.issuer("other"), otherAppSecret),
	}}}
}

// TestTokensOfTwoRealmsOnOneRoute checks that the keys and requirements of the token's realm apply, and the rules, each of which is
// for one of the two realms.
func TestTokensOfTwoRealmsOnOneRoute(t *testing.T) {
	t.Parallel()
	up, one, two := startUpstream(t), startCountingProxy(t), startCountingProxy(t)
	g := startGate(t, config{routes: oneRoute(up, one, two, ", roles_required: [user]",
		"{paths: [/staff], groups_required: [/staff]}",
		"{paths: [/partners], groups_required: [/partners]}",
		"{paths: [/roles], roles_required: [admin, /partners]}", // realm_access.roles of one, groups of two
		fmt.Sprintf("{paths: [/one], allow: 'token.issuer == %q'}", one.issuer("sallyport")),
		fmt.Sprintf("{paths: [/two], allow: 'claims.iss == %q && \"admin\" in claims.realm_access.roles'}", two.issuer("other")),
	)})
	keycloak.admin.mustGroup(t, "other", "partners")
	partner := keycloak.admin.mustMember(t, "other", "/partners", "admin")
	norole := keycloak.admin.mustMember(t, "sallyport", "/staff")
	v := newVisitor(t, g)
	tokens := map[string]string{
		"john":    v.accessToken(mustDiscover(t, one.issuer("sallyport")), clientSecretBasic("app", appSecret), passwordGrant("john")),
		"norole":  v.accessToken(mustDiscover(t, one.issuer("sallyport")), clientSecretBasic("app", appSecret), passwordGrant(norole)),
		"partner": v.accessToken(mustDiscover(t, two.issuer("other")), clientSecretBasic("app", otherAppSecret), passwordGrant(partner)),
	}
	for _, c := range []struct {
		path, who string
		status    int
	}{
		{"/", "john", 200}, {"/", "partner", 200},
		{"/", "norole", 403}, // this entry requires the role user, that of partner nothing
		{"/staff", "john", 200}, {"/staff", "partner", 403},
		{"/partners", "john", 403}, {"/partners", "partner", 200},
		{"/roles", "john", 200}, {"/roles", "partner", 200}, {"/admin", "john", 200}, {"/admin", "partner", 403},
		{"/one", "john", 200}, {"/one", "partner", 403},
		{"/two", "john", 403}, {"/two", "partner", 200},
	} {
		token := tokens[c.who]
		g.registerSecrets(token)
		before := up.count()
		if a := v.call(g.url+c.path, "Authorization", "Bearer "+token); a.status != c.status {
			t.Errorf("%s at %s is answered %d, want %d: %s", c.who, c.path, a.status, c.status, a.body)
		}
		if passed := up.count() > before; passed != (c.status == http.StatusOK) {
			t.Errorf("%s at %s is answered %d, and reached the upstream: %v", c.who, c.path, c.status, passed)
		}
	}
}

// TestForgedIssuers checks that a key of one realm never verifies a token with the iss of another.
func TestForgedIssuers(t *testing.T) {
	t.Parallel()
	up, one, two := startUpstream(t), startCountingProxy(t), startCountingProxy(t)
	key := keycloak.admin.mustKnowKey(t, "other")
	g := startGate(t, config{routes: oneRoute(up, one, two, "")})
	v := newVisitor(t, g)
	johns := v.accessToken(mustDiscover(t, one.issuer("sallyport")), clientSecretBasic("app", appSecret), passwordGrant("john"))
	olgas := v.accessToken(mustDiscover(t, two.issuer("other")), clientSecretBasic("app", otherAppSecret), passwordGrant("olga"))
	signed := func(token, issuer string) string {
		claims := maps.Clone(mustRead(t, token).claims)
		claims["iss"] = issuer
		return mustSign(t, jose.SigningKey{Algorithm: jose.RS256, Key: key}, "JWT", claims)
	}
	for name, c := range map[string]struct {
		token, reason string
	}{
		"john's":                                {johns, ""},
		"olga's":                                {olgas, ""},
		"olga's, signed by that key of other's": {signed(olgas, two.issuer("other")), ""},
		"john's, signed by it":                  {signed(johns, one.issuer("sallyport")), "token_invalid"},
		"olga's, signed by it as sallyport's":   {signed(olgas, one.issuer("sallyport")), "token_invalid"},
		"john's, rewritten to other":            {rewritten(t, johns, two.issuer("other")), "token_invalid"},
		"olga's, rewritten to sallyport":        {rewritten(t, olgas, one.issuer("sallyport")), "token_invalid"},
		"olga's, rewritten to nobody":           {rewritten(t, olgas, one.issuer("nobody")), "token_issuer"},
		"olga's, of Keycloak itself":            {signed(olgas, keycloak.issuer("other")), "token_issuer"},
	} {
		g.registerSecrets(c.token)
		a := v.call(g.url+"/", "Authorization", "Bearer "+c.token)
		want := http.StatusOK
		if c.reason != "" {
			want = http.StatusUnauthorized
		}
		if a.status != want {
			t.Errorf("%s: answered %d, want %d: %s", name, a.status, want, a.body)
		}
		if want == http.StatusOK {
			continue
		}
		if line := g.mustLine(t, a); line.text("reason") != c.reason {
			t.Errorf("%s: the log's reason is %q, want %q: %v", name, line.text("reason"), c.reason, line)
		}
	}
}

// rewritten returns a JWT with another iss and the original signature.
func rewritten(t *testing.T, token, issuer string) string {
	t.Helper()
	claims := maps.Clone(mustRead(t, token).claims)
	claims["iss"] = issuer
	payload, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(token, ".")
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + parts[2]
}

// TestChooserOfRealms checks that a browser without a session chooses a realm, and returns to the requested page as a user of that
// realm.
func TestChooserOfRealms(t *testing.T) {
	t.Parallel()
	up, one, two := startUpstream(t), startCountingProxy(t), startCountingProxy(t)
	g := startGate(t, config{routes: oneRoute(up, one, two, "", "{paths: [/partners], login_issuer: two}")})
	for choice, c := range map[string]struct{ user, issuer string }{
		"Employees": {"john", one.issuer("sallyport")}, "two": {"olga", two.issuer("other")},
	} {
		tab := newPerson(t, g).newPage()
		tab.open(g.url + deepLink)
		if tab.status() != http.StatusUnauthorized || tab.text("h1") != "Log in" {
			t.Fatalf("where one chooses is %d %q", tab.status(), tab.text("h1"))
		}
		if choice == "two" {
			tab.shoot("chooser")
		}
		tab.click("text=" + choice)
		tab.mustBeAt(c.issuer)
		tab.submit(c.user, "doe")
		tab.waitURL(g.url + deepLink)
		if a := up.mustArrival(t, deepLink); tab.text("#user") != c.user || a.header.Get("X-Issuer") != c.issuer {
			t.Errorf("after the choice of %s the upstream got %s of %s", choice, tab.text("#user"), a.header.Get("X-Issuer"))
		}
	}

	// The request or the rule can choose the realm.
	for address, c := range map[string]struct{ user, issuer string }{
		"/a?realm=one": {"john", one.issuer("sallyport")},
		"/a?realm=two": {"olga", two.issuer("other")},
		"/a?login_hint=somebody%40Partner.example.com": {"olga", two.issuer("other")},
		"/partners/x?realm=one":                        {"olga", two.issuer("other")}, // the rule takes precedence
	} {
		tab := newPerson(t, g).newPage()
		tab.open(g.url + address)
		tab.mustBeAt(c.issuer)
		tab.submit(c.user, "doe")
		tab.waitFor("#user")
		if got := tab.text("#user"); got != c.user || !strings.HasPrefix(tab.url(), g.url) {
			t.Errorf("%s ends at %s as %q, want %s", address, tab.url(), got, c.user)
		}
	}
	for _, address := range []string{"/a?login_hint=jane%40example.com", "/a?realm=nobody"} {
		header := []string{"Accept", "text/html"}
		g.mustRule(t, newVisitor(t, g), ruling{path: address, header: header, status: http.StatusUnauthorized, reason: "issuer_not_chosen"},
			"")
		if a := newVisitor(t, g).browse(g.url + address); a.status != http.StatusUnauthorized || !strings.Contains(a.body, "Choose where") {
			t.Errorf("%s is answered %d, want the page where one chooses: %s", address, a.status, a.body)
		}
	}
}

// mustBeAt checks that the page is the login form of a realm.
func (p *page) mustBeAt(issuer string) {
	p.t.Helper()
	p.waitFor("#kc-login")
	if !strings.HasPrefix(p.url(), issuer+"/protocol/openid-connect/auth") {
		p.t.Fatalf("the browser is at %s, want the login form of %s", p.url(), issuer)
	}
}

// TestSessionsRememberTheirRealm checks that a session is refreshed and ended at the realm where it started.
func TestSessionsRememberTheirRealm(t *testing.T) {
	t.Parallel()
	up, one, two := startUpstream(t), startCountingProxy(t), startCountingProxy(t)
	short := keycloak.admin.mustCopy(t, "other", "app", map[string]string{"access.token.lifespan": "10"})
	routes := oneRoute(up, one, two, "", "{paths: [/strong], acr_values: [platinum]}")
	routes[0].oidc = append(routes[0].oidc[:2:2], "issuers:",
		fmt.Sprintf("  - {name: one, issuer: %q, client_id: app-short, client_secret: %s}", one.issuer("sallyport"), appShortSecret),
		fmt.Sprintf("  - {name: two, issuer: %q, client_id: %s, client_secret: %s}", two.issuer("other"), short, otherAppSecret))
	g := startGate(t, config{routes: routes})
	john, olga := newPerson(t, g), newPerson(t, g)
	johns, olgas := john.newPage(), olga.newPage()
	for name, tab := range map[string]*page{"one": johns, "two": olgas} {
		tab.open(g.url + "/" + name + "?realm=" + name)
		tab.submit(map[string]string{"one": "john", "two": "olga"}[name], "doe")
		tab.waitURL(g.url + "/" + name)
	}
	until(t, mustBearer(t, up.mustArrival(t, "/two")).expiry().Add(time.Second))
	until(t, mustBearer(t, up.mustArrival(t, "/one")).expiry().Add(time.Second))
	for _, c := range []struct {
		tab      *page
		user     string
		one, two int64
	}{{olgas, "olga", 0, 1}, {johns, "john", 1, 1}} {
		c.tab.open(g.url + "/after")
		if c.tab.url() != g.url+"/after" || c.tab.text("#user") != c.user {
			t.Fatalf("%s's session was lost: the browser is at %s", c.user, c.tab.url())
		}
		if one.refreshes.Load() != c.one || two.refreshes.Load() != c.two || one.refused.Load()+two.refused.Load() != 0 {
			t.Errorf("after %s: sallyport was asked for %d refreshes and other for %d, want %d and %d; %d were refused", c.user,
				one.refreshes.Load(), two.refreshes.Load(), c.one, c.two, one.refused.Load()+two.refused.Load())
		}
	}
	olgas.open(g.url + "/strong")
	olgas.mustBeAt(two.issuer("other")) // without a choice of the realm
	for _, c := range []struct {
		person        *person
		tab           *page
		mine, foreign string
		again         string
	}{{olga, olgas, two.issuer("other"), one.issuer("sallyport"), "two"}, {john, johns, one.issuer("sallyport"), two.issuer("other"),
		"one"}} {
		c.tab.open(g.url + "/oauth2/logout")
		c.tab.waitFor("text=You are logged out")
		requested := c.person.requested()
		ends := func(issuer string) bool {
			return slices.ContainsFunc(requested, func(u string) bool {
				return strings.HasPrefix(u, issuer+"/protocol/openid-connect/logout")
			})
		}
		if !ends(c.mine) || ends(c.foreign) {
			t.Errorf("the logout led to %v", requested)
		}
		c.tab.open(g.url + "/?realm=" + c.again)
		c.tab.mustBeAt(c.mine) // the session at the realm has ended, too
	}
}

// mustGroup creates a group in a realm until the test ends.
func (a *admin) mustGroup(t *testing.T, realm, name string) {
	t.Helper()
	a.mustDo(t, http.MethodPost, "/"+realm+"/groups", object{"name": name}, nil)
	id := a.mustFind(t, "/"+realm+"/groups", url.Values{"search": {name}, "exact": {"true"}})["id"].(string)
	t.Cleanup(func() { a.mustDo(t, http.MethodDelete, "/"+realm+"/groups/"+id, nil, nil) })
}

// mustMember creates a user like mustUser, as a member of a group.
func (a *admin) mustMember(t *testing.T, realm, group string, roles ...string) (username string) {
	t.Helper()
	username = a.mustUser(t, realm, roles...)
	id := a.mustFind(t, "/"+realm+"/groups", url.Values{"search": {strings.TrimPrefix(group, "/")}, "exact": {"true"}})["id"].(string)
	a.mustDo(t, http.MethodPut, a.userPath(t, realm, username)+"/groups/"+id, nil, nil)
	return username
}

// mustKnowKey adds a key to a realm until the test ends and returns the private key. The realm publishes it, but doesn't sign with
// it.
func (a *admin) mustKnowKey(t *testing.T, realm string) *jose.JSONWebKey {
	t.Helper()
	key := mustKey(t, jose.RS256)
	der, err := x509.MarshalPKCS8PrivateKey(key.Key.(*rsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	var found object
	a.mustDo(t, http.MethodGet, "/"+realm, nil, &found)
	name := unique("known")
	a.mustDo(t, http.MethodPost, "/"+realm+"/components", object{
		"name": name, "providerId": "rsa", "providerType": "org.keycloak.keys.KeyProvider", "parentId": found["id"],
		"config": object{"priority": []string{"-1"}, "active": []string{"false"},
			"privateKey": []string{string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))}},
	}, nil)
	component := a.mustFind(t, "/"+realm+"/components", url.Values{"name": {name}})["id"].(string)
	t.Cleanup(func() { a.mustDo(t, http.MethodDelete, "/"+realm+"/components/"+component, nil, nil) })
	var keys struct {
		Keys []struct{ Kid, ProviderID string }
	}
	a.mustDo(t, http.MethodGet, "/"+realm+"/keys", nil, &keys)
	for _, k := range keys.Keys {
		if k.ProviderID == component {
			key.KeyID = k.Kid
			return &key
		}
	}
	t.Fatalf("Keycloak doesn't show the key %s", name)
	return nil
}
