package e2e

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestForwardAuth checks that each proxy, with the configuration that sallyport snippet prints or the Helm chart has, lets through what the
// gate lets through, with the gate's headers in place of those that a client forged, and nothing when the gate is away.
func TestForwardAuth(t *testing.T) {
	t.Parallel()
	for _, p := range askingProxies {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			up := startUpgradingUpstream(t)
			storage := "cookie"
			if p.oneCookie {
				storage = "memory"
			}
			g := startGate(t, config{trusted: true, asks: p.kind, routes: []route{{upstream: up, oidc: []string{
				"audience_required: any", "authenticated_groups_claim: [groups]",
				fmt.Sprintf("session: {storage: %s, secret: %q}", storage, sessionSecret),
			}}}})
			a := &asked{t: t, gate: g, up: up, origin: p.start(t, g, up.url)}
			a.logsIn()
			a.takesTokens()
			a.passesCookies(p.oneCookie)
			a.overwritesForgeries()
			a.hasNoOtherWayIn(p.kind)
			a.passesBodies()
			a.refusesForeignUpgrades()
			a.answersNoQuestionOfClients()
			a.passesManyHeaders()
			a.failsClosed()
		})
	}
}

// An asked is a gate that a proxy asks.
type asked struct {
	t      *testing.T
	gate   *gate
	up     *upstream
	origin string // of the proxy
}

// logsIn checks a login and a logout in Chromium.
func (a *asked) logsIn() {
	a.t.Helper()
	john := newPerson(a.t, a.gate)
	tab := john.newPage()
	tab.logIn(a.origin+deepLink, "john")
	tab.waitURL(a.origin + deepLink)
	if got := tab.text("#user"); got != "john" {
		a.t.Errorf("the upstream says hello to %q, expected john", got)
	}
	sent := a.up.mustArrival(a.t, deepLink).header
	if cookies := sent.Get("Cookie"); strings.Contains(cookies, "session_") || strings.Contains(cookies, "authorization_") {
		a.t.Errorf("the gate's cookies reached the upstream: %q", cookies)
	}
	if sent.Get("Authorization") == "" {
		a.t.Error("the access token didn't reach the upstream")
	}
	tab.open(a.origin + "/second")
	if sent = a.up.mustArrival(a.t, "/second").header; sent.Get("Cookie") != "theme=blue" {
		a.t.Errorf("the upstream's own cookie arrived as %q", sent.Get("Cookie"))
	}
	if !strings.Contains(a.gate.log.String(), `"client":"127.0.0.1","method":"GET","origin":"`+a.origin+`","path":"/second"`) {
		a.t.Error("the gate's log doesn't have the client's request")
	}
	tab.open(a.origin + "/oauth2/logout")
	tab.open(a.origin + "/")
	tab.waitFor("#kc-login")
}

// takesTokens checks requests of API clients, and what the gate's refusals look like behind the proxy.
func (a *asked) takesTokens() {
	a.t.Helper()
	v := newVisitor(a.t, a.gate)
	john := "Bearer " + keycloak.mustUserToken(a.t, "app", appSecret, "john")
	jane := "Bearer " + keycloak.mustUserToken(a.t, "app", appSecret, "jane")
	a.gate.registerSecrets(strings.TrimPrefix(john, "Bearer "), strings.TrimPrefix(jane, "Bearer "))
	if got := v.call(a.origin+"/api?a=%2Fb&a=c", "Authorization", jane); got.status != http.StatusOK || got.user() != "jane" {
		a.t.Errorf("with a token: %d for %q", got.status, got.user())
	}
	if sent := a.up.mustArrival(a.t, "/api?a=%2Fb&a=c").header; sent.Get("Authorization") != jane {
		a.t.Errorf("Authorization arrived as %q", sent.Get("Authorization"))
	}
	got := v.call(a.origin + "/api")
	challenge := got.header.Get("Www-Authenticate")
	if got.status != http.StatusUnauthorized || !strings.HasPrefix(challenge, "Bearer") || !strings.Contains(got.body, `"request_id"`) {
		a.t.Errorf("without a token: %d, challenge %q, body %q", got.status, challenge, got.body)
	}
	got = v.call(a.origin+"/admin/x", "Authorization", jane)
	if got.status != http.StatusForbidden || !strings.Contains(got.body, `"request_id"`) {
		a.t.Errorf("without the role: %d, body %q", got.status, got.body)
	}
	if got := v.call(a.origin+"/admin/x", "Authorization", john); got.status != http.StatusOK {
		a.t.Errorf("with the role: %d", got.status)
	}
	before := a.up.count()
	if got := v.call(a.origin+"/api", "Authorization", john+"x"); got.status != http.StatusUnauthorized || a.up.count() != before {
		a.t.Errorf("with a forged token: %d", got.status)
	}
}

