package oidc

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"sallyport/internal/auth"
	"sallyport/internal/check"
)

// Check reports what is wrong with the settings, by key. needs is what the flows ask of the authorization server.
func (s *Settings) Check(c check.Checker, needs Examination) {
	s.checkIssuer(c)
	s.checkVerification(c)
	s.checkEndpoints(c, needs)
	s.checkClient(c)
	s.checkAuthorization(c)
	s.checkEncryption(c)
	s.checkRequests(c)
	s.checkExchange(c)
}

func (s *Settings) checkIssuer(c check.Checker) {
	if s.Issuer == "" {
		c.Missing("issuer", "the issuer's URL, such as https://idp.example.com/realms/main")
	}
	webURL := func(text string) error { return check.URL(text, "https", "http") }
	c.One("issuer", s.Issuer, webURL)
	if strings.HasPrefix(s.Issuer, "http://") && !auth.Loopback(s.Issuer) {
		c.Warn("issuer", "it is reached without TLS: anyone on the network path can impersonate the issuer")
	}
	s.checkTenant(c)
	if !s.SSLVerify {
		c.Warn("ssl_verify", "the issuer's certificate isn't verified: anyone on the network path can impersonate the issuer")
	}
	c.Each("issuers_allowed", s.IssuersAllowed, check.NotEmpty)
	c.PEM("ca_file", s.CAFile)
	proxyURL := func(text string) error { return check.URL(text, "http", "https") }
	c.One("http_proxy", s.HTTPProxy, proxyURL)
	c.One("https_proxy", s.HTTPSProxy, proxyURL)
	c.Err("no_proxy", CheckNoProxy(s.NoProxy))
}

// checkTenant warns of Entra's issuers for all tenants, whose tokens name another issuer than their metadata.
func (s *Settings) checkTenant(c check.Checker) {
	u, err := url.Parse(s.Issuer)
	if err != nil || !strings.HasPrefix(u.Host, "login.microsoftonline.") || len(s.IssuersAllowed) > 0 {
		return
	}
	tenant, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if slices.Contains([]string{"common", "organizations", "consumers"}, tenant) {
		c.Warn("issuer",
			"tokens of /%s name the issuer of their own tenant, which its metadata doesn't: write the tenant's ID in its place, "+
				"or the issuer of each tenant that may log in into issuers_allowed (https://%s/{tenantid}/v2.0 for all of them)", tenant, u.Host)
	}
}

// checkVerification names the danger of each setting that weakens verification.
func (s *Settings) checkVerification(c check.Checker) {
	if !s.VerifySignature {
		c.Warn("verify_signature", "INSECURE: signatures aren't verified, so anyone can forge a token for any user")
	}
	if !s.VerifyClaims {
		c.Warn("verify_claims", "INSECURE: expired tokens, and tokens of other issuers with the same keys, are accepted")
	}
	if len(s.IgnoreSignature) > 0 {
		c.Warn("ignore_signature", "INSECURE: signatures aren't verified: only TLS authenticates the issuer")
	}
	if s.EnableHSSignatures {
		c.Warn("enable_hs_signatures", "anyone who has client_secret can sign tokens of this issuer")
		c.Must("enable_hs_signatures", len(s.ClientSecret) > 0,
			"it needs client_secret, the key that verifies the tokens: add it, or take it out")
	}
	for key, algs := range map[string][]string{
		"id_token_signed_response_alg": s.IDTokenSignedResponseAlg, "token_signing_algs": s.TokenSigningAlgs,
	} {
		for _, alg := range algs {
			c.Must(key, s.EnableHSSignatures || !strings.HasPrefix(alg, "HS"),
				"%s is signed with client_secret: write enable_hs_signatures: true, or better let the issuer sign with RS256 or ES256", alg)
		}
	}
}

