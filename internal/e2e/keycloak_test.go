package e2e

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

// The tests in this file send requests to Keycloak directly. They document its behavior and test the helpers.

func TestKeycloakClientAuthentication(t *testing.T) {
	t.Parallel()
	key := startSigner(t, jose.ES256)
	kong := keycloak.admin.mustCopy(t, "sallyport", "kong", map[string]string{"jwks.url": key.url})
	plain, overTLS := mustDiscover(t, keycloak.issuer("sallyport")), mustDiscover(t, keycloak.issuerTLS("sallyport"))
	_, _, pair := mustClientCert(t, "client-tls-auth")
	_, _, wrong := mustClientCert(t, "somebody-else")
	_, _, selfSigned := mustSelfSignedCert(t, "client-tls-auth")
	issuer, token := plain.issuer(), plain.endpoint("token")
	if got := plain.mtls("token"); got != token {
		t.Errorf("read over plain http, mtls_endpoint_aliases has %s", got)
	}

	for _, c := range []struct {
		name, client, endpoint string
		as                     clientAuth
		certificate            *tls.Certificate
		refusal                string
	}{
		{"client_secret_basic", "service", token, clientSecretBasic("service", serviceSecret), nil, ""},
		{"client_secret_post", "service", token, clientSecretPost("service", serviceSecret), nil, ""},
		{"client_secret_jwt", "secret-jwt", token, clientSecretJWT("secret-jwt", secretJWTSecret, issuer), nil, ""},
		{"private_key_jwt", kong, token, privateKeyJWT(kong, key, issuer), nil, ""},
		{"tls_client_auth", "client-tls-auth", overTLS.mtls("token"), clientNone("client-tls-auth"), pair, ""},

		{"a wrong secret", "service", token, clientSecretBasic("service", appSecret), nil, "unauthorized_client"},
		{"a secret where an assertion is due", "secret-jwt", token, clientSecretBasic("secret-jwt", secretJWTSecret), nil,
			"invalid_client"},
		{"a key that is another's", kong, token, privateKeyJWT(kong, startSigner(t, jose.ES256), issuer), nil, "invalid_client"},
		{"an assertion for another", kong, token, privateKeyJWT(kong, key, keycloak.issuer("other")), nil, "invalid_client"},
		{"no certificate", "client-tls-auth", overTLS.mtls("token"), clientNone("client-tls-auth"), nil, "invalid_client"},
		{"another subject's certificate", "client-tls-auth", overTLS.mtls("token"), clientNone("client-tls-auth"), wrong, "invalid_client"},
	} {
		v := newVisitor(t)
		if c.certificate != nil {
			v.present(c.certificate)
		}
		a := v.ask(c.endpoint, c.as, grant("client_credentials", ""))
		if c.refusal != "" {
			if a.refusal() != c.refusal {
				t.Errorf("%s: answered %d %s, want %s", c.name, a.status, a.body, c.refusal)
			}
			continue
		}
		if got := mustRead(t, a.mustMember(t, "access_token")); got.claim("azp") != c.client {
			t.Errorf("%s: the token is %q's, want %s's", c.name, got.claim("azp"), c.client)
		}
	}

	// Keycloak rejects a self-signed certificate in the handshake: it doesn't support self_signed_tls_client_auth.
	v := newVisitor(t).present(selfSigned)
	if a, err := v.do(v.request(http.MethodGet, keycloak.urlTLS+"/", "")); err == nil {
		t.Errorf("a self-signed certificate is answered %d", a.status)
	}
	// Keycloak fetches a new key when an assertion has its kid.
	fetched := key.fetched.Load()
	key.mustRotate(t)
	newVisitor(t).ask(token, privateKeyJWT(kong, key, issuer), grant("client_credentials", "")).mustMember(t, "access_token")
	if got := key.fetched.Load() - fetched; got != 1 {
		t.Errorf("the JWK set was fetched %d times for the new key, want 1", got)
	}
}

