package provider

import (
	"crypto/rand"
	"encoding/base64"
	"net/url"
)

// Auth0 returns the personality of Auth0: its name ends with a slash, only the parameter audience makes access tokens JWTs, and claims of
// its rules need a namespace. With legacyLogout there is no RP-initiated logout, but /v2/logout with the parameter returnTo.
func Auth0(legacyLogout bool) *Personality {
	a := &Personality{
		issuerPath: "/", noResponseIss: true,
		paths: map[Endpoint]string{
			Token: "/oauth/token", Revocation: "/oauth/revoke", JWKS: "/.well-known/jwks.json", EndSession: "/oidc/logout",
		},
		metadata: auth0Metadata, idToken: auth0IDToken, accessToken: auth0AccessToken,
		refreshes: (*grant).isOffline,
	}
	if legacyLogout {
		a.paths[EndSession] = "/v2/logout"
		a.logoutParams = func(sent url.Values) url.Values {
			return url.Values{"client_id": sent["client_id"], "post_logout_redirect_uri": sent["returnTo"]}
		}
		a.metadata = func(p *Provider, g *grant, m map[string]any) {
			auth0Metadata(p, g, m)
			delete(m, "end_session_endpoint")
		}
	}
	return a
}

func auth0Metadata(_ *Provider, _ *grant, m map[string]any) {
	only(m, "issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "revocation_endpoint",
		"end_session_endpoint", "scopes_supported", "response_types_supported", "response_modes_supported",
		"code_challenge_methods_supported", "subject_types_supported", "token_endpoint_auth_methods_supported", "claims_supported")
	m["id_token_signing_alg_values_supported"] = []string{"HS256", "RS256", "PS256"}
	m["request_uri_parameter_supported"], m["request_parameter_supported"] = false, false
}

// auth0Namespace begins the names of the claims that an Action adds.
const auth0Namespace = "https://app.example.com/"

func auth0Roles(claims map[string]any) {
	rename(claims, "roles", auth0Namespace+"roles")
	delete(claims, "groups")
}

func auth0IDToken(_ *Provider, _ *grant, claims map[string]any) {
	only(claims, "iss", "sub", "aud", "iat", "exp", "sid", "nonce", "auth_time", "name", "nickname", "picture", "email", "email_verified",
		"updated_at", "roles")
	auth0Roles(claims)
}

// auth0AccessToken writes a JWT for the parameter audience and for userinfo. Without that parameter it writes a JWE that only Auth0 reads.
func auth0AccessToken(p *Provider, g *grant, claims map[string]any) string {
	if len(g.audience) == 0 {
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"dir","enc":"A256GCM","iss":"` + p.iss() + `"}`))
		return header + ".." + rand.Text() + "." + rand.Text() + rand.Text() + "." + rand.Text()
	}
	only(claims, "iss", "sub", "iat", "exp", "scope", "roles", "jti")
	auth0Roles(claims)
	claims["aud"], claims["azp"] = []string{g.audience[0], p.Issuer() + "/userinfo"}, g.client.ID
	return p.SignJWT(claims)
}
