package e2e

import (
	"encoding/json"
	"maps"
	"net/http"
	"strconv"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"sallyport/internal/freeport"
)

// A bankClient is a gate with a FAPI profile and its client in a realm of Keycloak, whose client policy enforces a profile on all clients.
type bankClient struct {
	profile string // of the gate
	policy  string // of Keycloak
	// binding is what the access tokens are bound to: dpop or mtls.
	binding    string
	attributes map[string]string // of the gate's client
	oidc       []string
}

var signedRequest = map[string]string{"request.object.required": "request or request_uri", "request.object.signature.alg": "ES256"}

// jarm are the attributes of a client whose authorization responses are JWTs. Without the second one they would have iss twice.
var jarm = map[string]string{"authorization.signed.response.alg": "PS256", "exclude.issuer.from.auth.response": "true"}

// TestProfilesAtKeycloak logs a person in with Chromium under each profile, and sends requests of an API client with its own proof.
// Keycloak enforces its FAPI client policies, and the gate its profile.
func TestProfilesAtKeycloak(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]bankClient{
		"fapi2-security-dpop": {"fapi2-security", "fapi-2-dpop-security-profile", "dpop", nil, nil},
		"fapi2-security-mtls": {"fapi2-security", "fapi-2-security-profile", "mtls", nil, nil},
		"fapi2-message-signing": {"fapi2-message-signing", "fapi-2-dpop-message-signing", "dpop",
			merged(signedRequest, jarm), nil},
		"fapi1-advanced": {"fapi1-advanced", "fapi-1-advanced", "mtls", merged(signedRequest, jarm), nil},
		"fapi1-advanced-id-token": {"fapi1-advanced", "fapi-1-advanced", "mtls", signedRequest,
			[]string{"response_type: [code id_token]"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t, name)
		})
	}
}

func merged(all ...map[string]string) map[string]string {
	sum := map[string]string{}
	for _, m := range all {
		maps.Copy(sum, m)
	}
	return sum
}

func (c *bankClient) run(t *testing.T, name string) {
	realm, port := keycloak.admin.mustRealm(t), freeport.Port()
	keycloak.admin.mustEnforce(t, realm, c.policy)
	key, clientJWK := mustECKey(t, "sig", "ES256")
	client := keycloak.admin.mustClient(t, realm, c.representation(t, key, merged(c.attributes, map[string]string{
		"id.token.signed.response.alg": "PS256", "access.token.signed.response.alg": "PS256"}), object{
		"clientId": "gate", "standardFlowEnabled": true,
		"implicitFlowEnabled": c.oidc != nil, // for an ID token from the authorization endpoint
		"redirectUris":        []string{"https://127.0.0.1:" + strconv.Itoa(port) + "/oauth2/callback"},
	}))
	oidc := append([]string{"profile: " + c.profile, "client_jwk: " + clientJWK, "client_auth: private_key_jwt", "client_alg: ES256",
		"auth_methods: [authorization_code, session, bearer]"}, c.oidc...)
	if c.binding == "mtls" {
		cert, certKey, _ := mustClientCert(t, "gate")
		oidc = append(oidc, "tls_client_auth_cert_file: "+cert, "tls_client_auth_key_file: "+certKey)
	}
	up := startUpstream(t)
	g := startGateAt(t, port, config{tls: true, routes: []route{{
		upstream: up, issuer: keycloak.issuerTLS(realm), client: client, secret: "none", oidc: oidc}}})

	tab := newPerson(t, g).newPage()
	tab.logIn(g.url+"/page", "john")
	arrived := up.mustArrival(t, "/page")
	if got := arrived.header.Get("X-User"); got != "john" {
		t.Errorf("X-User is %q, want john", got)
	}
	tab.shoot("profile-" + name)
	c.callAPI(t, g, realm, client)
}

// representation returns a client that authenticates with a key.
func (c *bankClient) representation(t *testing.T, key jose.JSONWebKey, attributes map[string]string, more object) object {
	t.Helper()
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}})
	if err != nil {
		t.Fatal(err)
	}
	own := merged(attributes, map[string]string{"use.jwks.string": "true", "jwks.string": string(set),
		"token.endpoint.auth.signing.alg": "ES256"})
	representation := object{"protocol": "openid-connect", "clientAuthenticatorType": "client-jwt", "publicClient": false,
		"attributes": own}
	maps.Copy(representation, more)
	return representation
}

// callAPI sends requests of an API client, which has a token of its own.
func (c *bankClient) callAPI(t *testing.T, g *gate, realm, gateClient string) {
	t.Helper()
	key := startSigner(t, jose.ES256)
	caller := keycloak.admin.mustClient(t, realm, c.representation(t, *key.current(), map[string]string{
		"access.token.signed.response.alg": "PS256"}, object{
		"clientId": "caller", "serviceAccountsEnabled": true, "standardFlowEnabled": false,
		"protocolMappers": []object{{"name": "gate", "protocol": "openid-connect", "protocolMapper": "oidc-audience-mapper",
			"config": object{"included.client.audience": gateClient, "access.token.claim": "true"}}},
	}))
	issuer := keycloak.issuerTLS(realm)
	m, v, other := mustDiscover(t, issuer), newVisitor(t, g), newVisitor(t, g)
	token, prove := m.endpoint("token"), func(string, object) []string { return nil }
	if c.binding == "mtls" {
		_, _, pair := mustClientCert(t, "caller")
		_, _, another := mustClientCert(t, "another")
		v.present(pair)
		other.present(another)
		token = m.mtls("token")
	} else {
		prove = func(url string, more object) []string {
			method := http.MethodGet
			if more == nil {
				method = http.MethodPost
			}
			return []string{"DPoP", key.mustProve(t, method, url, more)}
		}
	}
	bound := v.ask(token, privateKeyJWT(caller, key, issuer), grant("client_credentials", "openid"),
		prove(token, nil)...).mustMember(t, "access_token")
	g.registerSecrets(bound)
	scheme := map[string]string{"dpop": "DPoP ", "mtls": "Bearer "}[c.binding]
	address := g.url + "/api"
	with := append(prove(address, athOf(bound)), "Authorization", scheme+bound)
	if a := v.call(address, with...); a.status != http.StatusOK || a.user() != "service-account-"+caller {
		t.Errorf("with its proof the client gets %d as %q: %s", a.status, a.user(), a.body)
	}
	for what, a := range map[string]answer{
		"without a proof":            newVisitor(t, g).call(address, "Authorization", scheme+bound),
		"with another's certificate": other.call(address, "Authorization", "Bearer "+bound),
	} {
		if a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s the client gets %d %v: %s", what, a.status, a.header.Values("WWW-Authenticate"), a.body)
		}
	}
}

