package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func basic(name, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+secret))
}

// tokenCalls returns the number of token requests.
func tokenCalls(c *countingProxy) int { return c.count("/token") }

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	up, counting := startUpstream(t), startCountingProxy(t)
	g := startGate(t, config{routes: []route{{upstream: up, counting: counting, issuer: counting.issuer("sallyport"), oidc: []string{
		"auth_methods: [client_credentials]", "client_credentials_param_type: [header, body]"}}}})
	v := newVisitor(t, g)
	for range 2 {
		if a := v.call(g.url+"/", "Authorization", basic("service", serviceSecret)); a.status != http.StatusOK {
			t.Fatalf("answered %d: %s", a.status, a.body)
		}
	}
	if got := tokenCalls(counting); got != 1 {
		t.Errorf("two requests asked the token endpoint %d times, want 1", got)
	}
	if b := mustBearer(t, up.mustArrival(t, "/")); b.claim("azp") != "service" {
		t.Errorf("the upstream got the token %v", b.claims)
	}
	for range 2 {
		if a := v.call(g.url+"/", "Authorization", basic("service", "wrong")); a.status != http.StatusUnauthorized {
			t.Errorf("a wrong secret is answered %d", a.status)
		}
	}
	if got := tokenCalls(counting); got != 2 {
		t.Errorf("a wrong secret, twice, asked the token endpoint %d times, want 1", got-1)
	}
	form := url.Values{"client_id": {"service"}, "client_secret": {serviceSecret}, "keep": {"1"}}.Encode()
	a := v.must(v.request(http.MethodPost, g.url+"/form", form, "Content-Type", "application/x-www-form-urlencoded"))
	if arrived := up.mustArrival(t, "/form"); a.status != http.StatusOK || arrived.body != "keep=1" {
		t.Errorf("a form is answered %d and arrives as %q", a.status, arrived.body)
	}
}

func TestPassword(t *testing.T) {
	t.Parallel()
	up, counting := startUpstream(t), startCountingProxy(t)
	g := startGate(t, config{routes: []route{{upstream: up, counting: counting, issuer: counting.issuer("sallyport"), oidc: []string{
		"auth_methods: [password, client_credentials]"}}}})
	v := newVisitor(t, g)
	for range 2 {
		if a := v.call(g.url+"/", "Authorization", basic("john", "doe")); a.status != http.StatusOK || a.user() != "john" {
			t.Fatalf("john is answered %d as %q: %s", a.status, a.user(), a.body)
		}
		if a := v.call(g.url+"/", "Authorization", basic("service", serviceSecret)); a.status != http.StatusOK ||
			a.user() != "service-account-service" {
			t.Fatalf("the client service is answered %d as %q", a.status, a.user())
		}
	}
	if got := tokenCalls(counting); got != 3 { // john, and service as a user and then as a client
		t.Errorf("the token endpoint was asked %d times, want 3", got)
	}
	if a := v.call(g.url+"/admin", "Authorization", basic("jane", "doe")); a.status != http.StatusForbidden {
		t.Errorf("jane at /admin is answered %d", a.status)
	}
	if a := v.call(g.url+"/", "Authorization", basic("john", "wrong")); a.status != http.StatusUnauthorized {
		t.Errorf("a wrong password is answered %d", a.status)
	}
}

