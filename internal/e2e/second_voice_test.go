package e2e

import (
	"net/http"
	"testing"
	"time"

	"sallyport/internal/freeport"
)

// The tests in this file repeat flows with oidc-provider, so that the gate doesn't depend on Keycloak's peculiarities.

func TestSecondVoiceIntrospection(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	p := startOIDCProvider(t, oidcProviderConfig{clients: []object{
		{"client_id": "gate", "client_secret": "gate-secret-of-the-second-voice", "introspection_signed_response_alg": "RS256"},
		{"client_id": "service", "client_secret": "service-secret-of-the-second-voice"},
	}})
	const secret = "gate-secret-of-the-second-voice"
	g := startGate(t, config{routes: []route{
		{upstream: up, issuer: p.issuer, client: "gate", secret: secret,
			oidc: []string{"auth_methods: [introspection]", "audience_required: any"}},
		{path: "/signed", upstream: up, issuer: p.issuer, client: "gate", secret: secret,
			oidc: []string{"auth_methods: [introspection]", "audience_required: any",
				"introspection_accept: application/token-introspection+jwt", "upstream_introspection_jwt_header: X-Introspection"}},
		{path: "/machine", upstream: up, issuer: p.issuer, client: "gate", secret: secret,
			oidc: []string{"auth_methods: [client_credentials]"}},
	}})
	v, m := newVisitor(t, g), mustDiscover(t, p.issuer)
	own := v.accessToken(m, clientSecretBasic("gate", secret), grant("client_credentials", ""))
	g.registerSecrets(own, secret)
	for _, path := range []string{"/", "/signed"} {
		if a := v.call(g.url+path, "Authorization", "Bearer "+own); a.status != http.StatusOK {
			t.Errorf("%s: answered %d: %s", path, a.status, a.body)
		}
		if a := v.call(g.url+path, "Authorization", "Bearer unknown"); a.status != http.StatusUnauthorized {
			t.Errorf("%s: an unknown token is answered %d", path, a.status)
		}
	}
	if _, typ := m.mustVerify(up.mustArrival(t, "/signed").header.Get("X-Introspection")); typ != "token-introspection+jwt" {
		t.Errorf("the upstream got an introspection answer of typ %q", typ)
	}
	if a := v.call(g.url+"/machine", "Authorization", basic("service", "service-secret-of-the-second-voice")); a.status != http.StatusOK {
		t.Errorf("client_credentials is answered %d: %s", a.status, a.body)
	}
}

// TestSecondVoicePrivateKeyAndRotation checks private_key_jwt with a key of the gate, and refresh token rotation.
func TestSecondVoicePrivateKeyAndRotation(t *testing.T) {
	t.Parallel()
	up := startUpstream(t)
	client := nativeClient("gate", "", "/oauth2/callback")
	delete(client, "client_secret")
	client["token_endpoint_auth_method"] = "private_key_jwt"
	client["token_endpoint_auth_signing_alg"] = "ES256"
	port := freeport.Port()
	client["jwks_uri"] = urlOf(port) + "/keys"
	p := startOIDCProvider(t, oidcProviderConfig{clients: []object{client}, configuration: object{"ttl": object{"AccessToken": 8}}})
	g := startGateAt(t, port, config{process: []string{"keys: {public_path: /keys}"},
		routes: []route{{upstream: up, issuer: p.issuer, client: "gate", secret: "none", oidc: []string{
			"client_auth: private_key_jwt", "client_alg: ES256"}}}})
	v := newVisitor(t, g)
	begun := v.browse(g.url + "/page")
	if a := v.browse(p.authorize(v, begun.location(), "john")); a.status != http.StatusSeeOther {
		t.Fatalf("the login ended with %d: %s", a.status, a.body)
	}
	token := func() string {
		if a := v.browse(g.url + "/page"); a.status != http.StatusOK {
			t.Fatalf("answered %d: %s", a.status, a.body)
		}
		return up.mustArrival(t, "/page").header.Get("Authorization")
	}
	last := token()
	for range 2 { // two refreshes, the second with the refresh token of the first
		mustAwait(t, 15*time.Second, "a refresh", func() bool { return token() != last })
		last = token()
	}
}
