package provider

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// The grant type of token exchange (RFC 8693) and the supported token types of §3.
const (
	grantTokenExchange = "urn:ietf:params:oauth:grant-type:token-exchange"

	typeAccessToken  = "urn:ietf:params:oauth:token-type:access_token"
	typeRefreshToken = "urn:ietf:params:oauth:token-type:refresh_token"
	typeIDToken      = "urn:ietf:params:oauth:token-type:id_token"
	typeJWT          = "urn:ietf:params:oauth:token-type:jwt"
)

// grantExchange implements token exchange (RFC 8693 §2).
func (p *Provider) grantExchange(t *tokenRequest) (map[string]any, error) {
	if t.client.AuthMethod == "none" {
		return nil, refusal("unauthorized_client", "A public client can't exchange tokens.")
	}
	subject, act, err := p.readParties(t)
	if err != nil {
		return nil, err
	}
	audience, err := p.exchangeTarget(t.form)
	if err != nil {
		return nil, err
	}
	scope := p.exchangeScope(t.form, subject)
	g := &grant{client: t.client, user: subject.user, scope: scope, audience: audience, act: act, authTime: subject.authTime}
	return p.issueExchanged(t, g)
}

// readParties verifies the subject token and the actor token. act is the act claim of the new token, or nil.
func (p *Provider) readParties(t *tokenRequest) (subject *party, act map[string]any, err error) {
	token, kind := t.form.Get("subject_token"), t.form.Get("subject_token_type")
	actorToken, actorKind := t.form.Get("actor_token"), t.form.Get("actor_token_type")
	switch {
	case token == "" || kind == "":
		return nil, nil, badRequest("The subject_token or the subject_token_type is missing.")
	case actorToken == "" && actorKind != "":
		return nil, nil, badRequest("The actor_token_type needs an actor_token.") // §2.1
	case actorToken != "" && actorKind == "":
		return nil, nil, badRequest("The actor_token_type is missing.")
	}
	subject, reason := p.party(t.client, token, kind)
	if reason != "" {
		return nil, nil, badRequest("The subject_token " + reason + ".") // §2.2.2: not invalid_grant
	}
	actor := &party{iss: p.Issuer(), claims: map[string]any{"sub": t.client.ID}} // the default
	act, _ = subject.claims["act"].(map[string]any)
	if actorToken != "" {
		if actor, reason = p.party(t.client, actorToken, actorKind); reason != "" {
			return nil, nil, badRequest("The actor_token " + reason + ".")
		}
		act = actor.actClaim(subject)
	}
	if !subject.allowsActor(actor) {
		return nil, nil, badRequest("The subject_token's may_act names another actor.")
	}
	return subject, act, nil
}

// exchangeTarget returns the audience of the new token: all resources and audiences of the request (§2.1). It is empty for the
// client's default.
func (p *Provider) exchangeTarget(form url.Values) ([]string, error) {
	resources := nonEmpty(form["resource"])
	for _, r := range resources {
		if u, err := url.Parse(r); err != nil || !u.IsAbs() || strings.Contains(r, "#") {
			return nil, refusal("invalid_target", "A resource isn't an absolute URI without a fragment.") // RFC 8707 §2
		}
	}
	targets := slices.Concat(resources, nonEmpty(form["audience"]))
	for _, target := range targets {
		if p.config.ExchangeAudiences != nil && !slices.Contains(p.config.ExchangeAudiences, target) {
			return nil, refusal("invalid_target", "A requested audience isn't allowed.")
		}
	}
	return targets, nil
}

// withoutOffline returns scopes without offline_access.
func withoutOffline(scope []string) []string {
	return slices.DeleteFunc(slices.Clone(scope), func(s string) bool { return s == "offline_access" })
}

// exchangeScope returns the scope of the new token: the requested scopes, by default those of the subject token. It never
// contains offline_access, because the response has no refresh token.
func (p *Provider) exchangeScope(form url.Values, subject *party) []string {
	requested := form.Get("scope")
	if requested == "" {
		requested, _ = subject.claims["scope"].(string)
	}
	return withoutOffline(p.grantedScopes(requested))
}

// issueExchanged issues the requested token type. The response has it in access_token, whatever its type (§2.2.1).
func (p *Provider) issueExchanged(t *tokenRequest, g *grant) (map[string]any, error) {
	kind := t.form.Get("requested_token_type")
	answer := map[string]any{"issued_token_type": kind, "scope": strings.Join(g.scope, " ")}
	lifetime := p.lifetime(g.client)
	switch {
	case kind == "" || kind == typeAccessToken || kind == typeJWT && !g.client.OpaqueAccessTokens:
		if kind == "" {
			answer["issued_token_type"] = typeAccessToken
		}
		i := issuance{scope: g.scope, binding: t.binding}
		answer["access_token"], answer["token_type"] = p.newAccessToken(g, i, p.now(), lifetime), "Bearer"
	case kind == typeIDToken:
		answer["access_token"], answer["token_type"] = p.newIDToken(g, issuance{scope: g.scope}, "", p.now(), lifetime), "N_A"
	default:
		return nil, badRequest("The requested_token_type isn't supported for this client.")
	}
	answer["expires_in"] = int64(lifetime / time.Second)
	return answer, nil
}
