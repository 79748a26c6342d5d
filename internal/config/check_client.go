package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sallyport/internal/oidc"
)

func (r *Route) checkClient() {
	b, s := r.block, &r.OIDC.Flow.Client
	if len(s.ClientID) == 0 {
		b.missing("client_id", "the identifier that the issuer knows this route by")
		return
	}
	b.each("client_id", s.ClientID, notEmpty)
	for i, id := range s.ClientID {
		b.must(fmt.Sprintf("client_id[%d]", i), slices.Index(s.ClientID, id) == i, "%s stands here twice: take one out", quote(id))
	}
	r.checkPerClient()
	b.must("client_arg", s.ClientArg != "" && token.MatchString(s.ClientArg), "it is the name of a header and a parameter: write letters, digits, - and _")
	b.each("client_assertion_file", s.ClientAssertionFile, notEmpty)
	for i := range s.ClientJWK {
		if err := s.ClientJWK[i].Check(); err != nil {
			b.complain(fmt.Sprintf("client_jwk[%d]", i), "%v", err)
		}
	}
	r.checkCertificate()
	for n := range s.ClientID {
		r.checkMethods(n)
	}
}

// checkPerClient judges the lists that are read by the index of client_id.
func (r *Route) checkPerClient() {
	b, o := r.block, &r.OIDC
	s := &o.Flow.Client
	if b.find("client_id").bad {
		return
	}
	for key, n := range map[string]int{
		"client_secret": len(s.ClientSecret), "client_auth": len(s.ClientAuth), "client_alg": len(s.ClientAlg), "client_jwk": len(s.ClientJWK),
		"client_assertion_file": len(s.ClientAssertionFile), "redirect_uri": len(o.Flow.RedirectURI), "login_redirect_uri": len(o.Flow.LoginRedirectURI),
		"logout_redirect_uri": len(o.Flow.LogoutRedirectURI), "unauthorized_redirect_uri": len(o.Errors.UnauthorizedRedirectURI),
		"forbidden_redirect_uri": len(o.Errors.ForbiddenRedirectURI), "unexpected_redirect_uri": len(o.Errors.UnexpectedRedirectURI),
	} {
		b.must(key, n <= len(s.ClientID), "it has %s and client_id has %d: write at most one for each client", entries(n), len(s.ClientID))
	}
}

// checkCertificate reads the client's certificate, so that one that can't be used is found by check as well.
func (r *Route) checkCertificate() {
	b, s := r.block, &r.OIDC.Flow.Client
	cert, key := s.TLSClientAuthCertFile, s.TLSClientAuthKeyFile
	switch {
	case cert == "" && key == "":
	case cert == "" || key == "":
		for key, other := range map[string]string{"tls_client_auth_cert_file": "tls_client_auth_key_file", "tls_client_auth_key_file": "tls_client_auth_cert_file"} {
			if b.has(key) {
				b.complain(key, "it needs the other half: add %s", other)
			}
		}
	default:
		if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
			b.complain("tls_client_auth_cert_file", "the certificate and its key can't be used: %v", err)
		}
	}
	if !s.TLSClientAuthSSLVerify {
		b.warn("tls_client_auth_ssl_verify", "the issuer's certificate isn't verified: anybody on the way can be the issuer")
	}
}

// checkMethods judges how a client proves itself by what it has for that.
func (r *Route) checkMethods(n int) {
	b, s := r.block, &r.OIDC.Flow.Client
	check := func(key, method string) {
		if method == "" {
			return
		}
		if err := provable(s, n, method); err != nil {
			b.complain(key, "%s %v", method, err)
		}
	}
	if len(s.ClientAuth) > 0 {
		check(fmt.Sprintf("client_auth[%d]", min(n, len(s.ClientAuth)-1)), oidc.At(s.ClientAuth, n))
	}
	check("token_endpoint_auth_method", s.TokenEndpointAuthMethod)
	check("introspection_endpoint_auth_method", s.IntrospectionEndpointAuthMethod)
	check("revocation_endpoint_auth_method", s.RevocationEndpointAuthMethod)
	alg := oidc.At(s.ClientAlg, n)
	if jwk := oidc.At(s.ClientJWK, n); jwk.Kty != "" && alg != "" && !strings.HasPrefix(alg, "HS") && !fitsKey(jwk.Kty, alg) {
		b.complain("client_alg", "%s doesn't fit the key of client_jwk, which is %s: write an algorithm of that kind", alg, jwk.Kty)
	}
}

func fitsKey(kty, alg string) bool {
	switch kty {
	case "RSA":
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case "EC":
		return strings.HasPrefix(alg, "ES")
	}
	return alg == "EdDSA" || alg == "Ed25519" // two names of one algorithm (RFC 9864 §2.2)
}

func provable(s *oidc.Settings, n int, method string) error {
	switch method {
	case "client_secret_basic", "client_secret_post", "client_secret_jwt":
		if oidc.At(s.ClientSecret, n) == "" {
			return errors.New("needs client_secret: add it, or write none for a public client")
		}
	case "tls_client_auth", "self_signed_tls_client_auth":
		if s.TLSClientAuthCertFile == "" {
			return errors.New("needs a certificate: add tls_client_auth_cert_file and tls_client_auth_key_file")
		}
	}
	return nil
}