// checkEndpoints judges the endpoints that replace the metadata's, and that an issuer without metadata has all that it needs.
func (s *Settings) checkEndpoints(c check.Checker, needs Examination) {
	for key, address := range s.addresses() {
		c.One(key, address, s.checkEndpoint)
	}
	c.One("userinfo_subject_claim", s.UserinfoSubjectClaim, check.NotEmpty)
	c.One("groups_overage_endpoint", s.GroupsOverageEndpoint, s.checkEndpoint)
	c.One("token_exchange_endpoint", s.TokenExchangeEndpoint, s.checkEndpoint)
	c.Must("token_exchange_endpoint", s.TokenExchangeEndpoint == "" || !s.ClientDPoP,
		"it gets the access token without a proof, and client_dpop binds the token to a key: take one of them out")
	for i, address := range s.ExtraJWKSURIs {
		c.One(fmt.Sprintf("extra_jwks_uris[%d]", i), address, s.checkEndpoint)
	}
	if len(s.ExtraJWKSURIs) > 0 {
		c.Warn("extra_jwks_uris", "a holder of a key of these sets can sign tokens of this issuer")
	}
	if !s.UsingPseudoIssuer {
		return
	}
	var missing []string
	for _, need := range []struct {
		key       string
		has, when bool
	}{
		{"jwks_endpoint", s.JWKSEndpoint != "" || len(s.ExtraJWKSURIs) > 0, true},
		{"authorization_endpoint", s.AuthorizationEndpoint != "", needs.Login},
		{"token_endpoint", s.TokenEndpoint+s.MTLSTokenEndpoint != "", needs.Login || needs.Token},
		{"pushed_authorization_request_endpoint",
			s.PushedAuthorizationRequestEndpoint+s.MTLSPushedAuthorizationRequestEndpoint != "", needs.Login && s.pushesRequests()},
		{"introspection_endpoint", s.IntrospectionEndpoint+s.MTLSIntrospectionEndpoint != "", needs.Introspect},
		{"userinfo_endpoint", s.UserinfoEndpoint != "", needs.Userinfo},
	} {
		if need.when && !need.has {
			missing = append(missing, need.key)
		}
	}
	c.Must("using_pseudo_issuer", len(missing) == 0,
		"no metadata is fetched, and these are missing: %s: add them", strings.Join(missing, ", "))
}

func (s *Settings) checkEndpoint(text string) error {
	u, err := check.ParseURL(text, "https", "http")
	switch {
	case err != nil:
		return err
	case u.Fragment != "":
		return errors.New("an endpoint can't have a fragment: write it up to the #")
	case u.Scheme == "http" && strings.HasPrefix(s.Issuer, "https://"):
		return errors.New("it is reached without TLS, but the issuer with TLS: write https://")
	}
	return nil
}

func (s *Settings) checkClient(c check.Checker) {
	if len(s.ClientID) == 0 {
		c.Missing("client_id", "the identifier that the issuer knows this route by")
		return
	}
	c.Each("client_id", s.ClientID, check.NotEmpty)
	for i, id := range s.ClientID {
		c.Must(fmt.Sprintf("client_id[%d]", i), slices.Index(s.ClientID, id) == i, "%s is written twice: take one out", check.Quote(id))
	}
	for i, secret := range s.ClientSecret {
		c.Example(fmt.Sprintf("client_secret[%d]", i), secret)
	}
	c.Must("client_arg", check.IsToken(s.ClientArg), "it names a header and a parameter: write letters, digits, - and _")
	c.Each("client_assertion_file", s.ClientAssertionFile, check.NotEmpty)
	for i := range s.ClientJWK {
		c.Err(fmt.Sprintf("client_jwk[%d]", i), s.ClientJWK[i].Check())
	}
	s.checkCertificate(c)
	for n := range s.ClientID {
		s.checkMethods(c, n)
	}
}

