package provider

import (
	"crypto/rand"
	"slices"
	"strings"
)

// Google returns the personality of Google: ID tokens may name it without https://, access tokens are opaque, and there is no logout. A
// grant gets a refresh token only for access_type=offline, and again only for prompt=consent.
func Google() *Personality {
	return &Personality{
		manyNames: true,
		paths: map[Endpoint]string{
			Authorization: "/o/oauth2/v2/auth", Token: "/token", JWKS: "/oauth2/v3/certs", Userinfo: "/v1/userinfo", Revocation: "/revoke",
		},
		metadata: googleMetadata, idToken: googleIDToken, userinfo: googleUserinfo, tokenAnswer: googleTokenAnswer,
		accessToken: func(*Provider, *grant, map[string]any) string { return "ya29.a0" + rand.Text() + rand.Text() },
		refreshes: func(g *grant) bool {
			return g.params.Get("access_type") == "offline" && slices.Contains(strings.Fields(g.params.Get("prompt")), "consent")
		},
	}
}

func googleMetadata(_ *Provider, _ *grant, m map[string]any) {
	only(m, "issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "revocation_endpoint",
		"authorization_response_iss_parameter_supported")
	m["scopes_supported"] = []string{"openid", "email", "profile"}
	m["response_types_supported"] = []string{"code", "token", "id_token", "code token", "code id_token", "none"}
	m["subject_types_supported"], m["id_token_signing_alg_values_supported"] = []string{"public"}, []string{"RS256"}
	m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post", "client_secret_basic"}
	m["code_challenge_methods_supported"] = []string{"plain", "S256"}
	m["grant_types_supported"] = []string{"authorization_code", "refresh_token"}
}

func googleIDToken(p *Provider, _ *grant, claims map[string]any) {
	only(claims, "sub", "aud", "azp", "iat", "exp", "nonce", "at_hash", "email", "email_verified", "name", "picture", "hd")
	_, claims["iss"], _ = strings.Cut(p.Issuer(), "://")
}

func googleUserinfo(_ *Provider, _ *grant, claims map[string]any) {
	only(claims, "sub", "email", "email_verified", "name", "picture", "hd")
}

// googleTokenAnswer writes the long names of the scopes.
func googleTokenAnswer(_ *Provider, g *grant, answer map[string]any) {
	answer["scope"] = strings.NewReplacer("email", "https://www.googleapis.com/auth/userinfo.email",
		"profile", "https://www.googleapis.com/auth/userinfo.profile").Replace(strings.Join(g.scope, " "))
}
