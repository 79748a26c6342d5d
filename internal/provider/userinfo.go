package provider

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
)

// userinfo serves the userinfo endpoint (OIDC Core §5.3).
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	token, refused := accessTokenOf(r)
	if refused != nil {
		p.refuse(w, refused)
		return
	}
	t := p.state.active(token, p.now())
	if t == nil {
		p.refuse(w, invalidToken("The access token is unknown, expired or revoked."))
		return
	}
	if !bindingAllows(t.claims, certificate(r)) {
		p.refuse(w, invalidToken("The access token is bound to another client certificate."))
		return
	}
	if refused := p.userinfoProof(w, r, t.claims, token); refused != nil {
		p.refuse(w, refused)
		return
	}
	scope, _ := t.claims["scope"].(string)
	scopes := strings.Fields(scope)
	if t.grant.user == nil || !slices.Contains(scopes, "openid") {
		p.refuse(w, challenge(http.StatusForbidden, "insufficient_scope", "The access token doesn't have the scope openid."))
		return
	}
	claims := p.claims(t.grant, scopes)
	p.as().userinfo.apply(p, t.grant, claims)
	p.answerUserinfo(w, r, t.grant, claims)
}

// answerUserinfo sends the userinfo response. It is a JWT with iss and aud (OIDC Core §5.3.2) if the client is registered for
// that or the request prefers it.
func (p *Provider) answerUserinfo(w http.ResponseWriter, r *http.Request, g *grant, claims map[string]any) {
	alg := g.client.UserinfoSignedResponseAlg
	if alg == "" && g.client.UserinfoEncryption.Alg == "" && !prefers(r, mediaJWT) {
		p.answer(w, Userinfo, claims)
		return
	}
	p.controls.adjusted(subject(Userinfo), claims)
	claims["iss"], claims["aud"] = p.Issuer(), g.client.ID
	p.answerJWT(w, Userinfo, g.client, mediaJWT, cmp.Or(alg, "RS256"), claims)
}

// accessTokenOf returns the access token of a request by the scheme DPoP (RFC 9449 §7.1) or as bearer does.
func accessTokenOf(r *http.Request) (token string, refused *oauthError) {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "DPoP") && token != "" {
		return token, nil
	}
	return bearer(r)
}

// bearer returns the access token in the Authorization header or the form, never one in the query (RFC 6750 §2, RFC 9700
// §4.3.2).
func bearer(r *http.Request) (token string, refused *oauthError) {
	scheme, inHeader, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	inForm := r.PostForm.Get("access_token")
	switch {
	case strings.EqualFold(scheme, "Bearer") && inHeader != "" && inForm == "":
		return inHeader, nil
	case scheme == "" && inForm != "":
		return inForm, nil
	case scheme == "" && inForm == "":
		e := invalidToken("The access token is missing.")
		e.Challenge = `Bearer realm="provider"` // RFC 6750 §3.1: no error code without authentication
		return "", e
	}
	return "", challenge(http.StatusBadRequest, "invalid_request",
		"The request has more than one access token, or another authentication scheme.")
}

// invalidToken returns the refusal of an access token.
func invalidToken(description string) *oauthError {
	return challenge(http.StatusUnauthorized, "invalid_token", description)
}

// challenge returns an error with a Bearer challenge (RFC 6750 §3).
func challenge(status int, code, description string) *oauthError {
	return &oauthError{Status: status, Code: code, Description: description,
		Challenge: `Bearer realm="provider", error="` + code + `", error_description="` + description + `"`}
}
