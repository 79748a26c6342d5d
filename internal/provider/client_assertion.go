package provider

import (
	"net/http"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	assertionType     = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertionLifetime = 10 * time.Minute // the maximum; the provider stores a jti until the assertion expires
	clockSkew         = 10 * time.Second // how far nbf and iat of a JWT may be in the future
)

var (
	hmacAlgs       = []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512}
	asymmetricAlgs = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256,
		jose.ES384, jose.ES512, jose.EdDSA}
)

// authenticateAssertion authenticates a client by client_secret_jwt or private_key_jwt (OIDC Core §9, RFC 7523 §2.2 and §3).
func (p *Provider) authenticateAssertion(r *http.Request, e Endpoint, c *credentials) (*Client, error) {
	refuse := func(reason string) (*Client, error) { // RFC 7521 §4.2.1
		e := invalidClient(r)
		e.Description = reason
		return nil, e
	}
	if kind := r.PostForm.Get("client_assertion_type"); kind != assertionType || c.assertion == "" {
		return nil, badRequest("The client_assertion is missing, or its client_assertion_type isn't " + assertionType + ".")
	}
	client := p.assertedClient(payload(c.assertion)) // the claims aren't verified yet: they select the keys
	if client == nil || c.id != "" && c.id != client.ID {
		return refuse("The client assertion names an unknown client, or another client than client_id.")
	}
	claims, err := p.verifyAssertion(client, c.assertion)
	if err != nil {
		return refuse("The client assertion can't be verified: " + err.Error() + ".")
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

// assertedClient returns the client that the iss and sub of an assertion identify, or nil.
func (p *Provider) assertedClient(claims map[string]any) *Client {
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

// checkOwnAssertion checks the claims of an assertion that the client signed itself and returns what is wrong, or "". It is
// as strict as the strictest authorization servers, so that an accepted client works with all of them: aud is one string,
// each jti is accepted once, and exp is at most assertionLifetime away.
func (p *Provider) checkOwnAssertion(c *Client, claims map[string]any, e Endpoint) string {
	now := p.now()
	exp, hasExp := numericDate(claims["exp"])
	jti, _ := claims["jti"].(string)
	aud, isString := claims["aud"].(string)
	switch {
	case !isString:
		return "The aud of the client assertion isn't a string."
	case !slices.Contains(p.assertionAudiences(e), aud):
		return "The client assertion is for another audience."
	case !hasExp:
		return "The client assertion has no exp."
	case exp.Sub(now) > assertionLifetime:
		return "The exp of the client assertion is more than 10 minutes in the future."
	case jti == "":
		return "The client assertion has no jti."
	}
	if reason := checkTimes(claims, now); reason != "" {
		return "The client assertion " + reason + "."
	}
	if !p.state.useOnce(c.ID+" "+jti, exp, now) {
		return "The jti of the client assertion was used before."
	}
	return ""
}

// checkForeignAssertion checks the claims of an assertion that another issuer signed and returns what is wrong, or "". It
// requires only what RFC 7523 §3 does: Kubernetes service account tokens have a list as aud, last for an hour and are used
// repeatedly.
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

// assertionAudiences returns the accepted values of aud: the issuer, the token endpoint and the requested endpoint.
func (p *Provider) assertionAudiences(e Endpoint) []string {
	names := []string{p.Issuer(), p.Issuer() + string(Token), p.Issuer() + string(e)}
	if p.MTLSURL != "" {
		names = append(names, p.alias(Token), p.alias(e))
	}
	return names
}

// checkTimes returns what is wrong with the exp, nbf or iat of a JWT (RFC 7519 §4.1), or "". It doesn't require them.
func checkTimes(claims map[string]any, now time.Time) string {
	for _, name := range []string{"exp", "nbf", "iat"} {
		value, present := claims[name]
		t, ok := numericDate(value)
		switch {
		case !present:
		case !ok:
			return "has an " + name + " that isn't a time"
		case name == "exp" && !now.Before(t):
			return "has expired"
		case name != "exp" && t.After(now.Add(clockSkew)):
			return "has an " + name + " in the future"
		}
	}
	return ""
}

// audiences returns aud as a list (RFC 7519 §4.1.3).
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
