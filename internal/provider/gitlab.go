package provider

import (
	"crypto/rand"
	"strings"
)

// GitLab returns the personality of GitLab: access tokens are opaque, groups are in groups_direct of ID tokens and in groups of userinfo,
// and there is no logout.
func GitLab() *Personality {
	return &Personality{
		noResponseIss: true,
		paths: map[Endpoint]string{
			Authorization: "/oauth/authorize", Token: "/oauth/token", Userinfo: "/oauth/userinfo", JWKS: "/oauth/discovery/keys",
			Introspection: "/oauth/introspect", Revocation: "/oauth/revoke",
		},
		metadata: gitLabMetadata, idToken: gitLabIDToken, introspected: gitLabIntrospected,
		accessToken: func(*Provider, *grant, map[string]any) string { return strings.ToLower(rand.Text() + rand.Text()) },
		userinfo: func(_ *Provider, _ *grant, claims map[string]any) {
			only(claims, "sub", "name", "nickname", "preferred_username", "email", "email_verified", "picture", "groups")
		},
		tokenAnswer: func(p *Provider, _ *grant, answer map[string]any) { answer["created_at"] = p.now().Unix() },
	}
}

func gitLabMetadata(_ *Provider, _ *grant, m map[string]any) {
	only(m, "issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "introspection_endpoint",
		"revocation_endpoint", "code_challenge_methods_supported")
	m["scopes_supported"] = []string{"api", "read_api", "read_user", "openid", "profile", "email"}
	m["response_types_supported"], m["response_modes_supported"] = []string{"code"}, []string{"query", "fragment", "form_post"}
	m["grant_types_supported"] = []string{"authorization_code", "password", "client_credentials", "refresh_token"}
	m["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic", "client_secret_post"}
	m["subject_types_supported"], m["id_token_signing_alg_values_supported"] = []string{"public"}, []string{"RS256"}
	m["claim_types_supported"] = []string{"normal"}
}

func gitLabIDToken(_ *Provider, _ *grant, claims map[string]any) {
	only(claims, "iss", "sub", "aud", "iat", "exp", "nonce", "auth_time", "name", "nickname", "preferred_username", "email",
		"email_verified", "picture", "groups")
	rename(claims, "groups", "groups_direct")
}

// gitLabIntrospected keeps the members of an introspection response: it says nothing about the user.
func gitLabIntrospected(_ *Provider, g *grant, answer map[string]any) {
	only(answer, "active", "scope", "client_id", "token_type", "exp", "iat")
}