// startFAPIProvider starts an oidc-provider that enforces FAPI 2.0, with the client app of a gate, which has two keys, and the client
// caller.
func startFAPIProvider(t *testing.T, signing, decrypting, caller jose.JSONWebKey) *oidcProvider {
	t.Helper()
	keyed := func(key jose.JSONWebKey, more object) object {
		client := object{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": "ES256",
			"jwks": jose.JSONWebKeySet{Keys: []jose.JSONWebKey{key.Public()}}, "dpop_bound_access_tokens": true}
		maps.Copy(client, more)
		return client
	}
	gate := nativeClient("app", "", "/oauth2/callback")
	delete(gate, "client_secret")
	maps.Copy(gate, keyed(signing, object{"require_pushed_authorization_requests": true, "require_signed_request_object": true,
		"request_object_signing_alg": "ES256", "authorization_signed_response_alg": "ES256", "id_token_signed_response_alg": "ES256",
		"introspection_signed_response_alg": "ES256", "authorization_details_types": []string{"payment"},
		"jwks":                                 jose.JSONWebKeySet{Keys: []jose.JSONWebKey{signing.Public(), decrypting.Public()}},
		"introspection_encrypted_response_alg": "ECDH-ES", "introspection_encrypted_response_enc": "A256GCM"}))
	on := object{"enabled": true}
	return startOIDCProvider(t, oidcProviderConfig{clients: []object{gate, keyed(caller, object{"client_id": "caller"})},
		configuration: object{"conformIdTokenClaims": false, "clientAuthMethods": []string{"private_key_jwt"}, "features": object{
			"requestObjects": on, "jwtResponseModes": on, "pushedAuthorizationRequests": on, "encryption": on,
			"dPoP": on, "fapi": object{"enabled": true, "profile": "2.0"},
		}}})
}

// TestMessageSigningAtOIDCProvider logs in under fapi2-message-signing at oidc-provider, which enforces FAPI 2.0. Its access tokens are
// opaque and bound by DPoP: the gate introspects those of API clients, and the responses are signed and encrypted (RFC 9701). The
// login requests authorization_details (RFC 9396), and the rules judge those that were granted.
func TestMessageSigningAtOIDCProvider(t *testing.T) {
	t.Parallel()
	signing, clientJWK := mustECKey(t, "sig", "ES256")
	decrypting, decryptionJWK := mustECKey(t, "enc", "ECDH-ES")
	caller := startSigner(t, jose.ES256)
	p := startFAPIProvider(t, signing, decrypting, *caller.current())
	up := startUpstream(t)
	g := startGate(t, config{routes: []route{{upstream: up, issuer: p.issuer, client: "app", secret: "none", oidc: []string{
		"profile: fapi2-message-signing", "client_jwk: " + clientJWK, "client_alg: ES256", "audience_required: any",
		"auth_methods: [authorization_code, session, introspection]", "authorization_signed_response_alg: ES256",
		"client_decryption_jwk: " + decryptionJWK, "introspection_encrypted_response_alg: ECDH-ES",
		"authorization_query_args_names: [authorization_details, resource]", // oidc-provider grants details for a resource alone
		`authorization_query_args_values: ['[{"type":"payment","limit":50}]', "urn:api"]`,
		"token_post_args_names: [resource]", `token_post_args_values: ["urn:api"]`,
	}, rules: []string{
		"{paths: [/pay/50], allow: 'token.authorization_details.exists(d, d.type == \"payment\" && d.limit >= 50)'}",
		"{paths: [/pay/60], allow: 'token.authorization_details.exists(d, d.type == \"payment\" && d.limit >= 60)'}",
	}}}})
	v := newVisitor(t, g)
	p.logIn(v, g.url+"/page", "john")
	for path, want := range map[string]int{"/pay/50": http.StatusOK, "/pay/60": http.StatusForbidden} {
		if a := v.browse(g.url + path); a.status != want {
			t.Errorf("%s is answered %d, want %d: %s", path, a.status, want, a.body)
		}
	}

	m := mustDiscover(t, p.issuer)
	token := v.ask(m.endpoint("token"), privateKeyJWT("caller", caller, p.issuer), grant("client_credentials", ""),
		"DPoP", caller.mustProve(t, http.MethodPost, m.endpoint("token"), nil)).mustMember(t, "access_token")
	g.registerSecrets(token)
	address := g.url + "/api"
	proof := caller.mustProve(t, http.MethodGet, address, athOf(token))
	for _, want := range []int{http.StatusOK, http.StatusUnauthorized} { // the second request uses the proof again
		if a := newVisitor(t).call(address, "Authorization", "DPoP "+token, "DPoP", proof); a.status != want {
			t.Errorf("the client gets %d, want %d: %s", a.status, want, a.body)
		}
	}
}