// checkCertificate reads the client's certificate, so that one that can't be used is found before the start.
func (s *Settings) checkCertificate(c check.Checker) {
	const certKey, keyKey = "tls_client_auth_cert_file", "tls_client_auth_key_file"
	switch cert, key := s.TLSClientAuthCertFile, s.TLSClientAuthKeyFile; {
	case cert == "" && key == "":
	case cert == "" || key == "":
		for here, other := range map[string]string{certKey: keyKey, keyKey: certKey} {
			if c.IsSet(here) {
				c.Complain(here, "it needs the other half: add %s", other)
			}
		}
	default:
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			c.Complain(certKey, "the certificate and its key can't be used: %v", err)
		}
	}
	if !s.TLSClientAuthSSLVerify {
		c.Warn("tls_client_auth_ssl_verify",
			"the issuer's certificate isn't verified: anyone on the network path can impersonate the issuer")
	}
}

// checkMethods judges how a client authenticates by what it has for that.
func (s *Settings) checkMethods(c check.Checker, n int) {
	judge := func(key, method string) {
		if err := s.canAuthenticate(n, method); method != "" && err != nil {
			c.Complain(key, "%s %v", method, err)
		}
	}
	if len(s.ClientAuth) > 0 {
		judge(fmt.Sprintf("client_auth[%d]", min(n, len(s.ClientAuth)-1)), At(s.ClientAuth, n))
	}
	judge("token_endpoint_auth_method", s.TokenEndpointAuthMethod)
	judge("introspection_endpoint_auth_method", s.IntrospectionEndpointAuthMethod)
	judge("revocation_endpoint_auth_method", s.RevocationEndpointAuthMethod)
	judge("pushed_authorization_request_endpoint_auth_method", s.PushedAuthorizationRequestEndpointAuthMethod)
	alg := At(s.ClientAlg, n)
	if jwk := At(s.ClientJWK, n); jwk.Kty != "" && alg != "" && !strings.HasPrefix(alg, "HS") && !fitsKey(jwk.Kty, alg) {
		c.Complain("client_alg", "%s doesn't fit the key of client_jwk, which is %s: write an algorithm of that kind", alg, jwk.Kty)
	}
}

// fitsKey reports whether a key of a type (RFC 7517 §4.1) can sign by an algorithm.
func fitsKey(kty, alg string) bool {
	switch kty {
	case "RSA":
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case "EC":
		return strings.HasPrefix(alg, "ES")
	}
	return alg == "EdDSA" || alg == "Ed25519" // two names of one algorithm (RFC 9864 §2.2)
}

// canAuthenticate returns what the client at n lacks for a method.
func (s *Settings) canAuthenticate(n int, method string) error {
	switch method {
	case "client_secret_basic", "client_secret_post", "client_secret_jwt":
		if At(s.ClientSecret, n) == "" {
			return errors.New("needs client_secret: add it, or write none for a public client")
		}
	case "tls_client_auth", "self_signed_tls_client_auth":
		if s.TLSClientAuthCertFile == "" {
			return errors.New("needs a certificate: add tls_client_auth_cert_file and tls_client_auth_key_file")
		}
	}
	return nil
}

// HasCredential reports whether a client can authenticate: a public client has nothing to do it with.
func (s *Settings) HasCredential() bool {
	return len(s.ClientSecret)+len(s.ClientJWK)+len(s.ClientAssertionFile) > 0 || s.TLSClientAuthCertFile != "" || s.UsesGateKeys() != ""
}

// UsesGateKeys names the setting that makes the client sign with a key that the gate makes, or is empty.
func (s *Settings) UsesGateKeys() string {
	const method = "private_key_jwt"
	switch {
	case len(s.ClientJWK) > 0:
		return ""
	case s.signsRequests():
		return "require_signed_request_object"
	case len(s.ClientAssertionFile) > 0:
		return ""
	case slices.Contains(s.ClientAuth, method):
		return "client_auth"
	case s.TokenEndpointAuthMethod == method:
		return "token_endpoint_auth_method"
	case s.IntrospectionEndpointAuthMethod == method:
		return "introspection_endpoint_auth_method"
	case s.RevocationEndpointAuthMethod == method:
		return "revocation_endpoint_auth_method"
	case s.PushedAuthorizationRequestEndpointAuthMethod == method:
		return "pushed_authorization_request_endpoint_auth_method"
	}
	return ""
}
