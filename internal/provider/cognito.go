package provider

import (
	"crypto/rand"
	"net/url"
)

// Cognito returns the personality of a user pool of Amazon Cognito: the endpoints are on another host than the issuer, access tokens have
// no aud, and the logout has parameters of its own.
func Cognito() *Personality {
	return &Personality{
		issuerPath: "/eu-central-1_EXAMPLE", host: "localhost", noResponseIss: true,
		paths: map[Endpoint]string{
			Authorization: "/oauth2/authorize", Login: "/login", Token: "/oauth2/token", Userinfo: "/oauth2/userInfo",
			Revocation: "/oauth2/revoke", EndSession: "/logout",
		},
		metadata: cognitoMetadata, idToken: cognitoIDToken, accessToken: cognitoAccessToken,
		tokenAnswer: func(_ *Provider, _ *grant, answer map[string]any) { delete(answer, "scope") },
		userinfo: func(_ *Provider, g *grant, claims map[string]any) {
			only(claims, "sub", "email", "email_verified", "name")
			claims["username"] = g.user.Username
		},
		logoutParams: func(sent url.Values) url.Values {
			return url.Values{"client_id": sent["client_id"], "post_logout_redirect_uri": sent["logout_uri"]}
		},
	}
}

func cognitoMetadata(p *Provider, _ *grant, m map[string]any) {
	only(m, "issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "revocation_endpoint", "end_session_endpoint")
	m["jwks_uri"] = p.Issuer() + string(JWKS)
	m["response_types_supported"], m["subject_types_supported"] = []string{"code", "token"}, []string{"public"}
	m["id_token_signing_alg_values_supported"] = []string{"RS256"}
	m["scopes_supported"] = []string{"openid", "email", "phone", "profile"}
	m["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic", "client_secret_post"}
}

func cognitoIDToken(_ *Provider, g *grant, claims map[string]any) {
	only(claims, "iss", "sub", "aud", "iat", "exp", "jti", "nonce", "at_hash", "auth_time", "email", "email_verified", "name", "groups")
	rename(claims, "groups", "cognito:groups")
	claims["token_use"], claims["cognito:username"], claims["origin_jti"] = "id", g.user.Username, rand.Text()
}

func cognitoAccessToken(p *Provider, g *grant, claims map[string]any) string {
	only(claims, "iss", "sub", "client_id", "iat", "exp", "jti", "auth_time", "scope", "groups")
	rename(claims, "groups", "cognito:groups")
	claims["token_use"], claims["version"], claims["origin_jti"] = "access", 2, rand.Text()
	if g.user != nil {
		claims["username"] = g.user.Username
	}
	return p.SignJWT(claims, WithHeader("typ", nil))
}
