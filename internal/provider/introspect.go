package provider

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// introspect serves the introspection endpoint (RFC 7662 §2).
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) {
	client, token, refused := p.readToken(r, Introspection)
	switch {
	case refused != nil:
		p.refuse(w, refused)
	case client.AuthMethod == "none": // §2.1: the endpoint must prevent token scanning
		p.refuse(w, &oauthError{
			Status: http.StatusUnauthorized, Code: "invalid_client", Description: "A public client can't introspect.",
		})
	case prefers(r, mediaIntrospectionJWT):
		p.introspectJWT(w, client, token)
	default:
		p.answer(w, Introspection, p.introspection(client, token, client.OnlyOwnAudience))
	}
}

// introspectJWT sends a signed introspection response (RFC 9701 §5), in which a token for another audience isn't active. The
// JWT has no sub and no exp, so that it can't be used as an access token.
func (p *Provider) introspectJWT(w http.ResponseWriter, client *Client, token string) {
	about := p.introspection(client, token, !client.AnyAudience)
	p.controls.adjusted(subject(Introspection), about)
	p.answerJWT(w, Introspection, client, mediaIntrospectionJWT, client.IntrospectionSignedResponseAlg, map[string]any{
		"iss": p.Issuer(), "aud": client.ID, "iat": p.now().Unix(), "token_introspection": about,
	})
}

// introspection returns the introspection response about a token for a client. With onlyOwnAudience, access tokens whose aud
// doesn't contain the client's ID aren't active.
func (p *Provider) introspection(client *Client, token string, onlyOwnAudience bool) map[string]any {
	now := p.now()
	if t := p.state.active(token, now); t != nil && (!onlyOwnAudience || slices.Contains(audiences(t.claims), client.ID)) {
		answer := maps.Clone(t.claims)
		maps.Copy(answer, map[string]any{"active": true, "token_type": "Bearer"})
		if t.grant.user != nil {
			answer["username"] = t.grant.user.Username
		}
		p.as().introspected.apply(p, t.grant, answer)
		return answer
	}
	if t := p.state.activeRefresh(token, now); t != nil && t.grant.client == client {
		answer := p.refreshTokenClaims(t)
		answer["active"] = true
		return answer
	}
	return map[string]any{"active": false} // §2.2: without a reason
}

// refreshTokenClaims returns the claims of a refresh token, which is opaque.
func (p *Provider) refreshTokenClaims(t *refreshToken) map[string]any {
	return map[string]any{
		"iss": p.Issuer(), "sub": t.grant.sub(), "client_id": t.grant.client.ID, "exp": t.expiry.Unix(),
		"scope": strings.Join(t.grant.scope, " "),
	}
}

// revoke serves the revocation endpoint (RFC 7009 §2). The response is 200 without a body, also for unknown tokens.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) {
	client, token, refused := p.readToken(r, Revocation)
	if refused == nil && !p.state.revoke(token, client) {
		refused = badRequest("The token was issued to another client.")
	}
	if refused != nil {
		p.refuse(w, refused)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
}

// readToken authenticates the client of an introspection or revocation request and returns it with the token.
func (p *Provider) readToken(r *http.Request, e Endpoint) (*Client, string, *oauthError) {
	client, err := p.authenticate(r, e)
	var refused *oauthError
	switch {
	case errors.As(err, &refused):
		return nil, "", refused
	case len(r.PostForm["token"]) != 1:
		return nil, "", badRequest("The request must have exactly one token.")
	}
	return client, r.PostForm.Get("token"), nil
}