func TestIntrospection(t *testing.T) {
	t.Parallel()
	up, counting := startUpstream(t), startCountingProxy(t)
	g := startGate(t, config{routes: []route{
		{upstream: up, counting: counting, issuer: counting.issuer("sallyport"), client: "lightweight", secret: lightweightSecret,
			oidc: []string{"auth_methods: [introspection]", "cache_ttl_max: 2"}},
		{path: "/now", upstream: up, client: "lightweight", secret: lightweightSecret, oidc: []string{
			"auth_methods: [bearer]", "introspect_jwt_tokens: true", "cache_introspection: false"}},
	}})
	v, m := newVisitor(t, g), mustDiscover(t, keycloak.issuer("sallyport"))
	user := keycloak.admin.mustUser(t, "sallyport", "user")
	token := v.accessToken(mustDiscover(t, counting.issuer("sallyport")), clientSecretBasic("lightweight", lightweightSecret),
		passwordGrant(user))
	now := v.accessToken(m, clientSecretBasic("lightweight", lightweightSecret), passwordGrant(user))
	g.registerSecrets(token, now)
	for range 2 {
		if a := v.call(g.url+"/", "Authorization", "Bearer "+token); a.status != http.StatusOK || a.user() != user {
			t.Fatalf("answered %d as %q: %s", a.status, a.user(), a.body)
		}
	}
	if got := counting.count("/introspect"); got != 1 {
		t.Errorf("two requests introspected %d times, want 1", got)
	}
	if a := v.call(g.url+"/now", "Authorization", "Bearer "+now); a.status != http.StatusOK {
		t.Fatalf("introspect_jwt_tokens: answered %d", a.status)
	}
	keycloak.admin.mustLogOut(t, "sallyport", user)
	revoked := time.Now()
	if a := v.call(g.url+"/now", "Authorization", "Bearer "+now); a.status != http.StatusUnauthorized {
		t.Errorf("without a cache, a token of an ended session is answered %d", a.status)
	}
	mustAwait(t, 10*time.Second, "the token to stop", func() bool {
		return v.call(g.url+"/", "Authorization", "Bearer "+token).status == http.StatusUnauthorized
	})
	if took := time.Since(revoked); took > 4*time.Second {
		t.Errorf("with cache_ttl_max 2 the token stopped after %s", took)
	}
	// the aud of app's tokens doesn't contain lightweight, so Keycloak responds with active: false
	other := v.accessToken(m, clientSecretBasic("app", appSecret), passwordGrant("john"))
	g.registerSecrets(other)
	for _, bad := range []string{other, "garbage"} {
		if a := v.call(g.url+"/", "Authorization", "Bearer "+bad); a.status != http.StatusUnauthorized {
			t.Errorf("a token that isn't active is answered %d", a.status)
		}
	}
}

func TestUserinfo(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{
		{upstream: up, oidc: []string{"auth_methods: [userinfo]", "audience_required: any"}},
		{path: "/signed", upstream: up, client: "userinfo-signed", secret: userinfoSignedSecret, oidc: []string{
			"auth_methods: [userinfo]", "userinfo_accept: application/jwt", "upstream_user_info_jwt_header: X-Userinfo"}},
	}})
	v, m := newVisitor(t, g), mustDiscover(t, keycloak.issuer("sallyport"))
	token := v.accessToken(m, clientSecretBasic("app", appSecret), passwordGrant("john"))
	signed := v.accessToken(m, clientSecretBasic("userinfo-signed", userinfoSignedSecret), passwordGrant("john"))
	g.registerSecrets(token, signed)
	if a := v.call(g.url+"/", "Authorization", "Bearer "+token); a.status != http.StatusOK || a.user() != "john" {
		t.Errorf("answered %d as %q: %s", a.status, a.user(), a.body)
	}
	if a := v.call(g.url+"/signed", "Authorization", "Bearer "+signed); a.status != http.StatusOK || a.user() != "john" {
		t.Errorf("signed: answered %d as %q: %s", a.status, a.user(), a.body)
	}
	if b, _ := m.mustVerify(up.mustArrival(t, "/signed").header.Get("X-Userinfo")); b.claim("preferred_username") != "john" {
		t.Errorf("the upstream got userinfo of %q", b.claim("preferred_username"))
	}
	for path, bad := range map[string]string{"/": "garbage", "/signed": "garbage"} {
		if a := v.call(g.url+path, "Authorization", "Bearer "+bad); a.status != http.StatusUnauthorized {
			t.Errorf("%s with garbage is answered %d", path, a.status)
		}
	}
}

