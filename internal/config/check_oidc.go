package config

import (
	"errors"
	"fmt"
	"strings"

	"sallyport/internal/auth"
)

// checkOIDC judges a route's oidc block, the process's defaults merged in.
func (r *Route) checkOIDC() {
	r.checkIssuer()
	r.checkClient()
	r.checkLogin()
	r.checkSession()
	r.checkHeaders()
	r.checkErrors()
	checkAudience(r.block, r.OIDC.Authz.AudienceRequired)
}

// missing complains about a key that must be there, at the oidc block.
func (b *block) missing(key, write string) {
	if !b.find(key).bad {
		b.problem(b.find("oidc").mark, "%s is missing: write %s", key, write)
	}
}

func (r *Route) checkIssuer() {
	b, s := r.block, &r.OIDC.Flow.Client
	if s.Issuer == "" {
		b.missing("issuer", "the issuer's URL, such as https://idp.example.com/realms/main")
	}
	b.one("issuer", s.Issuer, func(text string) error { return checkURL(text, "https", "http") })
	if strings.HasPrefix(s.Issuer, "http://") && !auth.Loopback(s.Issuer) {
		b.warn("issuer", "it is reached without TLS: anybody on the way can be the issuer")
	}
	if !s.SSLVerify {
		b.warn("ssl_verify", "the issuer's certificate isn't verified: anybody on the way can be the issuer")
	}
	b.each("issuers_allowed", s.IssuersAllowed, notEmpty)
	b.pem("ca_file", s.CAFile)
	b.one("http_proxy", s.HTTPProxy, func(text string) error { return checkURL(text, "http", "https") })
	b.one("https_proxy", s.HTTPSProxy, func(text string) error { return checkURL(text, "http", "https") })
	b.aligned("discovery_headers_names", len(s.DiscoveryHeadersNames), "discovery_headers_values", len(s.DiscoveryHeadersValues))
	b.each("discovery_headers_names", s.DiscoveryHeadersNames, checkHeader)
	for i, v := range s.DiscoveryHeadersValues {
		b.must(fmt.Sprintf("discovery_headers_values[%d]", i), !control.MatchString(string(v)), "a header's value holds no line breaks and controls")
	}
}

func notEmpty(text string) error {
	if text == "" {
		return errors.New("it is empty: write a value, or take it out")
	}
	return nil
}

// aligned demands that two lists, which are read by index, are equally long.
func (b *block) aligned(first string, n int, second string, m int) {
	if b.find(first).bad || b.find(second).bad || n == m {
		return
	}
	if !b.has(first) {
		first, n, second, m = second, m, first, n
	}
	b.complain(first, "it has %s and %s has %d: write one for each", entries(n), second, m)
}

func entries(n int) string {
	if n == 1 {
		return "1 entry"
	}
	return fmt.Sprintf("%d entries", n)
}

func (r *Route) checkClient() {
	b, s := r.block, &r.OIDC.Flow.Client
	if len(s.ClientID) == 0 {
		b.missing("client_id", "the identifier that the issuer knows this route by")
		return
	}
	b.each("client_id", s.ClientID, notEmpty)
	b.must("client_id", len(s.ClientID) == 1, "this version uses one client for each route: write one, and make a route for each of the others")
	o := &r.OIDC
	for key, n := range map[string]int{
		"client_secret": len(s.ClientSecret), "client_auth": len(s.ClientAuth), "redirect_uri": len(o.Flow.RedirectURI),
		"logout_redirect_uri": len(o.Flow.LogoutRedirectURI), "unauthorized_redirect_uri": len(o.Errors.UnauthorizedRedirectURI),
		"forbidden_redirect_uri": len(o.Errors.ForbiddenRedirectURI), "unexpected_redirect_uri": len(o.Errors.UnexpectedRedirectURI),
	} {
		if !b.find("client_id").bad {
			b.must(key, n <= len(s.ClientID), "it has %s and client_id has %d: write at most one for each client", entries(n), len(s.ClientID))
		}
	}
	if len(s.ClientAuth) > 0 && s.ClientAuth[0] != "none" && len(s.ClientSecret) == 0 && !b.find("client_secret").bad {
		b.complain("client_auth", "%s needs client_secret: add it, or write none for a public client", s.ClientAuth[0])
	}
}
