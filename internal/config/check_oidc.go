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
	r.checkRequests()
	r.checkCredentials()
	r.checkExchange()
	r.checkResource()
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
	r.checkEndpoints()
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