func TestRefreshTokenFlow(t *testing.T) {
	t.Parallel()
	up, counting := startUpstream(t), startCountingProxy(t)
	g := startGate(t, config{routes: []route{{upstream: up, counting: counting, issuer: counting.issuer("sallyport"), oidc: []string{
		"auth_methods: [refresh_token]", "refresh_token_param_name: refresh_token", "downstream_refresh_token_header: X-Refresh"}}}})
	v, m := newVisitor(t, g), mustDiscover(t, counting.issuer("sallyport"))
	old := v.ask(m.endpoint("token"), clientSecretBasic("app", appSecret), passwordGrant("john")).mustMember(t, "refresh_token")
	g.registerSecrets(old)
	before := tokenCalls(counting)
	fresh := ""
	for range 3 { // Keycloak would end the session at a second use
		a := v.call(g.url+"/", "Refresh-Token", old)
		if a.status != http.StatusOK || a.user() != "john" {
			t.Fatalf("answered %d: %s", a.status, a.body)
		}
		fresh = a.header.Get("X-Refresh")
	}
	if got := tokenCalls(counting) - before; got != 1 || fresh == "" || fresh == old {
		t.Errorf("three requests refreshed %d times, and gave back a token that is new: %v", got, fresh != old)
	}
	g.registerSecrets(fresh)
	if a := v.call(g.url+"/", "Refresh-Token", fresh); a.status != http.StatusOK {
		t.Errorf("the new refresh token is answered %d", a.status)
	}
	if a := v.call(g.url+"/", "Refresh-Token", "garbage"); a.status != http.StatusUnauthorized {
		t.Errorf("garbage is answered %d", a.status)
	}
}

func TestTokenExchange(t *testing.T) {
	t.Parallel()
	up, counting := startUpstream(t), startCountingProxy(t)
	issuer := counting.issuer("sallyport")
	g := startGate(t, config{routes: []route{{upstream: up, counting: counting, issuer: issuer, oidc: []string{
		"audience_required: exchange-target",
		fmt.Sprintf("token_exchange: {subject_token_issuers: [{issuer: %q, conditions: {missing_audience: [exchange-target]}}], "+
			"request: {audience: [exchange-target], scopes: [audience-exchange-target]}}", issuer)}}}})
	v, m := newVisitor(t, g), mustDiscover(t, issuer)
	subject := v.accessToken(m, clientSecretBasic("app", appSecret), passwordGrant("john"))
	g.registerSecrets(subject)
	before := tokenCalls(counting)
	for range 2 {
		if a := v.call(g.url+"/", "Authorization", "Bearer "+subject); a.status != http.StatusOK {
			t.Fatalf("answered %d: %s", a.status, a.body)
		}
	}
	if got := tokenCalls(counting) - before; got != 1 {
		t.Errorf("two requests exchanged %d times, want 1", got)
	}
	if b := mustBearer(t, up.mustArrival(t, "/")); b.raw == subject || !slices.Equal(b.audience(), []string{"exchange-target"}) {
		t.Errorf("the upstream got a token for %v", b.audience())
	}
	// a browser's session, too
	if a := v.logIn(g.url+"/page", "john"); a.status != http.StatusOK {
		t.Errorf("a session is answered %d", a.status)
	}
	if b := mustBearer(t, up.mustArrival(t, "/page")); !slices.Equal(b.audience(), []string{"exchange-target"}) {
		t.Errorf("with a session the upstream got a token for %v", b.audience())
	}
	// a token for another client is rejected without a request to the issuer
	asked := tokenCalls(counting)
	foreign := v.accessToken(mustDiscover(t, issuer), clientSecretBasic("app-short", appShortSecret), passwordGrant("john"))
	g.registerSecrets(foreign)
	if a := newVisitor(t, g).call(g.url+"/", "Authorization", "Bearer "+foreign); a.status != http.StatusUnauthorized {
		t.Errorf("a token for somebody else is answered %d", a.status)
	}
	if got := tokenCalls(counting) - asked; got != 1 { // of this test
		t.Errorf("a token for somebody else was exchanged %d times", got-1)
	}
}

// TestPrivateKeyJWT checks client authentication with keys that Keycloak fetches from the gate, also after a rotation.
func TestPrivateKeyJWT(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RS256", "ES256", "PS256", "EdDSA"} {
		t.Run(alg, func(t *testing.T) {
			t.Parallel()
			up := startUpstream(t)
			kong := keycloak.admin.mustCopy(t, "sallyport", "kong", nil)
			g := startGate(t, config{process: []string{"keys: {public_path: /keys}"},
				routes: []route{{upstream: up, client: kong, secret: "none", oidc: []string{
					"client_auth: private_key_jwt", "client_alg: " + alg,
					"auth_methods: [authorization_code, session, password, introspection]"}}}})
			keycloak.admin.mustChange(t, "sallyport", kong, map[string]string{"jwks.url": g.url + "/keys"})
			v := newVisitor(t, g)
			if a := v.call(g.url+"/", "Authorization", basic("john", "doe")); a.status != http.StatusOK || a.user() != "john" {
				t.Fatalf("password is answered %d: %s", a.status, a.body)
			}
			if a := v.must(v.request(http.MethodDelete, g.admin+"/openid-connect/jwks", "")); a.status != http.StatusNoContent {
				t.Fatalf("the rotation is answered %d: %s", a.status, a.body)
			}
			if a := v.call(g.url+"/", "Authorization", basic("jane", "doe")); a.status != http.StatusOK || a.user() != "jane" {
				t.Errorf("after a rotation password is answered %d: %s", a.status, a.body)
			}
			token := keycloak.mustServiceToken(t, "sallyport")
			g.registerSecrets(token)
			if a := v.call(g.url+"/", "Authorization", "Bearer "+token); a.status != http.StatusUnauthorized {
				t.Errorf("a token for others is answered %d", a.status)
			}
			v.logIn(g.url+"/page", "john")
		})
	}
}

