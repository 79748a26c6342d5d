package provider

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// token is the token endpoint (RFC 6749 §3.2).
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	client, err := p.authenticate(r)
	var answer map[string]any
	if err == nil {
		answer, err = p.grant(client, r.PostForm)
	}
	var refused *oauthError
	if errors.As(err, &refused) {
		p.refuse(w, refused)
		return
	}
	p.answer(w, Token, answer)
}

// grant gives tokens for what a client brings.
func (p *Provider) grant(c *Client, form url.Values) (map[string]any, error) {
	for name, values := range form {
		if len(values) > 1 && name != "resource" && name != "audience" { // RFC 6749 §3.2; RFC 8707 §2
			return nil, badRequest("The parameter " + name + " comes twice.")
		}
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		return p.grantCode(c, form)
	case "refresh_token":
		return p.grantRefresh(c, form)
	case "client_credentials":
		return p.grantClient(c, form)
	case "password":
		return p.grantPassword(c, form)
	case "":
		return nil, badRequest("The grant_type is missing.")
	}
	return nil, refusal("unsupported_grant_type", "This grant_type isn't known here.")
}

// grantCode is RFC 6749 §4.1.3.
func (p *Provider) grantCode(c *Client, form url.Values) (map[string]any, error) {
	if form.Get("code") == "" {
		return nil, badRequest("The code is missing.")
	}
	g, err := p.state.redeem(form.Get("code"), c, form.Get("redirect_uri"), form.Get("code_verifier"), p.now())
	if err != nil {
		return nil, err
	}
	return p.issue(g, g.scope, g.nonce, true), nil
}

// grantRefresh is RFC 6749 §6. The new ID token has no nonce (OIDC Core §12.2).
func (p *Provider) grantRefresh(c *Client, form url.Values) (map[string]any, error) {
	if form.Get("refresh_token") == "" {
		return nil, badRequest("The refresh_token is missing.")
	}
	scope := strings.Fields(form.Get("scope"))
	g, err := p.state.useRefresh(form.Get("refresh_token"), c, scope, p.now())
	if err != nil {
		return nil, err
	}
	if len(scope) == 0 {
		scope = g.scope
	}
	return p.issue(g, scope, "", !c.KeepRefreshToken), nil
}

// grantClient is RFC 6749 §4.4: no refresh token, nobody who could have an ID token.
func (p *Provider) grantClient(c *Client, form url.Values) (map[string]any, error) {
	if c.AuthMethod == "none" {
		return nil, refusal("unauthorized_client", "A public client has no tokens of its own.")
	}
	aboutUsers := func(scope string) bool { return slices.Contains(standardScopes, scope) }
	g := &grant{client: c, scope: slices.DeleteFunc(p.grantable(form.Get("scope")), aboutUsers)}
	return p.issue(g, g.scope, "", false), nil
}

// grantPassword is RFC 6749 §4.3.
func (p *Provider) grantPassword(c *Client, form url.Values) (map[string]any, error) {
	if !form.Has("username") || !form.Has("password") {
		return nil, badRequest("The username or the password is missing.")
	}
	user := p.checkPassword(form.Get("username"), form.Get("password"))
	if user == nil {
		return nil, refusal("invalid_grant", "The username or the password is wrong.")
	}
	g := &grant{client: c, user: user, scope: p.grantable(form.Get("scope")), authTime: p.now()}
	return p.issue(g, g.scope, "", true), nil
}