func TestKeycloakIntrospectionAndRevocation(t *testing.T) {
	t.Parallel()
	m := mustDiscover(t, keycloak.issuer("sallyport"))
	v := newVisitor(t)
	introspect := func(as clientAuth, token string) object {
		return v.ask(m.endpoint("introspection"), as, url.Values{"token": {token}}).mustObject(t)
	}
	app, service := clientSecretBasic("app", appSecret), clientSecretBasic("service", serviceSecret)
	token := v.accessToken(m, app, passwordGrant("john"))
	for name, as := range map[string]clientAuth{"app": app, "service": service} {
		if got := introspect(as, token); got["active"] != true || got["username"] != "john" || got["client_id"] != "app" {
			t.Errorf("introspection by %s, which is in aud: %v", name, got)
		}
	}
	if got := introspect(clientSecretBasic("app-short", appShortSecret), token); len(got) != 1 || got["active"] != false {
		t.Errorf("introspection by a client that isn't in aud: %v, want active false alone", got)
	}
	a := v.ask(m.endpoint("introspection"), clientSecretBasic("service", appSecret), url.Values{"token": {token}})
	if a.status != http.StatusUnauthorized {
		t.Errorf("introspection with a wrong secret is answered %d", a.status)
	}

	a = v.ask(m.endpoint("revocation"), app, url.Values{"token": {token}, "token_type_hint": {"access_token"}})
	if a.status != http.StatusOK {
		t.Fatalf("the revocation is answered %d %s", a.status, a.body)
	}
	if got := introspect(service, token); got["active"] != false {
		t.Errorf("introspection of a revoked token: %v", got)
	}
	if a := v.call(m.endpoint("userinfo"), "Authorization", "Bearer "+token); a.status != http.StatusUnauthorized {
		t.Errorf("userinfo with a revoked token is answered %d", a.status)
	}
}

// TestKeycloakLightweightToken checks that a lightweight access token has few claims, that userinfo rejects it, and that
// introspection returns the other claims.
func TestKeycloakLightweightToken(t *testing.T) {
	t.Parallel()
	m := mustDiscover(t, keycloak.issuer("sallyport"))
	v, as := newVisitor(t), clientSecretBasic("lightweight", lightweightSecret)
	raw := v.accessToken(m, as, passwordGrant("john"))
	b, _ := m.mustVerify(raw)
	if b.claim("sub") != "" || b.claim("preferred_username") != "" || !slices.Equal(b.audience(), []string{"lightweight"}) {
		t.Errorf("the token says more than expected: %v", b.claims)
	}
	got := v.ask(m.endpoint("introspection"), as, url.Values{"token": {raw}}).mustObject(t)
	if got["preferred_username"] != "john" || got["sub"] == nil {
		t.Errorf("introspection says %v", got)
	}
	a := v.call(m.endpoint("userinfo"), "Authorization", "Bearer "+raw)
	if challenge := a.header.Get("WWW-Authenticate"); a.status != http.StatusUnauthorized || !strings.Contains(challenge, "Lightweight") {
		t.Errorf("userinfo answers %d with %q", a.status, challenge)
	}
}

func TestKeycloakUserinfo(t *testing.T) {
	t.Parallel()
	m := mustDiscover(t, keycloak.issuer("sallyport"))
	v := newVisitor(t)
	token := v.accessToken(m, clientSecretBasic("app", appSecret), passwordGrant("john"))
	got := v.call(m.endpoint("userinfo"), "Authorization", "Bearer "+token).mustObject(t)
	if got["preferred_username"] != "john" || got["email"] != "john@example.com" || got["sub"] != mustRead(t, token).claim("sub") {
		t.Errorf("userinfo says %v", got)
	}
	api := keycloak.mustServiceToken(t, "sallyport") // without the scope openid
	if a := v.call(m.endpoint("userinfo"), "Authorization", "Bearer "+api); a.status != http.StatusForbidden ||
		!strings.Contains(a.header.Get("WWW-Authenticate"), "insufficient_scope") {
		t.Errorf("userinfo for a token without openid: %d with %q", a.status, a.header.Get("WWW-Authenticate"))
	}

	signed := v.accessToken(m, clientSecretBasic("userinfo-signed", userinfoSignedSecret), passwordGrant("john"))
	a := v.call(m.endpoint("userinfo"), "Authorization", "Bearer "+signed)
	if !strings.HasPrefix(a.header.Get("Content-Type"), "application/jwt") {
		t.Fatalf("the signed userinfo is %q", a.header.Get("Content-Type"))
	}
	if b, _ := m.mustVerify(a.body); b.claim("preferred_username") != "john" || !slices.Equal(b.audience(), []string{"userinfo-signed"}) ||
		b.claim("iss") != m.issuer() {
		t.Errorf("the signed userinfo says %v", b.claims)
	}
}

