package provider

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// redirectCode issues an authorization code for the user of s and sends it to the client.
func (p *Provider) redirectCode(w http.ResponseWriter, r *http.Request, a *authorizationRequest, s *session) {
	g := &grant{
		client: a.client, user: s.user, scope: a.scope, session: *s, authTime: s.authTime, nonce: a.params.Get("nonce"),
		audience: p.audienceParameter(a.params), params: a.params,
	}
	g.details = a.details
	c := &code{grant: g, redirectURI: a.redirectURI, challenge: a.params.Get("code_challenge"), jkt: a.params.Get("dpop_jkt")}
	answer := map[string]any{"code": p.state.addCode(c, p.now())}
	if a.params.Get("response_type") == "code id_token" {
		answer["id_token"] = p.newFrontIDToken(g, answer["code"].(string), a.params.Get("state"))
	}
	p.redirect(w, r, a, answer)
}

// redirectError sends an error to the client's redirect URI (RFC 6749 §4.1.2.1).
func (p *Provider) redirectError(w http.ResponseWriter, r *http.Request, a *authorizationRequest, e *oauthError) {
	p.redirect(w, r, a, map[string]any{"error": e.Code, "error_description": e.Description})
}

// redirect sends an authorization response with state and iss (RFC 6749 §4.1.2, RFC 9207 §2), in the query of a redirect or
// by response_mode form_post, as it is or in a JWT. The status 303 turns the POST of the login form into a GET, so that the
// browser doesn't send the password to the client (RFC 9700 §4.12).
func (p *Provider) redirect(w http.ResponseWriter, r *http.Request, a *authorizationRequest, answer map[string]any) {
	if !p.as().noResponseIss {
		answer["iss"] = p.iss()
	}
	if state := a.params.Get("state"); state != "" {
		answer["state"] = state
	}
	p.controls.adjusted(subject(Authorization), answer)
	params := url.Values{}
	for name, v := range answer {
		if s, ok := v.(string); ok {
			params.Set(name, s)
		}
	}
	mode, isJWT := strings.CutSuffix(a.params.Get("response_mode"), "jwt")
	if isJWT {
		params = url.Values{"response": {p.responseJWT(a.client, answer)}}
	}
	if strings.HasPrefix(mode, "form_post") {
		formPost(w, a, params)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, withQuery(a.redirectURI, params), http.StatusSeeOther)
}

// responseJWT returns an authorization response as a JWT (JARM §2.1).
func (p *Provider) responseJWT(c *Client, answer map[string]any) string {
	claims := maps.Clone(answer)
	claims["aud"], claims["exp"] = c.ID, p.now().Add(responseLifetime).Unix()
	p.controls.adjusted(signedAnswers(Authorization), claims)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return p.encrypted(c, c.AuthorizationEncryption, p.SignJWT(claims, WithAlg(c.AuthorizationSignedResponseAlg)))
}

// responseLifetime is the lifetime of an authorization response in a JWT.
const responseLifetime = 10 * time.Minute

// withQuery adds parameters to a redirect URI and keeps the query that it already has (RFC 6749 §3.1.2).
func withQuery(uri string, query url.Values) string {
	switch {
	case len(query) == 0:
		return uri
	case strings.Contains(uri, "?"):
		return uri + "&" + query.Encode()
	}
	return uri + "?" + query.Encode()
}
