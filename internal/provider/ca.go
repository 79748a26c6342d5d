package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"net"
	"time"
)

// A testCA is the certification authority that StartTLS creates to issue server and client certificates.
type testCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// certificateLifetime is long, and certificates are valid from yesterday on, so that tests can move their clocks.
const certificateLifetime = 10 * 365 * 24 * time.Hour

func newTestCA() *testCA {
	key := newECDSA()
	template := certificateTemplate("Provider's test authority")
	template.IsCA, template.BasicConstraintsValid = true, true
	template.KeyUsage = x509.KeyUsageCertSign
	return &testCA{cert: createCertificate(template, template, key, key), key: key}
}

// serverCert issues a server certificate for a host name and addresses.
func (a *testCA) serverCert(host string, addresses ...net.IP) tls.Certificate {
	template := certificateTemplate(host, x509.ExtKeyUsageServerAuth)
	template.DNSNames, template.IPAddresses = []string{host}, addresses
	return a.issue(template)
}

// clientCert issues a client certificate with the subject CN=cn.
func (a *testCA) clientCert(cn string) tls.Certificate {
	return a.issue(certificateTemplate(cn, x509.ExtKeyUsageClientAuth))
}

func (a *testCA) issue(template *x509.Certificate) tls.Certificate {
	key := newECDSA()
	return keyPair(createCertificate(template, a.cert, key, a.key), key)
}

func keyPair(cert *x509.Certificate, key *ecdsa.PrivateKey) tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

func (a *testCA) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// certificateTemplate returns a template without a serial number, so that x509.CreateCertificate chooses one.
func certificateTemplate(cn string, usages ...x509.ExtKeyUsage) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: cn}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: usages,
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(certificateLifetime),
	}
}

func createCertificate(template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		panic(err) // the template is fixed
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

func newECDSA() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// SelfSignedCert creates a self-signed client certificate, for self_signed_tls_client_auth.
func SelfSignedCert(cn string) tls.Certificate {
	key := newECDSA()
	template := certificateTemplate(cn, x509.ExtKeyUsageClientAuth)
	return keyPair(createCertificate(template, template, key, key), key)
}

// Thumbprint returns the base64url-encoded SHA-256 hash of a DER certificate, the value of x5t#S256 (RFC 8705 §3.1).
func Thumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// CertificatePEM returns a certificate chain and its private key (PKCS #8) in PEM form.
func CertificatePEM(c tls.Certificate) (cert, key []byte) {
	for _, der := range c.Certificate {
		cert = append(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		panic(err) // this package creates ECDSA keys only
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}
