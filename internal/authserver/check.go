package authserver

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"sallyport/internal/auth"
	"sallyport/internal/check"
)

// maxClientID is the maximum length of a client_id, in bytes: some are URLs, and those of registered clients hold their metadata.
const maxClientID = 2048

// Check reports what is wrong with the settings, whose keys are below oauth2. It never shows a secret or its hash.
func (s *Settings) Check(c check.Checker) {
	c = c.Below("oauth2.")
	c.Err("issuer", s.checkIssuer())
	for n, scope := range s.Scopes {
		key := fmt.Sprintf("scopes[%d]", n)
		c.Must(key, isScope(scope), "expected a word without spaces, quotes and backslashes (RFC 6749 §3.3), got %q", scope)
		c.Must(key, slices.Index(s.Scopes, scope) == n, "%s is listed twice", scope)
	}
	c.Must("mandatory_scope", !s.MandatoryScope || len(s.Scopes) > 0, "it needs scopes that a client can ask for: write scopes")
	c.Must("provision_key", s.ProvisionKey == "" || len(s.ProvisionKey) >= check.MinSecret,
		"its holder can act for every user: expected %d bytes or more (openssl rand -base64 32), got %d",
		check.MinSecret, len(s.ProvisionKey))
	c.Must("token_prefix", prefixForm.MatchString(s.TokenPrefix),
		"expected 2 to 20 letters, digits, - and _ that begin with a letter and end in _, such as sp_, got %q", s.TokenPrefix)
	c.Must("token_expiration", s.TokenExpiration >= time.Second, "no token is endless: expected 1s or more")
	c.Must("refresh_token_ttl", s.RefreshTokenTTL >= time.Second, "no token is endless: expected 1s or more")
	c.Must("pkce", s.PKCE == "strict" || s.PKCE == "lax", "expected strict or lax, got %q", s.PKCE)
	c.Must("storage", s.Storage == "memory" || s.Storage == "redis", "expected memory or redis, got %q", s.Storage)
	c.Must("secret", s.Storage != "redis" || len(s.Secret) > 0,
		"storage redis needs it, the same for all replicas: openssl rand -base64 32")
	for n, secret := range s.Secret {
		c.Must(fmt.Sprintf("secret[%d]", n), len(secret) >= check.MinSecret,
			"expected %d bytes or more (openssl rand -base64 32), got %d", check.MinSecret, len(secret))
	}
	s.Redis.Check(c, "redis")
	for n := range s.Clients {
		s.checkClient(c, n)
	}
}

// prefixForm is the form of a token prefix. Its final underscore separates it from the rest of the token, and distinguishes the token
// from a JWT.
var prefixForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,18}_$`)

// checkIssuer returns an error unless the issuer is an https URL without query and fragment (RFC 8414 §2).
func (s *Settings) checkIssuer() error {
	if s.Issuer == "" {
		return nil
	}
	u, err := url.Parse(s.Issuer)
	if err != nil || u.Host == "" || u.User != nil || strings.ContainsAny(s.Issuer, "?# ") || strings.HasSuffix(s.Issuer, "/") {
		const expected = "expected a URL such as https://api.example.com, without query, fragment and final slash (RFC 8414 §2), got %q"
		return fmt.Errorf(expected, s.Issuer)
	}
	if u.Scheme != "https" && !(u.Scheme == "http" && (s.AllowInsecureHTTP || auth.Loopback(s.Issuer))) {
		return fmt.Errorf("expected https (RFC 8414 §2), got %q", s.Issuer)
	}
	return nil
}

// checkClient checks the client with index n.
func (s *Settings) checkClient(c check.Checker, n int) {
	cl := &s.Clients[n]
	key := func(name string) string { return fmt.Sprintf("clients[%d].%s", n, name) }
	c.Must(key("client_id"), cl.ClientID != "" && len(cl.ClientID) <= maxClientID && isVisible(cl.ClientID),
		"expected up to %d printable ASCII characters (RFC 6749 §A.1), got %q", maxClientID, cl.ClientID)
	c.Must(key("client_id"), slices.IndexFunc(s.Clients, func(o Client) bool { return o.ClientID == cl.ClientID }) == n,
		"another client has the client_id %s too", cl.ClientID)
	c.Must(key("client_secret_hash"), !cl.Public || len(cl.ClientSecretHash) == 0,
		"a public client can't keep a secret: take it out, or public")
	c.Must(key("client_secret_hash"), cl.Public || len(cl.ClientSecretHash) > 0,
		"a confidential client needs the hash of its secret; a client that can't keep one is public: true")
	for m, line := range cl.ClientSecretHash {
		_, err := parseHash(string(line))
		c.Err(fmt.Sprintf("%s[%d]", key("client_secret_hash"), m), err)
	}
	for m, scope := range cl.Scopes {
		c.Must(fmt.Sprintf("%s[%d]", key("scopes"), m), slices.Contains(s.Scopes, scope) || slices.Contains(s.RouteScopes, scope),
			"oauth2.scopes doesn't list %q: add it there", scope)
	}
	for m, audience := range cl.Audience {
		c.Must(fmt.Sprintf("%s[%d]", key("audience"), m), audience != "", "it is empty: write a name")
	}
	c.Must(key("access_token_lifetime"), cl.AccessTokenLifetime == 0 || cl.AccessTokenLifetime >= time.Second,
		"no token is endless: expected 1s or more")
	cl.checkGrants(c, key)
}

// checkGrants checks a client's grants, and the settings that they need.
func (cl *Client) checkGrants(c check.Checker, key func(string) string) {
	grants := key("grants")
	for m, grant := range cl.Grants {
		c.Must(fmt.Sprintf("%s[%d]", grants, m), slices.Contains([]string{clientCredentials, authorizationCode, refreshToken}, grant),
			"expected client_credentials, authorization_code or refresh_token, got %q", grant)
	}
	has := func(grant string) bool { return slices.Contains(cl.Grants, grant) }
	c.Must(grants, !cl.Public || len(cl.Grants) > 0, "a public client without any can't do anything: write authorization_code")
	c.Must(grants, !cl.Public || !has(clientCredentials),
		"a public client has no credentials: take client_credentials out (RFC 6749 §4.4)")
	c.Must(grants, !has(refreshToken) || has(authorizationCode),
		"refresh tokens come with authorization_code: add it, or take refresh_token out")
	uris := key("redirect_uris")
	c.Must(uris, has(authorizationCode) == (len(cl.RedirectURIs) > 0),
		"they go together with the grant authorization_code: write both or none")
	for m, uri := range cl.RedirectURIs {
		c.Err(fmt.Sprintf("%s[%d]", uris, m), checkRedirectURI(uri))
	}
}

// isVisible reports whether a text consists of VSCHAR (RFC 6749 §A): printable ASCII and the space.
func isVisible(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}
