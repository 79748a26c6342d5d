package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/oidc"
)

// checkOIDC judges a route's oidc block, the process's defaults merged in.
func (r *Route) checkOIDC() {
	r.checkTexts(r.block, reflect.ValueOf(&r.OIDC).Elem())
	r.checkClaimPaths()
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
	r.checkCookieReach()
	r.checkDoubts()
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
	r.checkSwitches()
	if !s.SSLVerify {
		b.warn("ssl_verify", "the issuer's certificate isn't verified: anybody on the way can be the issuer")
	}
	r.checkEndpoints()
	b.each("issuers_allowed", s.IssuersAllowed, notEmpty)
	b.pem("ca_file", s.CAFile)
	b.one("http_proxy", s.HTTPProxy, func(text string) error { return checkURL(text, "http", "https") })
	b.one("https_proxy", s.HTTPSProxy, func(text string) error { return checkURL(text, "http", "https") })
	if err := oidc.CheckNoProxy(s.NoProxy); err != nil {
		b.complain("no_proxy", "%v", err)
	}
	b.aligned("discovery_headers_names", len(s.DiscoveryHeadersNames), "discovery_headers_values", len(s.DiscoveryHeadersValues))
	b.each("discovery_headers_names", s.DiscoveryHeadersNames, checkHeader)
	checkSentOnce(listed(b, "discovery_headers_names", s.DiscoveryHeadersNames))
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

// checkSwitches names the danger of what makes verification less than it is.
func (r *Route) checkSwitches() {
	b, f := r.block, &r.OIDC.Flow
	s := &f.Client
	if !s.VerifySignature {
		b.warn("verify_signature", "INSECURE: signatures aren't verified, so anybody can write a token and is whom it says")
	}
	if !s.VerifyClaims {
		b.warn("verify_claims", "INSECURE: expired tokens and those of any issuer whose keys are the same are taken")
	}
	if !f.VerifyNonce {
		b.warn("verify_nonce", "INSECURE: an ID token that somebody has stolen can be slipped into a login")
	}
	if len(s.IgnoreSignature) > 0 {
		b.warn("ignore_signature", "INSECURE: whoever answers in the issuer's name is believed: nothing but TLS says that it is the issuer")
	}
	if s.EnableHSSignatures {
		b.warn("enable_hs_signatures", "whoever knows client_secret can write tokens of this issuer")
		b.must("enable_hs_signatures", len(s.ClientSecret) > 0, "it needs client_secret, by which tokens are verified: add it, or take it out")
	}
	b.must("id_token_signed_response_alg", s.EnableHSSignatures || !strings.HasPrefix(s.IDTokenSignedResponseAlg, "HS"),
		"%s is signed with client_secret: write enable_hs_signatures: true, or better have the issuer sign with RS256 or ES256", s.IDTokenSignedResponseAlg)
}
