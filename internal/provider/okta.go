package provider

import "crypto/ecdsa"

// Okta returns the personality of Okta with a custom authorization server: access tokens are JWTs for the audience of the server, with cid
// and scp, and their sub is the user's login. With server "" it is the authorization server of the organization, whose access tokens only
// Okta can verify.
func Okta(server string) *Personality {
	below := "/oauth2"
	a := &Personality{noResponseIss: true, metadata: oktaMetadata, idToken: oktaIDToken, accessToken: oktaOrgAccessToken}
	if server != "" {
		below += "/" + server
		a.issuerPath, a.accessToken = below, oktaAccessToken
	}
	a.paths = map[Endpoint]string{
		Authorization: below + "/v1/authorize", Token: below + "/v1/token", JWKS: below + "/v1/keys", Userinfo: below + "/v1/userinfo",
		Introspection: below + "/v1/introspect", Revocation: below + "/v1/revoke", EndSession: below + "/v1/logout",
	}
	a.refreshes = (*grant).isOffline
	a.introspected = func(_ *Provider, g *grant, answer map[string]any) { only(answer, oktaIntrospected...) }
	return a
}

var oktaIntrospected = []string{"active", "scope", "username", "exp", "iat", "sub", "aud", "iss", "jti", "token_type", "client_id"}

func oktaMetadata(_ *Provider, _ *grant, m map[string]any) {
	only(m, "issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "introspection_endpoint",
		"revocation_endpoint", "end_session_endpoint", "response_types_supported", "response_modes_supported", "grant_types_supported",
		"subject_types_supported", "scopes_supported", "claims_supported", "code_challenge_methods_supported",
		"token_endpoint_auth_methods_supported")
	m["id_token_signing_alg_values_supported"] = []string{"RS256"}
}

// oktaIDToken keeps the claims of an ID token. It has groups if the scope groups was granted.
func oktaIDToken(_ *Provider, g *grant, claims map[string]any) {
	only(claims, "sub", "aud", "iss", "iat", "exp", "jti", "amr", "nonce", "at_hash", "auth_time", "name", "email", "preferred_username",
		"groups")
	if !g.hasScope("groups") {
		delete(claims, "groups")
	}
	claims["ver"], claims["idp"] = 1, "00o1"
}

func oktaAccessToken(p *Provider, g *grant, claims map[string]any) string {
	only(claims, "iss", "iat", "exp", "jti", "auth_time", "groups")
	claims["ver"], claims["aud"], claims["cid"], claims["scp"] = 1, "api://default", g.client.ID, g.scope
	claims["sub"] = g.client.ID
	if g.user != nil {
		claims["uid"], claims["sub"] = g.sub(), g.user.Claims["email"]
	}
	return p.SignJWT(claims, WithHeader("typ", nil))
}

// oktaKey signs the access tokens of the organization's authorization server. Nobody publishes it.
var oktaKey *ecdsa.PrivateKey = newECDSA()

func oktaOrgAccessToken(p *Provider, g *grant, claims map[string]any) string {
	only(claims, "iss", "iat", "exp", "jti", "auth_time", "sub")
	claims["ver"], claims["aud"], claims["cid"], claims["scp"] = 1, p.Issuer(), g.client.ID, g.scope
	return p.SignJWT(claims, WithAlg("ES256"), WithKey(oktaKey), WithHeader("kid", "of-the-organization"),
		WithHeader("typ", "application/okta-internal-at+jwt"))
}
