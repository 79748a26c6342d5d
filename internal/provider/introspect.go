package provider

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// introspect tells a client about a token, its own or another's (RFC 7662 §2).
func (p *Provider) introspect(w http.ResponseWriter, r *http.Request) {
	client, token, refused := p.readToken(r, Introspection)
	switch {
	case refused != nil:
		p.refuse(w, refused)
	case client.AuthMethod == "none": // §2.1: or else anybody could try out tokens
		p.refuse(w, &oauthError{Status: http.StatusUnauthorized, Code: "invalid_client", Description: "A public client can't introspect."})
	case prefers(r, mediaIntrospectionJWT):
		p.introspectJWT(w, client, token)
	default:
		p.answer(w, Introspection, p.introspection(client, token, client.OnlyOwnAudience))
	}
}

// introspectJWT is RFC 9701 §5: a token for somebody else isn't active. No sub and no exp is beside token_introspection, so
// that the answer isn't taken for an access token.
func (p *Provider) introspectJWT(w http.ResponseWriter, client *Client, token string) {
	about := p.introspection(client, token, !client.AnyAudience)
	p.controls.adjust(Introspection, about)
	p.answerJWT(w, Introspection, mediaIntrospectionJWT, client.IntrospectionSignedResponseAlg, map[string]any{
		"iss": p.Issuer(), "aud": client.ID, "iat": p.now().Unix(), "token_introspection": about,
	})
}

// introspection is what a client is told about a token; with onlyOwn, about access tokens whose aud names it.
func (p *Provider) introspection(client *Client, token string, onlyOwn bool) map[string]any {
	now := p.now()
	if t := p.state.active(token, now); t != nil && (!onlyOwn || slices.Contains(audiences(t.claims), client.ID)) {
		answer := maps.Clone(t.claims)
		maps.Copy(answer, map[string]any{"active": true, "token_type": "Bearer"})
		if t.grant.user != nil {
			answer["username"] = t.grant.user.Username
		}
		return answer
	}
	if t := p.state.activeRefresh(token, now); t != nil && t.grant.client == client {
		answer := p.refreshTokenClaims(t)
		answer["active"] = true
		return answer
	}
	return map[string]any{"active": false} // §2.2: and nothing about why
}

// refreshTokenClaims are what a refresh token would say if it weren't opaque.
func (p *Provider) refreshTokenClaims(t *refreshToken) map[string]any {
	return map[string]any{
		"iss": p.Issuer(), "sub": t.grant.sub(), "client_id": t.grant.client.ID, "exp": t.expiry.Unix(), "scope": strings.Join(t.grant.scope, " "),
	}
}

// revoke is RFC 7009 §2: the answer is 200 without a body for tokens that nobody knows, too.
func (p *Provider) revoke(w http.ResponseWriter, r *http.Request) {
	client, token, refused := p.readToken(r, Revocation)
	if refused == nil && !p.state.revoke(token, client) {
		refused = badRequest("The token is another client's.")
	}
	if refused != nil {
		p.refuse(w, refused)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
}

// readToken reads what introspection and revocation have in common.
func (p *Provider) readToken(r *http.Request, e Endpoint) (*Client, string, *oauthError) {
	client, err := p.authenticate(r, e)
	var refused *oauthError
	switch {
	case errors.As(err, &refused):
		return nil, "", refused
	case len(r.PostForm["token"]) != 1:
		return nil, "", badRequest("There has to be one token.")
	}
	return client, r.PostForm.Get("token"), nil
}
