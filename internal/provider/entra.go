package provider

import (
	"crypto/rand"
	"net/http"
	"strings"
)

// graphAudience is the aud of access tokens for Microsoft Graph.
const graphAudience = "00000003-0000-0000-c000-000000000000"

// Entra returns the personality of Microsoft Entra ID with the endpoint of a tenant, or with "organizations" that of all tenants. A user's
// tenant is the claim tid. Scopes that begin with api:// ask for an access token for an API, others for one for Microsoft Graph. A user
// whose groups are Distributed has too many of them for a token.
func Entra(tenant string) *Personality {
	below := "/" + tenant
	return &Personality{
		issuerPath: below + "/v2.0", manyNames: true, noResponseIss: true,
		paths: map[Endpoint]string{
			Authorization: below + "/oauth2/v2.0/authorize", Token: below + "/oauth2/v2.0/token", JWKS: below + "/discovery/v2.0/keys",
			EndSession: below + "/oauth2/v2.0/logout", Login: below + "/login", EndSessionConfirm: below + "/logout/confirm",
			Userinfo: "/oidc/userinfo", Groups: "/v1.0/me/getMemberGroups",
		},
		metadata: entraMetadata, idToken: entraClaims, accessToken: entraAccessToken, tokenAnswer: entraTokenAnswer,
		userinfo:  func(_ *Provider, _ *grant, claims map[string]any) { only(claims, "sub", "name", "email", "picture") },
		refreshes: (*grant).isOffline,
	}
}

// entraMetadata keeps the members that Entra ID publishes. The issuer of all tenants is a template.
func entraMetadata(p *Provider, _ *grant, m map[string]any) {
	only(m, "issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint",
		"response_types_supported", "subject_types_supported", "id_token_signing_alg_values_supported", "scopes_supported")
	if strings.HasSuffix(p.Issuer(), "/organizations/v2.0") {
		m["issuer"] = p.origin() + "/{tenantid}/v2.0"
	}
	m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post", "private_key_jwt", "client_secret_basic"}
	m["id_token_signing_alg_values_supported"] = []string{"RS256"}
	m["subject_types_supported"], m["tenant_region_scope"] = []string{"pairwise"}, "EU"
	m["scopes_supported"] = []string{"openid", "profile", "email", "offline_access"}
}

// entraClaims changes the claims of an ID token, and those that access tokens have in common with it.
func entraClaims(p *Provider, g *grant, claims map[string]any) {
	only(claims, "sub", "aud", "iat", "exp", "nonce", "name", "email", "preferred_username", "roles", "groups", "tid", "_claim_names",
		"_claim_sources")
	tenant, _ := claims["tid"].(string)
	claims["iss"], claims["nbf"], claims["oid"] = p.origin()+"/"+tenant+"/v2.0", claims["iat"], "oid-of-"+g.sub()
	claims["ver"], claims["uti"] = "2.0", rand.Text()
	if claims["_claim_sources"] != nil {
		claims["_claim_names"] = map[string]any{"groups": "src1"}
		claims["_claim_sources"] = map[string]any{"src1": map[string]any{
			"endpoint": "https://graph.windows.net/" + tenant + "/users/" + g.sub() + "/getMemberObjects",
		}}
	}
}

// entraAccessToken writes an access token of version 2 for the client's own API, or one of version 1 for Microsoft Graph, whose signature
// covers another header than the one that is sent, so that only Graph verifies it.
func entraAccessToken(p *Provider, g *grant, claims map[string]any) string {
	entraClaims(p, g, claims)
	if own := ownScopes(g); g.user == nil || len(own) > 0 {
		claims["aud"], claims["azp"], claims["azpacr"], claims["scp"] = g.client.ID, g.client.ID, "1", strings.Join(own, " ")
		return p.SignJWT(claims)
	}
	claims["scp"] = strings.Join(withoutOffline(g.scope), " ")
	claims["aud"], claims["appid"], claims["ver"] = graphAudience, g.client.ID, "1.0"
	claims["iss"] = strings.Replace(claims["iss"].(string), "/v2.0", "/", 1)
	token := p.SignJWT(claims, WithHeader("nonce", "the hash of the one that is sent"))
	sent := p.SignJWT(claims, WithHeader("nonce", rand.Text()))
	return sent[:strings.LastIndex(sent, ".")] + token[strings.LastIndex(token, "."):]
}

// ownScopes returns the granted scopes of the client's own API as tokens name them: access for api://app/access.
func ownScopes(g *grant) (own []string) {
	for _, scope := range g.scope {
		if name, is := strings.CutPrefix(scope, "api://"+g.client.ID+"/"); is {
			own = append(own, name)
		}
	}
	return own
}

func entraTokenAnswer(_ *Provider, g *grant, answer map[string]any) {
	answer["ext_expires_in"] = answer["expires_in"]
	answer["scope"] = strings.TrimSuffix(strings.Join(g.scope, " "), " offline_access")
}

// memberGroups lists the groups of the user of an access token, as the method getMemberGroups of Microsoft Graph does.
func (p *Provider) memberGroups(w http.ResponseWriter, r *http.Request) {
	token, refused := bearer(r)
	t := p.state.active(token, p.now())
	if refused != nil || t == nil || t.grant.user == nil || !t.grant.hasScope("GroupMember.Read.All") {
		p.refuse(w, challenge(http.StatusForbidden, "insufficient_scope", "The access token may not read groups."))
		return
	}
	p.answer(w, Groups, map[string]any{"value": t.grant.user.Claims["groups"]})
}