// passesCookies checks that the client receives the gate's cookies with the response to a request that passes: here they delete worthless
// ones.
func (a *asked) passesCookies(one bool) {
	a.t.Helper()
	v := newVisitor(a.t, a.gate)
	v.logIn(a.origin+"/", "jane")
	address, _ := url.Parse(a.origin)
	var worthless []string
	for _, c := range v.http.Jar.Cookies(address) {
		if strings.HasPrefix(c.Name, "session_") {
			worthless = append(worthless, c.Name+"=worthless")
		}
	}
	token := keycloak.mustUserToken(a.t, "app", appSecret, "jane")
	a.gate.registerSecrets(token)
	got := newVisitor(a.t).call(a.origin+"/api/cookies", "Authorization", "Bearer "+token, "Cookie", strings.Join(worthless, "; "))
	var deleted []string
	for _, line := range got.header.Values("Set-Cookie") {
		if strings.HasPrefix(line, "session_") && strings.Contains(line, "Max-Age=0") {
			deleted = append(deleted, line)
		}
	}
	expected := len(worthless)
	if one {
		expected = 1
	}
	if got.status != http.StatusOK || len(deleted) != expected || !one && expected < 2 {
		a.t.Errorf("the answer is %d and deletes %q of %q", got.status, deleted, worthless)
	}
}

// forgeries are headers of a client that the upstream must not believe, in spellings that it may take for the same.
var forgeries = []string{
	"X-User", "x-user", "X_User", "X.User", "X-User ", "X-Consumer-Id", "X_Consumer_Id", "X-Consumer-Rank", "X-Credential-Identifier",
	"X-Authenticated-Groups", "X-Authenticated_Groups", "Session-Id", "Remote-User", "Remote_User", "X-Forwarded-User", "X_Forwarded_User",
	"X-Forwarded-Host", "X_Forwarded_Host", "X-Forwarded-Prefix", "X-Forwarded-Rank", "Forwarded", "X-Original-Url", "X-Original-Uri",
	"X-Original-Method", "X-Original-Client", "X-Forwarded-Uri", "X-Forwarded-Method", "X-Rewrite-Url", "X-Real-Ip", "X-Client-Cert",
	"X-Http-Method-Override", "X-Request-Id",
	"X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-Forwarded-Tls-Client-Cert-Info", "X-Forwarded-Port", "X-Forwarded-Server",
}

// overwritesForgeries checks that what a client forges is refused or doesn't arrive, with a token and on an open path, and that it doesn't
// make the gate judge another request.
func (a *asked) overwritesForgeries() {
	a.t.Helper()
	v := newVisitor(a.t, a.gate)
	token := keycloak.mustUserToken(a.t, "app", appSecret, "jane")
	a.gate.registerSecrets(token)
	address, _ := url.Parse(a.origin)
	for n, name := range forgeries {
		for _, path := range []string{"/public/f", "/api/f"} {
			target := fmt.Sprintf("%s?%d", path, n)
			r := v.request(http.MethodGet, a.origin+target, "")
			r.Header["Authorization"] = []string{"Bearer " + token}
			r.Header[strings.TrimSpace(name)] = []string{"forged"}
			if strings.TrimSpace(name) != name {
				a.sendsRaw(address.Host,
					fmt.Sprintf("GET %s HTTP/1.1\r\nHost: x\r\n%s: forged\r\nConnection: close\r\n\r\n", target, name))
			} else if got, err := v.do(r); err != nil {
				a.t.Errorf("%s: %v", name, err)
			} else if got.status == http.StatusOK && path == "/api/f" && got.user() != "jane" {
				a.t.Errorf("%s: the upstream says hello to %q", name, got.user())
			}
			for _, got := range a.up.all() {
				if got.uri == target {
					for header, lines := range got.header {
						if strings.Contains(strings.Join(lines, ","), "forged") {
							a.t.Errorf("%s: the upstream received %s: %q", name, header, lines)
						}
					}
				}
			}
		}
	}
	// headers of the questions of all proxies, for an open path
	lies := map[string]string{
		"X-Original-Url": a.origin + "/public/x", "X-Original-Method": "GET", "X-Forwarded-Uri": "/public/x", "X-Forwarded-Method": "GET",
		"X-Forwarded-Host": address.Host, "X-Forwarded-Proto": "http", "X-Original-Client": "203.0.113.9",
		"X-Envoy-Original-Path": "/public/x",
	}
	before := a.up.count()
	for _, names := range append(singles(lies), lies) {
		r := v.request(http.MethodGet, a.origin+"/api/lie", "")
		for name, value := range names {
			r.Header[name] = []string{value}
		}
		if got := v.must(r); got.status < 400 {
			a.t.Errorf("%v: %d", names, got.status)
		}
	}
	if a.up.count() != before {
		a.t.Error("a request whose headers describe another one reached the upstream")
	}
}

