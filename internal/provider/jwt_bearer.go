package provider

import "slices"

const grantJWTBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// grantJWTBearer implements the JWT bearer grant (RFC 7523 §2.1). With Config.OnBehalfOf it is Microsoft's on-behalf-of flow:
// the assertion is an access token for the client.
func (p *Provider) grantJWTBearer(t *tokenRequest) (map[string]any, error) {
	use := t.form.Get("requested_token_use")
	switch {
	case t.client.AuthMethod == "none":
		return nil, refusal("unauthorized_client", "A public client can't use this grant.")
	case t.form.Get("assertion") == "":
		return nil, badRequest("The assertion is missing.")
	case p.config.OnBehalfOf && use != "on_behalf_of":
		return nil, badRequest("The requested_token_use isn't on_behalf_of.")
	}
	assertion, reason := p.assertion(t)
	if reason != "" {
		return nil, invalidGrant("The assertion " + reason + ".") // RFC 7521 §4.1.1
	}
	g := &grant{client: t.client, user: assertion.user, scope: p.exchangeScope(t.form, assertion), authTime: assertion.authTime}
	return p.issue(g, issuance{scope: g.scope, binding: t.binding}), nil
}

// assertion verifies the assertion of a JWT bearer grant (RFC 7523 §3) and returns its subject. The aud must contain this
// server or, with Config.OnBehalfOf, the client. reason, if not empty, says what is wrong.
func (p *Provider) assertion(t *tokenRequest) (_ *party, reason string) {
	token := t.form.Get("assertion")
	j, reason := p.verifyTrusted(token)
	if reason != "" {
		return nil, reason
	}
	accepted := []string{p.Issuer(), p.Issuer() + string(Token)}
	if p.config.OnBehalfOf {
		accepted = []string{t.client.ID}
	}
	switch {
	case !slices.ContainsFunc(audiences(j.claims), func(aud string) bool { return slices.Contains(accepted, aud) }):
		return nil, "is for another audience"
	case p.config.OnBehalfOf && !j.accessToken:
		return nil, "isn't an access token"
	case j.issuer == p && j.accessToken && p.state.active(token, p.now()) == nil:
		return nil, "was revoked or never issued"
	}
	return p.trustedParty(j), ""
}
