package provider

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// certificate returns the client certificate of the TLS connection, or nil. The handshake has proved possession of its key.
func certificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// verifyClientCert reports whether the certificate of r authenticates client c (RFC 8705 §2).
func (p *Provider) verifyClientCert(c *Client, r *http.Request) bool {
	cert := certificate(r)
	switch {
	case cert == nil:
		return false
	case c.AuthMethod == "tls_client_auth":
		return c.TLSSubjectDN != "" && subjectDN(cert) == c.TLSSubjectDN && p.issuedByCA(cert, r.TLS.PeerCertificates[1:])
	}
	return p.isRegisteredCert(c, cert)
}

// issuedByCA reports whether the test CA issued cert (RFC 8705 §2.1).
func (p *Provider) issuedByCA(cert *x509.Certificate, chain []*x509.Certificate) bool {
	if p.server.ca == nil {
		return false
	}
	intermediates := x509.NewCertPool()
	for _, c := range chain {
		intermediates.AddCert(c)
	}
	_, err := cert.Verify(x509.VerifyOptions{
		Roots: p.server.ca.pool(), Intermediates: intermediates, CurrentTime: p.now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

// subjectDN returns the subject in RFC 4514 form, in the order of the certificate; pkix.Name would reorder it.
func subjectDN(cert *x509.Certificate) string {
	var subject pkix.RDNSequence
	if _, err := asn1.Unmarshal(cert.RawSubject, &subject); err != nil {
		return ""
	}
	return subject.String()
}

// isRegisteredCert reports whether cert is a registered certificate of client c; its issuer doesn't matter (RFC 8705 §2.2).
func (p *Provider) isRegisteredCert(c *Client, cert *x509.Certificate) bool {
	if c.TLSThumbprint != "" {
		sum := sha256.Sum256(cert.Raw)
		return c.TLSThumbprint == Thumbprint(cert.Raw) || strings.EqualFold(c.TLSThumbprint, hex.EncodeToString(sum[:]))
	}
	has := func(k jose.JSONWebKey) bool {
		return len(k.Certificates) > 0 && bytes.Equal(k.Certificates[0].Raw, cert.Raw)
	}
	set, err := p.clientKeys.having(c, has)
	return err == nil && slices.ContainsFunc(set.Keys, has)
}

// bindingAllows reports whether a request with cert, which may be nil, may use an access token with these claims
// (RFC 8705 §3).
func bindingAllows(claims map[string]any, cert *x509.Certificate) bool {
	cnf, _ := claims["cnf"].(map[string]any)
	thumbprint, bound := cnf["x5t#S256"]
	return !bound || cert != nil && thumbprint == Thumbprint(cert.Raw)
}