// singles returns a map for each entry of a map.
func singles(all map[string]string) (maps []map[string]string) {
	for name, value := range all {
		maps = append(maps, map[string]string{name: value})
	}
	return maps
}

// sendsRaw sends bytes, and doesn't look at the answer.
func (a *asked) sendsRaw(address, text string) {
	a.t.Helper()
	if _, err := exchangeRaw(address, text); err != nil {
		a.t.Error(err)
	}
}

// hasNoOtherWayIn checks requests whose answer by the gate a proxy could take for the permission, and requests that open a way past it.
func (a *asked) hasNoOtherWayIn(kind string) {
	a.t.Helper()
	v := newVisitor(a.t, a.gate)
	address, _ := url.Parse(a.origin)
	before := a.up.count()
	grpc := v.must(v.request(http.MethodPost, a.origin+"/admin/grpc", "x", "Content-Type", "application/grpc", "X-User", "admin"))
	if grpc.header.Get("Grpc-Status") == "" {
		a.t.Errorf("a gRPC request is answered %d without Grpc-Status", grpc.status)
	}
	for _, path := range []string{"/oauth2/%6Cogout", "/%6fauth2/logout", "/oauth2/logout/", "/OAUTH2/logout"} {
		r := v.request(http.MethodGet, a.origin+"/", "", navigation...)
		r.URL.Opaque = path
		v.must(r)
	}
	for _, name := range []string{"h2c", "HTTP/2.0", "websocket, h2c"} {
		status, err := exchangeRaw(address.Host, "GET /public/h2c HTTP/1.1\r\nHost: "+address.Host+
			"\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: "+name+"\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
		if err != nil || status == http.StatusSwitchingProtocols {
			a.t.Errorf("an upgrade to %s is answered %d, %v", name, status, err)
		}
	}
	for _, sent := range a.up.all()[before:] {
		if sent.uri != "/public/h2c" || sent.header.Get("Http2-Settings") != "" {
			a.t.Errorf("%s %s arrived with %v", sent.method, sent.uri, sent.header)
		}
	}
	if kind == "nginx" { // it chooses the server by the request line
		status, err := exchangeRaw(address.Host, "GET http://other.example.com/public/other HTTP/1.1\r\nHost: "+address.Host+"\r\n\r\n")
		if err != nil || status != http.StatusBadRequest || a.up.arrived("/public/other") {
			a.t.Errorf("a request with two hosts is answered %d, %v", status, err)
		}
	}
	token := keycloak.mustUserToken(a.t, "app", appSecret, "jane")
	a.gate.registerSecrets(token)
	got := v.call(a.origin+"/api/hop", "Authorization", "Bearer "+token, "Connection", "close, X-User, X-Request-Id")
	if sent := a.up.mustArrival(a.t, "/api/hop").header; got.status != http.StatusOK || sent.Get("X-User") != "jane" {
		a.t.Errorf("with Connection: X-User the upstream received X-User %q, Connection %q", sent.Get("X-User"), sent.Get("Connection"))
	} else if strings.Contains(sent.Get("Connection"), "X-User") {
		a.t.Errorf("the upstream received Connection: %q", sent.Get("Connection"))
	}
}

// passesBodies checks that bodies reach the upstream, and not the gate.
func (a *asked) passesBodies() {
	a.t.Helper()
	v := newVisitor(a.t, a.gate)
	token := keycloak.mustUserToken(a.t, "app", appSecret, "john")
	a.gate.registerSecrets(token)
	body := strings.Repeat("0123456789", 10_000)
	got := v.must(v.request(http.MethodPost, a.origin+"/api/post", body, "Authorization", "Bearer "+token, "Content-Type", "text/plain"))
	if sent := a.up.mustArrival(a.t, "/api/post"); got.status != http.StatusOK || sent.method != http.MethodPost || sent.body != body {
		a.t.Errorf("a POST is answered %d; %s with %d bytes arrived", got.status, sent.method, len(sent.body))
	}
	before := a.up.count()
	// Expect makes the client wait with its body, as curl does: a proxy may refuse and close while a body is still on its way.
	got = v.must(v.request(http.MethodPost, a.origin+"/api/post", body, "Expect", "100-continue"))
	if got.status != http.StatusUnauthorized || a.up.count() != before {
		a.t.Errorf("a POST without a token is answered %d", got.status)
	}
}

// refusesForeignUpgrades checks that a page of another origin can't open a WebSocket with the user's cookie.
func (a *asked) refusesForeignUpgrades() {
	a.t.Helper()
	v := newVisitor(a.t, a.gate)
	v.logIn(a.origin+"/", "john")
	address, _ := url.Parse(a.origin)
	for from, expected := range map[string]bool{a.origin: true, "https://evil.example": false, "": false} {
		r := v.request(http.MethodGet, a.origin+"/ws", "", "Connection", "Upgrade", "Upgrade", "websocket",
			"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
		if from != "" {
			r.Header.Set("Origin", from)
		}
		for _, c := range v.http.Jar.Cookies(address) {
			r.AddCookie(c)
		}
		var b strings.Builder
		r.Write(&b)
		status, err := exchangeRaw(address.Host, b.String())
		if opened := status == http.StatusSwitchingProtocols; err != nil || opened != expected {
			a.t.Errorf("a WebSocket from %q is answered %d, %v", from, status, err)
		}
	}
}

// answersNoQuestionOfClients checks that a client can't ask the gate itself, and read what an upstream would get.
func (a *asked) answersNoQuestionOfClients() {
	a.t.Helper()
	v := newVisitor(a.t, a.gate)
	token := keycloak.mustUserToken(a.t, "app", appSecret, "john")
	a.gate.registerSecrets(token)
	address, _ := url.Parse(a.origin)
	question := http.Header{
		"Authorization": {"Bearer " + token}, "X-Original-Url": {a.origin + "/api"}, "X-Original-Method": {"GET"},
		"X-Forwarded-Uri": {"/api"}, "X-Forwarded-Method": {"GET"}, "X-Forwarded-Host": {address.Host}, "X-Forwarded-Proto": {"http"},
		"X-Original-Client": {"127.0.0.1"},
	}
	for _, path := range []string{
		"/_sallyport/ask", "/_sallyport/ask/api", "/%5fsallyport/ask", "/x/../_sallyport/ask", "//_sallyport/ask", "/_sallyport/ask/",
		"/oauth2/logout", "/oauth2/callback", "/envoy.service.auth.v3.Authorization/Check",
	} {
		r := v.request(http.MethodGet, a.origin+"/", "")
		r.URL.Opaque = path
		r.Header = maps.Clone(question)
		got := v.must(r)
		for name := range got.header {
			if name == "X-User" || name == "Authorization" || strings.HasPrefix(name, "X-Sallyport-") {
				a.t.Errorf("a client's own question at %s is answered %d with %s: %q", path, got.status, name, got.header[name])
			}
		}
	}
}

// passesManyHeaders checks that many headers pass whole, and that very many do or are refused.
func (a *asked) passesManyHeaders() {
	a.t.Helper()
	v := newVisitor(a.t, a.gate)
	for _, n := range []int{70, 95} {
		target := fmt.Sprintf("/public/many?%d", n)
		r := v.request(http.MethodGet, a.origin+target, "")
		for i := range n {
			r.Header.Set(fmt.Sprintf("X-Many-%d", i), "x")
		}
		if got := v.must(r); n == 95 && got.status >= 400 {
			continue // with those of the gate they are more than the proxy's limit
		} else if got.status != http.StatusOK {
			a.t.Errorf("%d headers are answered %d", n, got.status)
			continue
		}
		sent := a.up.mustArrival(a.t, target).header
		for i := range n {
			if sent.Get(fmt.Sprintf("X-Many-%d", i)) != "x" {
				a.t.Errorf("of %d headers the one of number %d didn't arrive", n, i)
			}
		}
	}
}

// failsClosed checks that no request passes when the gate is away, not even one that needs no credential.
func (a *asked) failsClosed() {
	a.t.Helper()
	v := newVisitor(a.t, a.gate)
	a.gate.proc.kill()
	before := a.up.count()
	for _, path := range []string{"/public/x", "/api", "/oauth2/logout"} {
		if got := v.call(a.origin + path); got.status < 400 {
			a.t.Errorf("with the gate away, %s is answered %d", path, got.status)
		}
	}
	if a.up.count() != before {
		a.t.Error("with the gate away, a request reached the upstream")
	}
}
