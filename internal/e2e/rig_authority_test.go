package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// testCA signs the server and client certificates of a run.
var testCA = newCA()

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
	file string // the CA certificate in PEM form; set by keep
}

func newCA() *authority {
	pair, err := certify(nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Sallyport test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	if err != nil {
		panic(err)
	}
	a := &authority{cert: pair.Leaf, key: pair.PrivateKey.(*ecdsa.PrivateKey), pool: x509.NewCertPool()}
	a.pool.AddCert(a.cert)
	return a
}

// certify creates a key and a certificate, which is valid for a day. If by is nil, the certificate is self-signed.
func certify(by *authority, template *x509.Certificate) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// writePair writes cert.pem and key.pem (PKCS #8) into a folder.
func writePair(dir string, pair *tls.Certificate) (certFile, keyFile string, err error) {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return "", "", err
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	if err := writePEM(certFile, "CERTIFICATE", pair.Certificate[0]); err != nil {
		return "", "", err
	}
	return certFile, keyFile, writePEM(keyFile, "PRIVATE KEY", pkcs8)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// keep writes the CA certificate into a folder.
func (a *authority) keep(dir string) error {
	a.file = filepath.Join(dir, "ca.pem")
	return writePEM(a.file, "CERTIFICATE", a.cert.Raw)
}

// serverPair writes a server certificate for 127.0.0.1 and localhost, and its key.
func (a *authority) serverPair(dir string) (certFile, keyFile string, err error) {
	pair, err := certify(a, &x509.Certificate{
		Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return "", "", err
	}
	return writePair(dir, pair)
}

func (a *authority) mustServerPair(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	certFile, keyFile, err := a.serverPair(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}

// mustClientCert creates a client certificate of the test CA with the subject CN=cn.
func mustClientCert(t *testing.T, cn string) (certFile, keyFile string, pair *tls.Certificate) {
	t.Helper()
	return mustClientPair(t, testCA, cn)
}

// mustSelfSignedCert creates a self-signed client certificate, for self_signed_tls_client_auth.
func mustSelfSignedCert(t *testing.T, cn string) (certFile, keyFile string, pair *tls.Certificate) {
	t.Helper()
	return mustClientPair(t, nil, cn)
}

func mustClientPair(t *testing.T, by *authority, cn string) (certFile, keyFile string, pair *tls.Certificate) {
	t.Helper()
	pair, err := certify(by, &x509.Certificate{
		Subject: pkix.Name{CommonName: cn}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile, err = writePair(t.TempDir(), pair)
	if err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile, pair
}