func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	certFile, keyFile, _ := mustClientCert(t, "client-tls-auth")
	boundCert, boundKey, boundPair := mustClientCert(t, "anybody")
	up := startUpstream(t)
	for name, c := range map[string]route{
		"client_secret_post": {client: "app", secret: appSecret, oidc: []string{"client_auth: client_secret_post"}},
		"client_secret_jwt":  {client: "secret-jwt", secret: secretJWTSecret, oidc: []string{"client_auth: client_secret_jwt"}},
		"tls_client_auth": {client: "client-tls-auth", secret: "none", issuer: keycloak.issuerTLS("sallyport"),
			oidc: []string{"client_auth: tls_client_auth",
				"tls_client_auth_cert_file: " + certFile, "tls_client_auth_key_file: " + keyFile}},
		"a certificate for bound tokens": {client: "cert-bound", secret: certBoundSecret, issuer: keycloak.issuerTLS("sallyport"),
			oidc: []string{"tls_client_auth_cert_file: " + boundCert, "tls_client_auth_key_file: " + boundKey}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.upstream, c.oidc = up, append(c.oidc, "auth_methods: [password]")
			g := startGate(t, config{routes: []route{c}})
			v := newVisitor(t, g)
			a := v.call(g.url+"/"+url.PathEscape(name), "Authorization", basic("john", "doe"))
			if a.status != http.StatusOK || a.user() != "john" {
				t.Fatalf("answered %d as %q: %s", a.status, a.user(), a.body)
			}
			b := mustBearer(t, up.mustArrival(t, "/"+strings.ReplaceAll(url.PathEscape(name), "+", "%20")))
			if want := x5t(boundPair); c.client == "cert-bound" && b.confirmation("x5t#S256") != want {
				t.Errorf("the token is bound to %q, want %q", b.confirmation("x5t#S256"), want)
			}
		})
	}
}

// TestFormPost checks response_mode form_post in a real browser, which must send the login cookie with a cross-site POST.
func TestFormPost(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up, oidc: []string{"response_mode: form_post"}}}})
	john := newPerson(t, g)
	tab := john.newPage()
	tab.open(g.url + deepLink)
	tab.submit("john", "doe")
	tab.waitURL(g.url + deepLink)
	if got := tab.text("#user"); got != "john" {
		t.Errorf("the upstream says hello to %q, want john", got)
	}
	for _, address := range john.requested() {
		if strings.HasPrefix(address, g.url) && strings.Contains(address, "code=") {
			t.Errorf("a code was in an address: %s", address)
		}
	}
}

func TestRevocationAtLogout(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up, oidc: []string{"logout_revoke: true"}}}})
	v, m := newVisitor(t, g), mustDiscover(t, keycloak.issuer("sallyport"))
	v.logIn(g.url+"/page", "john")
	token := mustBearer(t, up.mustArrival(t, "/page")).raw
	active := func() any {
		return v.ask(m.endpoint("introspection"), clientSecretBasic("app", appSecret), url.Values{"token": {token}}).mustObject(t)["active"]
	}
	if active() != true {
		t.Fatal("the token isn't active before the logout")
	}
	if a := v.must(v.request(http.MethodPost, g.url+"/oauth2/logout", "", "Sec-Fetch-Site",
		"same-origin")); a.status != http.StatusSeeOther {
		t.Fatalf("the logout is answered %d", a.status)
	}
	if active() != false {
		t.Error("the token is active after the logout")
	}
}