// TestKeycloakRefreshRotation checks that a second use of a refresh token ends the session, including the tokens of the first use.
func TestKeycloakRefreshRotation(t *testing.T) {
	t.Parallel()
	m := mustDiscover(t, keycloak.issuer("sallyport"))
	v, as := newVisitor(t), clientSecretBasic("app", appSecret)
	refresh := func(token string) answer {
		return v.ask(m.endpoint("token"), as, grant("refresh_token", "", "refresh_token", token))
	}
	first := v.ask(m.endpoint("token"), as, passwordGrant("john")).mustMember(t, "refresh_token")
	second := refresh(first).mustMember(t, "refresh_token")
	if second == first {
		t.Error("the refresh token is the same as before")
	}
	if a := refresh(first); a.status != http.StatusBadRequest || a.refusal() != "invalid_grant" {
		t.Errorf("the second use of a refresh token is answered %d %s", a.status, a.body)
	}
	if a := refresh(second); a.refusal() != "invalid_grant" {
		t.Errorf("after the second use of the old one, the new one is answered %d %s", a.status, a.body)
	}
}

// TestKeycloakTokenExchange checks Keycloak's standard token exchange: the subject token must have been issued to the client or
// have it in aud, and a scope of the client must allow the audience. Tokens of other issuers are rejected.
func TestKeycloakTokenExchange(t *testing.T) {
	t.Parallel()
	key := startSigner(t, jose.PS256)
	kong := keycloak.admin.mustCopy(t, "sallyport", "kong", map[string]string{"jwks.url": key.url})
	m := mustDiscover(t, keycloak.issuer("sallyport"))
	v, app := newVisitor(t), clientSecretBasic("app", appSecret)
	subject := v.accessToken(m, app, passwordGrant("john"))
	const scope = "audience-exchange-target"

	a := v.ask(m.endpoint("token"), app, exchange(subject, "exchange-target", scope))
	if got := a.mustMember(t, "issued_token_type"); got != "urn:ietf:params:oauth:token-type:access_token" {
		t.Errorf("issued_token_type is %q", got)
	}
	b, _ := m.mustVerify(a.mustMember(t, "access_token"))
	if !slices.Equal(b.audience(), []string{"exchange-target"}) || b.claim("azp") != "app" ||
		b.claim("sub") != mustRead(t, subject).claim("sub") {
		t.Errorf("the exchanged token is %v", b.claims)
	}
	for name, c := range map[string]struct {
		as      clientAuth
		form    url.Values
		refusal string
	}{
		"an audience without its scope": {app, exchange(subject, "exchange-target", ""), "invalid_request"},
		"a client that isn't in aud": {privateKeyJWT(kong, key, m.issuer()), exchange(subject, "exchange-target", scope),
			"access_denied"},
		"a client that may not exchange": {clientSecretBasic("service", serviceSecret), exchange(subject, "app", ""),
			"invalid_request"},
		"another realm's token": {app, exchange(keycloak.mustServiceToken(t, "other"), "exchange-target", scope),
			"invalid_request"},
		"garbage":                            {app, exchange("garbage", "exchange-target", scope), "invalid_request"},
		"an audience that is no client here": {app, exchange(subject, "nobody", ""), "invalid_client"},
	} {
		if a := v.ask(m.endpoint("token"), c.as, c.form); a.refusal() != c.refusal {
			t.Errorf("%s: answered %d %s, want %s", name, a.status, a.body, c.refusal)
		}
	}

	// As the gate does with the client kong: exchange a token of app with kong in aud.
	named := passwordGrant("john")
	named.Set("scope", "openid audience-kong")
	subject = v.accessToken(m, app, named)
	if got := mustRead(t, subject).audience(); !slices.Equal(got, []string{"app", "kong", "service"}) {
		t.Errorf("with the scope audience-kong, aud is %v", got)
	}
}

