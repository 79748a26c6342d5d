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

// certificate is the one that the client has shown, or nil. TLS has proved that the client has its key.
func certificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// certified judges a client's certificate (RFC 8705 §2).
func (p *Provider) certified(c *Client, r *http.Request) bool {
	cert := certificate(r)
	switch {
	case cert == nil:
		return false
	case c.AuthMethod == "tls_client_auth":
		return c.TLSSubjectDN != "" && subjectDN(cert) == c.TLSSubjectDN && p.chained(cert, r.TLS.PeerCertificates[1:])
	}
	return p.registeredCert(c, cert)
}

// chained demands that the authority stands behind the certificate (RFC 8705 §2.1).
func (p *Provider) chained(cert *x509.Certificate, between []*x509.Certificate) bool {
	if p.server.ca == nil {
		return false
	}
	intermediates := x509.NewCertPool()
	for _, c := range between {
		intermediates.AddCert(c)
	}
	_, err := cert.Verify(x509.VerifyOptions{
		Roots: p.server.ca.pool(), Intermediates: intermediates, CurrentTime: p.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return err == nil
}

// subjectDN writes the subject in its own order, as RFC 4514 does; pkix.Name would sort it.
func subjectDN(cert *x509.Certificate) string {
	var subject pkix.RDNSequence
	if _, err := asn1.Unmarshal(cert.RawSubject, &subject); err != nil {
		return ""
	}
	return subject.String()
}

// registeredCert compares a certificate with those that the client has registered; no authority matters (RFC 8705 §2.2).
func (p *Provider) registeredCert(c *Client, cert *x509.Certificate) bool {
	if c.TLSThumbprint != "" {
		sum := sha256.Sum256(cert.Raw)
		return c.TLSThumbprint == Thumbprint(cert.Raw) || strings.EqualFold(c.TLSThumbprint, hex.EncodeToString(sum[:]))
	}
	has := func(k jose.JSONWebKey) bool {
		return len(k.Certificates) > 0 && bytes.Equal(k.Certificates[0].Raw, cert.Raw)
	}
	set, fresh, err := p.clientKeys.of(c, false)
	if err == nil && !fresh && !slices.ContainsFunc(set.Keys, has) {
		set, _, err = p.clientKeys.of(c, true)
	}
	return err == nil && slices.ContainsFunc(set.Keys, has)
}

// boundTo reports whether who shows cert, nil for none, may use an access token with these claims (RFC 8705 §3).
func boundTo(claims map[string]any, cert *x509.Certificate) bool {
	cnf, _ := claims["cnf"].(map[string]any)
	thumbprint, bound := cnf["x5t#S256"]
	return !bound || cert != nil && thumbprint == Thumbprint(cert.Raw)
}
