package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/freeport"
)

// mustECKey returns a new private key for a use, and the value of a client_jwk or client_decryption_jwk with it.
func mustECKey(t *testing.T, use, alg string) (key jose.JSONWebKey, yaml string) {
	t.Helper()
	key = mustKey(t, jose.ES256)
	key.Use, key.Algorithm = use, alg
	text, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, "[" + string(text) + "]"
}

// TestProtectedRequestsAtOIDCProvider logs in at oidc-provider with a pushed, signed request, a signed and encrypted response, an encrypted
// ID token and encrypted userinfo; the provider requires each of them.
func TestProtectedRequestsAtOIDCProvider(t *testing.T) {
	t.Parallel()
	signing, clientJWK := mustECKey(t, "sig", "ES256")
	decrypting, decryptionJWK := mustECKey(t, "enc", "ECDH-ES")
	const alg, enc = "ECDH-ES", "A256GCM"
	client := nativeClient("app", "", "/oauth2/callback")
	delete(client, "client_secret")
	metadata := object{
		"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256",
		"jwks":                                  jose.JSONWebKeySet{Keys: []jose.JSONWebKey{signing.Public(), decrypting.Public()}},
		"require_pushed_authorization_requests": true, "require_signed_request_object": true, "request_object_signing_alg": "ES256",
		"authorization_signed_response_alg": "ES256", "authorization_encrypted_response_alg": alg,
		"authorization_encrypted_response_enc": enc,
		"id_token_encrypted_response_alg":      alg, "id_token_encrypted_response_enc": enc,
		"userinfo_signed_response_alg": "RS256", "userinfo_encrypted_response_alg": alg, "userinfo_encrypted_response_enc": enc,
	}
	maps.Copy(client, metadata)
	on := object{"enabled": true}
	p := startOIDCProvider(t, oidcProviderConfig{clients: []object{client}, configuration: object{
		"conformIdTokenClaims": false, "clientAuthMethods": []string{"private_key_jwt"},
		"features": object{"requestObjects": on, "jwtResponseModes": on, "encryption": on, "pushedAuthorizationRequests": on},
	}})
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up, issuer: p.issuer, client: "app", secret: "none", oidc: []string{
		"client_auth: private_key_jwt", "client_alg: ES256", "client_jwk: " + clientJWK, "client_decryption_jwk: " + decryptionJWK,
		"require_pushed_authorization_requests: true", "require_signed_request_object: true",
		"response_mode: jwt", "authorization_signed_response_alg: ES256", "authorization_encrypted_response_alg: " + alg,
		"id_token_encrypted_response_alg: " + alg, "userinfo_encrypted_response_alg: " + alg, "userinfo_accept: application/jwt",
		"search_user_info: true",
	}}}})
	v := newVisitor(t, g)
	page := g.url + "/page"
	asked, err := url.Parse(v.browse(page).location())
	if err != nil {
		t.Fatal(err)
	}
	if q := asked.Query(); len(q) != 2 || q.Get("client_id") != "app" || q.Get("request_uri") == "" {
		t.Fatalf("the browser is sent to %s", asked)
	}
	back := p.authorize(v, asked.String(), "john")
	if sealed, err := url.Parse(back); err != nil || strings.Count(sealed.Query().Get("response"), ".") != 4 || sealed.Query().Has("code") {
		t.Fatalf("the response is %s", back)
	}
	if a := v.browse(back); a.status != http.StatusSeeOther || a.location() != page {
		t.Fatalf("the login ended with %d to %q: %s", a.status, a.location(), a.body)
	}
	if a := v.browse(page); a.status != http.StatusOK || a.user() != "john" {
		t.Errorf("after the login %d for %q", a.status, a.user())
	}
}

// TestProtectedRequestsAtKeycloak does the same at Keycloak, whose client trusts the keys that the gate publishes. The request object
// requires an acr by the parameter claims (OIDC Core §5.5.1).
func TestProtectedRequestsAtKeycloak(t *testing.T) {
	t.Parallel()
	port := freeport.Port()
	_, decryptionJWK := mustECKey(t, "enc", "ECDH-ES+A256KW")
	client := keycloak.admin.mustCopy(t, "sallyport", "app", map[string]string{
		"require.pushed.authorization.requests": "true", "request.object.required": "request or request_uri",
		"request.object.signature.alg": "PS256", "use.jwks.url": "true", "jwks.url": urlOf(port) + "/keys",
		"authorization.signed.response.alg": "PS256", "authorization.encrypted.response.alg": "ECDH-ES+A256KW",
		"authorization.encrypted.response.enc": "A256GCM",
		"exclude.issuer.from.auth.response":    "true", // a JWT would have iss twice
		"id.token.encrypted.response.alg":      "ECDH-ES+A256KW", "id.token.encrypted.response.enc": "A256GCM",
		"user.info.response.signature.alg": "RS256", "user.info.encrypted.response.alg": "ECDH-ES+A256KW",
		"user.info.encrypted.response.enc": "A256GCM",
	})
	up := startUpstream(t)
	g := startGateAt(t, port, config{process: []string{"keys: {public_path: /keys}"}, routes: []route{{
		upstream: up, client: client, oidc: []string{
			"client_decryption_jwk: " + decryptionJWK, "require_pushed_authorization_requests: true", "require_signed_request_object: true",
			"request_object_signing_alg: PS256", "response_mode: form_post.jwt", "authorization_signed_response_alg: PS256",
			"authorization_encrypted_response_alg: ECDH-ES+A256KW", "id_token_encrypted_response_alg: ECDH-ES+A256KW",
			"userinfo_encrypted_response_alg: ECDH-ES+A256KW", "userinfo_accept: application/jwt", "search_user_info: true",
			"upstream_user_info_header: X-Userinfo", "authorization_query_args_names: [claims]",
			`authorization_query_args_values: ['{"id_token":{"acr":{"essential":true,"values":["1"]}}}']`,
		}}}})
	tab := newPerson(t, g).newPage()
	tab.logIn(g.url+"/page", "john")
	header := up.mustArrival(t, "/page").header
	if got := header.Get("X-User"); got != "john" {
		t.Errorf("X-User is %q, want john", got)
	}
	if header.Get("X-Userinfo") == "" {
		t.Error("there is no X-Userinfo")
	}
}
