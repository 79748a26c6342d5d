package acmecert

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// The names of records. A host is the name of its certificate's record. No host has a +.
const (
	accountName   = "account+key"
	challengeName = "challenge+now" // of the one order that is under way
	failureSuffix = "+failure"
)

// encodeCertificate returns the PEM of a certificate's private key and its chain, the leaf first.
func encodeCertificate(t *tls.Certificate) ([]byte, error) {
	key, err := encodeKey(t.PrivateKey)
	if err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(key)
	for _, der := range t.Certificate {
		if err := pem.Encode(b, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

func encodeKey(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// decodeCertificate returns the certificate in the PEM of encodeCertificate. It returns an error unless the certificate is for the host,
// and hasn't expired.
func decodeCertificate(data []byte, host string, now time.Time) (*tls.Certificate, error) {
	t, err := tls.X509KeyPair(data, data)
	if err != nil {
		return nil, err
	}
	return &t, verify(t.Leaf, host, now)
}

func decodeKey(data []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("it holds no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("a key of type %T can't sign", key)
	}
	return signer, nil
}

// verify returns an error unless a certificate is for a host, and hasn't expired.
func verify(leaf *x509.Certificate, host string, now time.Time) error {
	if now.After(leaf.NotAfter) {
		return fmt.Errorf("the certificate expired at %s", leaf.NotAfter.Format(time.RFC3339))
	}
	return leaf.VerifyHostname(host)
}

const rsaBits = 2048

// makeKey makes the private key of a certificate.
func makeKey(keyType string) (crypto.Signer, error) {
	if keyType == "rsa" {
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// keyType returns the type of a certificate's key, as key_type has it.
func keyType(t *tls.Certificate) string {
	if _, ok := t.PrivateKey.(*rsa.PrivateKey); ok {
		return "rsa"
	}
	return "ecdsa"
}

// requestFor returns the certificate signing request for a host.
func requestFor(host string, key crypto.Signer) ([]byte, error) {
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{host}}, key)
}

// newCertificate returns the certificate of a chain that a server issued, if it is for the host and the key.
func newCertificate(chain [][]byte, key crypto.Signer, host string, now time.Time) (*tls.Certificate, error) {
	t := &tls.Certificate{Certificate: chain, PrivateKey: key}
	data, err := encodeCertificate(t)
	if err != nil {
		return nil, err
	}
	if t, err = decodeCertificate(data, host, now); err != nil {
		return nil, fmt.Errorf("the certificate of the ACME server can't be used: %w", err)
	}
	return t, nil
}
