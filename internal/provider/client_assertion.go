package provider

import (
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	assertionType     = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertionLifetime = 10 * time.Minute // at most: so long is its jti remembered
	clockSkew         = 10 * time.Second // of who made a JWT before it is used
)

var (
	hmacAlgs       = []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}
	asymmetricAlgs = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256,
		jose.ES384, jose.ES512, jose.EdDSA}
)

// authenticateAssertion authenticates by client_secret_jwt or private_key_jwt (OIDC Core §9, RFC 7523 §2.2 and §3).
func (p *Provider) authenticateAssertion(r *http.Request, e Endpoint, c *credentials) (*Client, error) {
	refuse := func(reason string) (*Client, error) { // RFC 7521 §4.2.1
		e := invalidClient(r)
		e.Description = reason
		return nil, e
	}
	if kind := r.PostForm.Get("client_assertion_type"); kind != assertionType || c.assertion == "" {
		return nil, badRequest("The client_assertion is missing, or its client_assertion_type isn't " + assertionType + ".")
	}
	said := payload(c.assertion) // not yet proved: it finds the keys that do
	client := p.clientOf(said)
	if client == nil || c.id != "" && c.id != client.ID {
		return refuse("The client assertion isn't about a client that is known here, or about another than client_id.")
	}
	claims, err := p.verifyAssertion(client, c.assertion)
	if err != nil {
		return refuse("The client assertion isn't signed as it should be: " + err.Error() + ".")
	}
	check := p.checkOwnAssertion
	if client.AssertionIssuer != "" {
		check = p.checkForeignAssertion
	}
	if reason := check(client, claims, e); reason != "" {
		return refuse(reason)
	}
	return client, nil
}

// clientOf finds the client that an assertion is about: by its own name, or by the name that a foreign issuer has for it.
func (p *Provider) clientOf(claims map[string]any) *Client {
	iss, _ := claims["iss"].(string)
	sub, _ := claims["sub"].(string)
	for i := range p.config.Clients {
		c := &p.config.Clients[i]
		switch {
		case c.AuthMethod != "client_secret_jwt" && c.AuthMethod != "private_key_jwt":
		case c.AssertionIssuer != "":
			if c.AssertionIssuer == iss && c.AssertionSubject == sub {
				return c
			}
		case c.ID == iss && c.ID == sub:
			return c
		}
	}
	return nil
}

// checkOwnAssertion judges what a client says of itself. It is stricter than RFC 7523 §3 in what servers differ about, so
// that who passes here passes elsewhere: aud is one string, a jti is good for one use, and exp is near.
func (p *Provider) checkOwnAssertion(c *Client, claims map[string]any, e Endpoint) string {
	now := p.now()
	exp, hasExp := numericDate(claims["exp"])
	jti, _ := claims["jti"].(string)
	aud, isString := claims["aud"].(string)
	switch {
	case !isString:
		return "The client assertion's aud isn't one string."
	case !slices.Contains(p.assertionAudiences(e), aud):
		return "The client assertion is for another audience."
	case !hasExp:
		return "The client assertion has no exp."
	case exp.Sub(now) > assertionLifetime:
		return "The client assertion's exp is more than 10 minutes ahead."
	case jti == "":
		return "The client assertion has no jti."
	}
	if reason := checkTimes(claims, now); reason != "" {
		return "The client assertion " + reason + "."
	}
	if !p.state.useOnce(c.ID+" "+jti, exp, now) {
		return "The client assertion's jti was used before."
	}
	return ""
}

// checkForeignAssertion judges what another issuer says of a client, by RFC 7523 §3 alone: Kubernetes' tokens live for an
// hour, are used until then, and have a list as aud.
func (p *Provider) checkForeignAssertion(_ *Client, claims map[string]any, e Endpoint) string {
	if !slices.ContainsFunc(audiences(claims), func(aud string) bool { return slices.Contains(p.assertionAudiences(e), aud) }) {
		return "The client assertion is for another audience."
	}
	if _, ok := numericDate(claims["exp"]); !ok {
		return "The client assertion has no exp."
	}
	if reason := checkTimes(claims, p.now()); reason != "" {
		return "The client assertion " + reason + "."
	}
	return ""
}

// assertionAudiences are the names of this server: its issuer, its token endpoint, and the endpoint that is asked.
func (p *Provider) assertionAudiences(e Endpoint) []string {
	names := []string{p.Issuer(), p.Issuer() + string(Token), p.Issuer() + string(e)}
	if p.MTLSURL != "" {
		names = append(names, p.alias(Token), p.alias(e))
	}
	return names
}

// checkTimes says what is wrong with a JWT's exp, nbf and iat, or "" (RFC 7519 §4.1). One that isn't there isn't wrong.
func checkTimes(claims map[string]any, now time.Time) string {
	for _, name := range []string{"exp", "nbf", "iat"} {
		value, present := claims[name]
		t, ok := numericDate(value)
		switch {
		case !present:
		case !ok:
			return "has an " + name + " that is no time"
		case name == "exp" && !now.Before(t):
			return "has expired"
		case name != "exp" && t.After(now.Add(clockSkew)):
			return "has an " + name + " in the future"
		}
	}
	return ""
}

// audiences is aud as a list (RFC 7519 §4.1.3).
func audiences(claims map[string]any) []string {
	switch aud := claims["aud"].(type) {
	case string:
		return []string{aud}
	case []string:
		return aud
	case []any:
		var list []string
		for _, v := range aud {
			if s, ok := v.(string); ok {
				list = append(list, s)
			}
		}
		return list
	}
	return nil
}