// TestKeycloakBoundTokens checks tokens that are bound to a client certificate or a DPoP key.
func TestKeycloakBoundTokens(t *testing.T) {
	t.Parallel()
	plain, overTLS := mustDiscover(t, keycloak.issuer("sallyport")), mustDiscover(t, keycloak.issuerTLS("sallyport"))
	_, _, pair := mustClientCert(t, "anybody")
	as := clientSecretBasic("cert-bound", certBoundSecret)
	bound := newVisitor(t).present(pair).ask(overTLS.mtls("token"), as, passwordGrant("john"))
	b, _ := overTLS.mustVerify(bound.mustMember(t, "access_token"))
	if got := b.confirmation("x5t#S256"); got != x5t(pair) {
		t.Errorf("cnf's x5t#S256 is %q, want the certificate's %q", got, x5t(pair))
	}
	if a := newVisitor(t).ask(overTLS.endpoint("token"), as, passwordGrant("john")); a.refusal() != "invalid_request" {
		t.Errorf("without a certificate: %d %s", a.status, a.body)
	}

	v, token, key := newVisitor(t), plain.endpoint("token"), startSigner(t, jose.ES256)
	as = clientSecretBasic("client-dpop-auth", dpopSecret)
	proof := key.mustProve(t, http.MethodPost, token, nil)
	a := v.ask(token, as, passwordGrant("john"), "DPoP", proof)
	if b := mustRead(t, a.mustMember(t, "access_token")); a.mustMember(t, "token_type") != "DPoP" || b.confirmation("jkt") != key.jkt(t) {
		t.Errorf("the DPoP token is of type %s and bound to %q, want %q", a.mustMember(t, "token_type"), b.confirmation("jkt"), key.jkt(t))
	}
	if a := v.ask(token, as, passwordGrant("john"), "DPoP", proof); a.status != http.StatusBadRequest {
		t.Errorf("a proof's second use is answered %d %s", a.status, a.body)
	}
	if a := v.ask(token, as, passwordGrant("john")); a.status != http.StatusBadRequest {
		t.Errorf("without a proof: %d %s", a.status, a.body)
	}
}

// TestKeycloakAdmin checks that changes to sessions and users by an administrator affect introspection and refresh at once.
func TestKeycloakAdmin(t *testing.T) {
	t.Parallel()
	const realm = "sallyport"
	m, admin := mustDiscover(t, keycloak.issuer(realm)), keycloak.admin
	v, as := newVisitor(t), clientSecretBasic("app", appSecret)
	for name, act := range map[string]func(user, sid string){
		"the user is logged out":  func(user, _ string) { admin.mustLogOut(t, realm, user) },
		"the session is ended":    func(_, sid string) { admin.mustEndSession(t, realm, sid) },
		"the user is disabled":    func(user, _ string) { admin.mustDisable(t, realm, user) },
		"the secret is as before": nil,
	} {
		user := admin.mustUser(t, realm, "user")
		a := v.ask(m.endpoint("token"), as, passwordGrant(user))
		token, refresh := a.mustMember(t, "access_token"), a.mustMember(t, "refresh_token")
		if act != nil {
			act(user, mustRead(t, token).claim("sid"))
		}
		active := v.ask(m.endpoint("introspection"), as, url.Values{"token": {token}}).mustObject(t)["active"]
		refreshed := v.ask(m.endpoint("token"), as, grant("refresh_token", "", "refresh_token", refresh)).status
		if active != (act == nil) || (refreshed == http.StatusOK) != (act == nil) {
			t.Errorf("%s: active is %v and a refresh is answered %d", name, active, refreshed)
		}
	}

	own := admin.mustCopy(t, realm, "app", nil)
	admin.mustChange(t, realm, own, map[string]string{"access.token.lifespan": "17"})
	got := v.ask(m.endpoint("token"), clientSecretBasic(own, appSecret), passwordGrant("john")).mustObject(t)
	if b := mustRead(t, got["access_token"].(string)); got["expires_in"] != 17.0 || !slices.Equal(b.audience(), []string{own, "service"}) {
		t.Errorf("the copy's token lives for %v s and is for %v", got["expires_in"], b.audience())
	}
}

func TestKeycloakKeyRotation(t *testing.T) {
	t.Parallel()
	realm := keycloak.admin.mustRealm(t, "app")
	m := mustDiscover(t, keycloak.issuer(realm))
	v, as := newVisitor(t), clientSecretBasic("app", appSecret)
	token := func() string {
		raw := v.accessToken(m, as, passwordGrant("john"))
		m.mustVerify(raw)
		return raw
	}
	before := token()
	keycloak.admin.mustRotateKeys(t, realm)
	after := token()
	if head(before) == head(after) {
		t.Error("the new token has the old one's header: the key is the same")
	}
	m.mustVerify(before) // the old key is still published
}

// TestIssuerOverTLS checks a gate whose issuer has a certificate of the test CA.
func TestIssuerOverTLS(t *testing.T) {
	t.Parallel()
	issuer := keycloak.issuerTLS("sallyport")
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up, issuer: issuer}}})
	v := newVisitor(t, g)
	token := v.accessToken(mustDiscover(t, issuer), clientSecretBasic("app", appSecret), passwordGrant("john"))
	g.registerSecrets(token)
	if a := v.call(g.url+"/", "Authorization", "Bearer "+token); a.status != http.StatusOK || a.user() != "john" {
		t.Errorf("answered %d for %q, want 200 for john", a.status, a.user())
	}
	v.logIn(g.url+"/page", "jane")
}
