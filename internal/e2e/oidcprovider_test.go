package e2e

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"
)

// The tests in this file send requests to oidc-provider directly. They document its behavior and test the helpers.

func TestOIDCProviderClientAuthentication(t *testing.T) {
	t.Parallel()
	key := startSigner(t, jose.ES256)
	_, _, pair := mustClientCert(t, "a-client")
	_, _, selfSigned := mustSelfSignedCert(t, "a-client")
	const secret = "a-secret-of-32-bytes-for-a-client-0013"
	p := startOIDCProvider(t, oidcProviderConfig{clients: []object{
		{"client_id": "basic", "client_secret": secret},
		{"client_id": "post", "client_secret": secret, "token_endpoint_auth_method": "client_secret_post"},
		{"client_id": "secret-jwt", "client_secret": secret, "token_endpoint_auth_method": "client_secret_jwt"},
		{"client_id": "key", "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": key.url},
		{"client_id": "tls", "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_subject_dn": "CN=a-client"},
		{"client_id": "self-signed", "token_endpoint_auth_method": "self_signed_tls_client_auth", "jwks": jose.JSONWebKeySet{
			Keys: []jose.JSONWebKey{{Key: selfSigned.Leaf.PublicKey, Certificates: []*x509.Certificate{selfSigned.Leaf}}}}},
	}})
	m := mustDiscover(t, p.issuer)
	withCert, withSelfSigned := newVisitor(t).present(pair), newVisitor(t).present(selfSigned)
	for _, c := range []struct {
		name     string
		v        *visitor
		endpoint string
		as       clientAuth
		refused  bool
	}{
		{"client_secret_basic", newVisitor(t), m.endpoint("token"), clientSecretBasic("basic", secret), false},
		{"client_secret_post", newVisitor(t), m.endpoint("token"), clientSecretPost("post", secret), false},
		{"client_secret_jwt", newVisitor(t), m.endpoint("token"), clientSecretJWT("secret-jwt", secret, p.issuer), false},
		{"private_key_jwt", newVisitor(t), m.endpoint("token"), privateKeyJWT("key", key, p.issuer), false},
		{"tls_client_auth", withCert, m.mtls("token"), clientNone("tls"), false},
		{"self_signed_tls_client_auth", withSelfSigned, m.mtls("token"), clientNone("self-signed"), false},

		{"a certificate of nobody", withSelfSigned, m.mtls("token"), clientNone("tls"), true},
		{"a certificate that isn't registered", withCert, m.mtls("token"), clientNone("self-signed"), true},
		{"no certificate", newVisitor(t), m.mtls("token"), clientNone("tls"), true},
		{"plain http", newVisitor(t), m.endpoint("token"), clientNone("tls"), true},
	} {
		a := c.v.ask(c.endpoint, c.as, grant("client_credentials", ""))
		if c.refused {
			if a.status != http.StatusUnauthorized || a.refusal() != "invalid_client" {
				t.Errorf("%s: answered %d %s, want invalid_client", c.name, a.status, a.body)
			}
			continue
		}
		if a.status != http.StatusOK {
			t.Errorf("%s: answered %d %s", c.name, a.status, a.body)
		}
	}
}

