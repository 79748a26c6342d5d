package provider

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A tokenRequest is a token request of an authenticated client.
type tokenRequest struct {
	client  *Client
	form    url.Values
	binding binding // of the tokens
}

// token serves the token endpoint (RFC 6749 §3.2).
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.tellNonce(w, Token)
	t, err := p.readTokenRequest(r)
	var answer map[string]any
	if err == nil {
		answer, err = p.grant(t)
	}
	var refused *oauthError
	if errors.As(err, &refused) {
		p.refuse(w, refused)
		return
	}
	p.answer(w, Token, answer)
}

// readTokenRequest authenticates the client and checks the parameters that all grants have.
func (p *Provider) readTokenRequest(r *http.Request) (*tokenRequest, error) {
	client, err := p.authenticate(r, Token)
	if err != nil {
		return nil, err
	}
	for name, values := range r.PostForm {
		if len(values) > 1 && name != "resource" && name != "audience" { // RFC 6749 §3.2; RFC 8707 §2, RFC 8693 §2.1
			return nil, repeatedParameter(name)
		}
	}
	t := &tokenRequest{client: client, form: r.PostForm}
	if client.BoundTokens {
		cert := certificate(r)
		if cert == nil {
			return nil, badRequest("The client's access tokens need a client certificate.")
		}
		t.binding.x5t = Thumbprint(cert.Raw)
	}
	t.binding.jkt, err = p.tokenProof(r, client)
	return t, err
}

// grant handles a token request by its grant_type and returns the token response.
func (p *Provider) grant(t *tokenRequest) (map[string]any, error) {
	switch t.form.Get("grant_type") {
	case "authorization_code":
		return p.grantCode(t)
	case "refresh_token":
		return p.grantRefresh(t)
	case "client_credentials":
		return p.grantClient(t)
	case "password":
		return p.grantPassword(t)
	case grantTokenExchange:
		return p.grantExchange(t)
	case grantJWTBearer:
		return p.grantJWTBearer(t)
	case "":
		return nil, badRequest("The grant_type is missing.")
	}
	return nil, refusal("unsupported_grant_type", "The grant_type isn't supported.")
}

// grantCode implements the authorization_code grant (RFC 6749 §4.1.3).
func (p *Provider) grantCode(t *tokenRequest) (map[string]any, error) {
	if t.form.Get("code") == "" {
		return nil, badRequest("The code is missing.")
	}
	g, err := p.state.redeem(t, p.now())
	if err != nil {
		return nil, err
	}
	return p.issue(g, issuance{scope: g.scope, nonce: g.nonce, refresh: true, binding: t.binding}), nil
}

// grantRefresh implements the refresh_token grant (RFC 6749 §6). The new ID token has no nonce (OIDC Core §12.2).
func (p *Provider) grantRefresh(t *tokenRequest) (map[string]any, error) {
	if t.form.Get("refresh_token") == "" {
		return nil, badRequest("The refresh_token is missing.")
	}
	scope := strings.Fields(t.form.Get("scope"))
	g, err := p.state.useRefresh(t, scope, p.now())
	if err != nil {
		return nil, err
	}
	if len(scope) == 0 {
		scope = g.scope
	}
	return p.issue(g, issuance{scope: scope, refresh: !t.client.KeepRefreshToken, binding: t.binding}), nil
}

// grantClient implements the client_credentials grant (RFC 6749 §4.4), without refresh token and ID token.
func (p *Provider) grantClient(t *tokenRequest) (map[string]any, error) {
	if t.client.AuthMethod == "none" {
		return nil, refusal("unauthorized_client", "A public client can't use this grant.")
	}
	scope := p.grantedScopes(t.form.Get("scope"))
	if p.config.NoOpenIDForClients && slices.Contains(scope, "openid") {
		return nil, refusal("invalid_scope", "The client_credentials grant doesn't support the scope openid.")
	}
	aboutUsers := func(scope string) bool { return slices.Contains(standardScopes, scope) }
	g := &grant{client: t.client, scope: slices.DeleteFunc(scope, aboutUsers), audience: p.audienceParameter(t.form)}
	return p.issue(g, issuance{scope: g.scope, binding: t.binding}), nil
}

// grantPassword implements the password grant (RFC 6749 §4.3).
func (p *Provider) grantPassword(t *tokenRequest) (map[string]any, error) {
	if !t.form.Has("username") || !t.form.Has("password") {
		return nil, badRequest("The username or the password is missing.")
	}
	user := p.checkPassword(t.form.Get("username"), t.form.Get("password"))
	if user == nil {
		return nil, invalidGrant("The username or the password is wrong.")
	}
	g := &grant{
		client: t.client, user: user, scope: p.grantedScopes(t.form.Get("scope")), audience: p.audienceParameter(t.form),
		authTime: p.now(),
	}
	return p.issue(g, issuance{scope: g.scope, refresh: true, binding: t.binding}), nil
}

// audienceParameter returns the values of the parameter audience if Config.AudienceParameter is set, and nil otherwise.
func (p *Provider) audienceParameter(form url.Values) []string {
	if !p.config.AudienceParameter {
		return nil
	}
	return nonEmpty(form["audience"])
}

// nonEmpty returns the values that aren't empty, because an empty parameter counts as omitted (RFC 6749 §3.2).
func nonEmpty(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
}