// TestOIDCProviderLogin checks opaque access tokens, signed introspection responses (RFC 9701), tokens for a resource, and refresh
// token rotation.
func TestOIDCProviderLogin(t *testing.T) {
	t.Parallel()
	const secret, callback = "a-secret-of-32-bytes-for-a-client-0014", "/oauth2/callback"
	p := startOIDCProvider(t, oidcProviderConfig{clients: []object{
		nativeClient("app", secret, callback),
		{"client_id": "api", "client_secret": secret, "introspection_signed_response_alg": "RS256"},
	}})
	m := mustDiscover(t, p.issuer)
	v, app, api := newVisitor(t), clientSecretBasic("app", secret), clientSecretBasic("api", secret)
	redirect, verifier := "http://127.0.0.1:12345"+callback, oauth2.GenerateVerifier()

	request := url.Values{"client_id": {"app"}, "response_type": {"code"}, "redirect_uri": {redirect},
		"scope": {"openid profile email groups"}, "state": {"s"}, "code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)},
		"code_challenge_method": {"S256"}}
	back, err := url.Parse(p.authorize(v, m.endpoint("authorization")+"?"+request.Encode(), "john"))
	if err != nil {
		t.Fatal(err)
	}
	if got := back.Query(); !strings.HasPrefix(back.String(), redirect+"?") || got.Get("state") != "s" || got.Get("iss") != p.issuer {
		t.Fatalf("the login ended at %s", back)
	}
	tokens := v.ask(m.endpoint("token"), app, grant("authorization_code", "",
		"code", back.Query().Get("code"), "redirect_uri", redirect, "code_verifier", verifier))
	opaque, refresh := tokens.mustMember(t, "access_token"), tokens.mustMember(t, "refresh_token")
	if id, _ := m.mustVerify(tokens.mustMember(t, "id_token")); id.claim("sub") != "john" || id.claim("preferred_username") != "" {
		t.Errorf("the ID token is %v, want john's without a profile", id.claims)
	}
	said := v.call(m.endpoint("userinfo"), "Authorization", "Bearer "+opaque).mustObject(t)
	if said["preferred_username"] != "john" || said["email"] != "john@example.com" {
		t.Errorf("userinfo says %v", said)
	}

	said = v.ask(m.endpoint("introspection"), api, url.Values{"token": {opaque}}).mustObject(t)
	if said["active"] != true || said["sub"] != "john" {
		t.Errorf("introspection says %v", said)
	}
	signed := v.ask(m.endpoint("introspection"), api, url.Values{"token": {opaque}}, "Accept", "application/token-introspection+jwt")
	b, typ := m.mustVerify(signed.body)
	inner, _ := b.claims["token_introspection"].(object)
	if typ != "token-introspection+jwt" || !strings.HasPrefix(signed.header.Get("Content-Type"), "application/token-introspection+jwt") ||
		inner["active"] != true || inner["preferred_username"] != "john" || !slices.Equal(b.audience(), []string{"api"}) {
		t.Errorf("the signed introspection is a %q: %v", typ, b.claims)
	}

	again := v.ask(m.endpoint("token"), app, grant("refresh_token", "", "refresh_token", refresh))
	if again.mustMember(t, "refresh_token") == refresh {
		t.Error("the refresh token is the same as before")
	}
	if a := v.ask(m.endpoint("token"), app, grant("refresh_token", "", "refresh_token", refresh)); a.refusal() != "invalid_grant" {
		t.Errorf("the second use of a refresh token is answered %d %s", a.status, a.body)
	}

	machine := v.accessToken(m, api, grant("client_credentials", ""))
	if a := v.ask(m.endpoint("revocation"), api, url.Values{"token": {machine}}); a.status != http.StatusOK {
		t.Errorf("the revocation is answered %d %s", a.status, a.body)
	}
	if got := v.ask(m.endpoint("introspection"), api, url.Values{"token": {machine}}).mustObject(t); got["active"] != false {
		t.Errorf("introspection of a revoked token: %v", got)
	}
	jwt, typ := m.mustVerify(v.accessToken(m, api, grant("client_credentials", "read", "resource", "urn:api")))
	if typ != "at+jwt" || !slices.Equal(jwt.audience(), []string{"urn:api"}) {
		t.Errorf("the token for a resource is a %q: %v", typ, jwt.claims)
	}
}

// TestLoginAtOIDCProvider checks a login at oidc-provider, whose access tokens are opaque.
func TestLoginAtOIDCProvider(t *testing.T) {
	t.Parallel()
	const secret = "a-secret-of-32-bytes-for-a-client-0015"
	p := startOIDCProvider(t, oidcProviderConfig{
		clients:       []object{nativeClient("app", secret, "/oauth2/callback")},
		configuration: object{"conformIdTokenClaims": false}, // the ID token has the profile claims
	})
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up, issuer: p.issuer, client: "app", secret: secret}}})
	g.registerSecrets(secret)
	v := newVisitor(t, g)
	p.logIn(v, g.url+"/page", "john")
}
